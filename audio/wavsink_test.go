package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// memFile is a file in memory that takes at most limit bytes of new data.
type memFile struct {
	data  []byte
	pos   int64
	limit int
}

func (f *memFile) Write(b []byte) (int, error) {
	n := len(b)
	if f.limit > 0 {
		n = max(0, min(n, f.limit-int(f.pos)))
	}
	if grow := int(f.pos) + n - len(f.data); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[f.pos:], b[:n])
	f.pos += int64(n)
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.data))
	}
	f.pos = offset
	return offset, nil
}

// stereoNoise is blocks of noise, left and right different.
func stereoNoise(n int) []StereoBlock {
	out := make([]StereoBlock, n)
	for i := range out {
		copy(out[i][:], noise(len(out[i]), uint64(i), 0.9))
	}
	return out
}

func TestWAVSinkWritesWhatItIsGiven(t *testing.T) {
	tests := []struct {
		name      string
		config    WAVConfig
		channels  int
		tolerance float64
	}{
		{"16 bit stereo", WAVConfig{}, 2, 1.0 / 65536},
		{"float stereo", WAVConfig{Float: true}, 2, 0},
		{"16 bit mono", WAVConfig{Mono: true}, 1, 1.0 / 65536},
		{"float mono", WAVConfig{Float: true, Mono: true}, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.wav")
			s, err := CreateWAV(path, tt.config)
			if err != nil {
				t.Fatal(err)
			}
			in := stereoNoise(250)
			var want []float32
			for i := range in {
				if err := s.WriteBlock(&in[i]); err != nil {
					t.Fatal(err)
				}
				var mono Block
				Downmix(&mono, &in[i])
				want = append(want, mono[:]...)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			src, err := OpenWAV(path)
			if err != nil {
				t.Fatal(err)
			}
			if f := src.Format(); f.Channels != tt.channels || f.Rate != SampleRate || f.Float != tt.config.Float {
				t.Errorf("format %+v", f)
			}
			if d, ok := src.Duration(); !ok || d != 250*BlockDuration {
				t.Errorf("duration %v", d)
			}
			sameAudio(t, readAll(t, src), want, tt.tolerance+1e-7)
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWAVSinkKeepsLeftAndRight(t *testing.T) {
	f := &memFile{}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b := StereoBlock{0.5, -0.25, 2, -2, float32(math.NaN()), float32(math.Inf(1))}
	if err := s.WriteBlock(&b); err != nil {
		t.Fatal(err)
	}
	want := []int16{16384, -8192, 32767, -32768, 0, 0}
	for i, w := range want {
		if got := int16(binary.LittleEndian.Uint16(f.data[wavHeader+2*i:])); got != w {
			t.Errorf("sample %d is %d, want %d", i, got, w)
		}
	}
}

// headerSizes are the sizes of the form and of the audio as the header has them.
func headerSizes(b []byte) (riff, data uint32) {
	return binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[wavHeader-4:])
}

func TestWAVSinkThatIsKilledLeavesAFileThatPlays(t *testing.T) {
	f := &memFile{}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	in := stereoNoise(1)[0]
	for n := 1; n <= 350; n++ {
		if err := s.WriteBlock(&in); err != nil {
			t.Fatal(err)
		}
		riff, data := headerSizes(f.data)
		if lag := n*1920 - int(data); lag < 0 || lag >= 100*1920 {
			t.Fatalf("after %d blocks the header knows of %d bytes", n, data)
		}
		if riff != data+wavHeader-8 {
			t.Fatalf("form of %d bytes with audio of %d", riff, data)
		}
		if len(f.data) != wavHeader+n*1920 {
			t.Fatalf("after %d blocks %d bytes are written", n, len(f.data))
		}
	}
	if got := readAll(t, mustOpen(t, bytes.NewReader(f.data))); len(got) != 300*BlockSamples {
		t.Errorf("%d blocks play after a kill, want 300", len(got)/BlockSamples)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, data := headerSizes(f.data); data != 350*1920 {
		t.Errorf("after Close the header knows of %d bytes", data)
	}
}

func TestWAVSinkOnAFullDisk(t *testing.T) {
	f := &memFile{limit: wavHeader + 150*1920 + 777}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	in := stereoNoise(1)[0]
	n := 0
	for ; n < 300 && err == nil; n++ {
		err = s.WriteBlock(&in)
	}
	if !errors.Is(err, syscall.ENOSPC) || n != 151 {
		t.Fatalf("block %d: %v", n, err)
	}
	f.limit = 0
	if err := s.WriteBlock(&in); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("afterwards: %v", err)
	}
	if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
	if _, data := headerSizes(f.data); data != 150*1920+777/4*4 {
		t.Errorf("the header knows of %d bytes", data)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := s.WriteBlock(&in); !errors.Is(err, ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestWAVSinkOnARealFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("NOT TESTED: no /dev/full")
	}
	if _, err := CreateWAV("/dev/full", WAVConfig{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if _, err := CreateWAV(filepath.Join(t.TempDir(), "no", "such.wav"), WAVConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWAVSinkPast4GiBIsRF64(t *testing.T) {
	f := &memFile{}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for _, size := range []int64{1920, wavUnknown - wavHeader + 8 - 3, wavUnknown - wavHeader + 8 + 1, 1 << 33} {
		size = size / 4 * 4
		s.data = size
		if err := s.correct(); err != nil {
			t.Fatal(err)
		}
		riff, data := headerSizes(f.data)
		if size+wavHeader-8 < wavUnknown {
			if string(f.data[:4]) != "RIFF" || string(f.data[12:16]) != "JUNK" || int64(data) != size || int64(riff) != size+wavHeader-8 {
				t.Errorf("%d bytes: %.4s %.4s, sizes %d and %d", size, f.data, f.data[12:], riff, data)
			}
			continue
		}
		if string(f.data[:4]) != "RF64" || string(f.data[12:16]) != "ds64" || data != wavUnknown || riff != wavUnknown {
			t.Errorf("%d bytes: %.4s %.4s, sizes %d and %d", size, f.data, f.data[12:], riff, data)
		}
		r, d, n := le.Uint64(f.data[20:]), le.Uint64(f.data[28:]), le.Uint64(f.data[36:])
		if int64(d) != size || int64(r) != size+wavHeader-8 || int64(n) != size/4 {
			t.Errorf("%d bytes: ds64 has %d, %d and %d", size, r, d, n)
		}
		src := mustOpen(t, pipe{bytes.NewReader(f.data[:wavHeader])})
		if d, ok := src.Duration(); !ok || int64(d.Seconds()*192000+0.5)/4*4 != size/4*4 {
			t.Errorf("%d bytes play for %v", size, d)
		}
	}
}

func TestWAVSinkStartsWhereTheWriterIs(t *testing.T) {
	f := &memFile{data: []byte("before"), pos: 6}
	s, err := NewWAVSink(f, WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	in := stereoNoise(1)[0]
	if err := s.WriteBlock(&in); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if string(f.data[:10]) != "beforeRIFF" {
		t.Errorf("file begins with %q", f.data[:10])
	}
}

func TestWAVSinkDoesNotAllocate(t *testing.T) {
	s, err := CreateWAV(filepath.Join(t.TempDir(), "a.wav"), WAVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	in := stereoNoise(1)[0]
	assertNoAllocs(t, "writing", func() {
		if err := s.WriteBlock(&in); err != nil {
			t.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Silence is as long as it is said to be, in memory and as a hole in a file, and
// what a killed process leaves ends with the last whole second at least.
func TestWAVSinkWritesSilence(t *testing.T) {
	for _, blocks := range []int64{0, 1, 2, 99, 100, 101, 5000} {
		path := filepath.Join(t.TempDir(), "silence.wav")
		file, err := CreateWAV(path, WAVConfig{Mono: true})
		if err != nil {
			t.Fatal(err)
		}
		memory := &memFile{}
		inMemory, err := NewWAVSink(memory, WAVConfig{Mono: true})
		if err != nil {
			t.Fatal(err)
		}
		loud := stereoNoise(1)[0]
		for _, s := range []*WAVSink{file, inMemory} {
			if err := errors.Join(s.WriteBlock(&loud), s.WriteSilence(blocks), s.WriteBlock(&loud)); err != nil {
				t.Fatal(err)
			}
		}
		left, err := os.ReadFile(path) // what is there without Close
		if err != nil {
			t.Fatal(err)
		}
		if says := int64(binary.LittleEndian.Uint32(left[len(left)-int(blocks+2)*960-4:])); says < (blocks-100)*960 {
			t.Errorf("after %d blocks of silence the header says %d bytes", blocks, says)
		}
		if err := errors.Join(file.Close(), inMemory.Close()); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(whole, memory.data) || len(whole) != wavHeader+int(blocks+2)*960 {
			t.Errorf("%d blocks of silence: %d bytes in the file, %d in memory, %v", blocks, len(whole), len(memory.data), err)
		}
		if err := file.WriteSilence(1); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	full, err := NewWAVSink(&memFile{limit: wavHeader + 3*960}, WAVConfig{Mono: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := full.WriteSilence(4); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
}
