package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"
)

// chunk is a RIFF chunk with its padding.
func chunk(id string, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(content)))
	b = append(b, content...)
	if len(content)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// form is a WAV file of chunks.
func form(chunks ...[]byte) []byte {
	body := bytes.Join(chunks, nil)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(b, "WAVE"...), body...)
}

// fmtChunk is a plain fmt chunk.
func fmtChunk(tag, channels, rate, bits int) []byte {
	return chunk("fmt ", fmtContent(tag, channels, rate, bits, (bits+7)/8))
}

func fmtContent(tag, channels, rate, bits, container int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*container))
	b = le.AppendUint16(b, uint16(channels*container))
	return le.AppendUint16(b, uint16(bits))
}

// extensible is a fmt chunk of WAVE_FORMAT_EXTENSIBLE.
func extensible(tag, channels, rate, bits, container int) []byte {
	b := fmtContent(tagExtensible, channels, rate, container*8, container)
	b = binary.LittleEndian.AppendUint16(b, 22)
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, 0, 0, 0, 0, byte(tag), byte(tag>>8))
	return chunk("fmt ", append(b, subFormatTail...))
}

// encodePCM codes samples in every channel.
func encodePCM(pcm []float32, tag, channels, container int) []byte {
	var b []byte
	for _, x := range pcm {
		for range channels {
			b = appendSample(b, float64(x), tag, container)
		}
	}
	return b
}

func appendSample(b []byte, x float64, tag, container int) []byte {
	le := binary.LittleEndian
	switch {
	case tag == tagFloat && container == 4:
		return le.AppendUint32(b, math.Float32bits(float32(x)))
	case tag == tagFloat:
		return le.AppendUint64(b, math.Float64bits(x))
	case container == 1:
		return append(b, byte(128+math.Round(x*127)))
	}
	v := int32(math.Round(x * (1<<31 - 128)))
	var whole [4]byte
	le.PutUint32(whole[:], uint32(v))
	return append(b, whole[4-container:]...)
}

// readAll reads a source to its end.
func readAll(t testing.TB, s Source) []float32 {
	t.Helper()
	var out []float32
	var b Block // each block still has the one before in it
	for {
		err := s.ReadBlock(&b)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b[:]...)
		if len(out) > 1<<24 {
			t.Fatal("the source doesn't end")
		}
	}
}

// pipe hides everything but Read.
type pipe struct{ io.Reader }

func mustOpen(t testing.TB, r io.Reader) *WAVSource {
	t.Helper()
	s, err := NewWAVSource(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sameAudio(t *testing.T, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) < len(want) || len(got) >= len(want)+BlockSamples {
		t.Fatalf("%d samples, want %d filled up to a block", len(got), len(want))
	}
	for i, x := range got {
		w := float32(0)
		if i < len(want) {
			w = want[i]
		}
		if math.Abs(float64(x-w)) > tolerance {
			t.Fatalf("sample %d is %v, want %v", i, x, w)
		}
	}
}

func TestWAVSourceDecodesEveryFormat(t *testing.T) {
	pcm := noise(1000, 1, 0.99)
	tests := []struct {
		name      string
		fmt       []byte
		tag       int
		channels  int
		container int
		tolerance float64
	}{
		{"8 bit", fmtChunk(1, 1, 48000, 8), 1, 1, 1, 0.013},
		{"16 bit", fmtChunk(1, 1, 48000, 16), 1, 1, 2, 4e-5},
		{"16 bit stereo", fmtChunk(1, 2, 48000, 16), 1, 2, 2, 4e-5},
		{"24 bit stereo", fmtChunk(1, 2, 48000, 24), 1, 2, 3, 2e-7},
		{"32 bit", fmtChunk(1, 1, 48000, 32), 1, 1, 4, 1e-7},
		{"32 bit float", fmtChunk(3, 1, 48000, 32), 3, 1, 4, 0},
		{"64 bit float stereo", fmtChunk(3, 2, 48000, 64), 3, 2, 8, 0},
		{"extensible 24 bit in 32", extensible(1, 2, 48000, 24, 4), 1, 2, 4, 1e-7},
		{"extensible float", extensible(3, 1, 48000, 32, 4), 3, 1, 4, 0},
		{"12 bit in 16", fmtChunk(1, 1, 48000, 12), 1, 1, 2, 4e-5},
		{"5.1", extensible(1, 6, 48000, 16, 2), 1, 6, 2, 4e-5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := form(tt.fmt, chunk("data", encodePCM(pcm, tt.tag, tt.channels, tt.container)))
			sameAudio(t, readAll(t, mustOpen(t, bytes.NewReader(file))), pcm, tt.tolerance)
			sameAudio(t, readAll(t, mustOpen(t, iotest.OneByteReader(bytes.NewReader(file)))), pcm, tt.tolerance)
		})
	}
}

func TestWAVSourceFullScale(t *testing.T) {
	file := form(fmtChunk(1, 1, 48000, 16), chunk("data", []byte{0, 0x80, 0xff, 0x7f, 0, 0}))
	got := readAll(t, mustOpen(t, bytes.NewReader(file)))
	if got[0] != -1 || got[1] != 32767.0/32768 || got[2] != 0 {
		t.Errorf("got %v", got[:3])
	}
}

func TestWAVSourceMixesChannelsDown(t *testing.T) {
	var data []byte
	for _, x := range []float64{0.6, -0.2, 0.1, 0.3} {
		data = appendSample(data, x, tagFloat, 4)
	}
	got := readAll(t, mustOpen(t, bytes.NewReader(form(fmtChunk(3, 2, 48000, 32), chunk("data", data)))))
	if math.Abs(float64(got[0])-0.2) > 1e-7 || math.Abs(float64(got[1])-0.2) > 1e-7 {
		t.Errorf("got %v", got[:2])
	}
}

func TestWAVSourceReadsUnusualFiles(t *testing.T) {
	pcm := sine(1000, 48000, 440, 0.5)
	data := encodePCM(pcm, 1, 1, 2)
	format := fmtChunk(1, 1, 48000, 16)
	list := chunk("LIST", []byte("an odd size"))
	sized := func(riff, size uint32) []byte {
		b := form(format, chunk("data", data))
		binary.LittleEndian.PutUint32(b[4:], riff)
		binary.LittleEndian.PutUint32(b[40:], size)
		return b
	}
	tests := []struct {
		name string
		file []byte
		want []float32
		pipe bool // must play from a pipe too
	}{
		{"other chunks around", form(list, format, list, chunk("data", data), list), pcm, true},
		{"data before fmt", form(list, chunk("data", data), list, format), pcm, false},
		{"cut off in a sample", form(format, chunk("data", data))[:44+1001], pcm[:500], true},
		{"sizes of 0", sized(0, 0), pcm, true},
		{"data size of 0 after a header that was never corrected", sized(36, 0), pcm, true},
		{"sizes unknown", sized(wavUnknown, wavUnknown), pcm, true},
		{"data size too large", sized(36+8000, 8000), pcm, true},
		{"really no audio, then a list", form(format, chunk("data", nil), list), nil, true},
		{"really no audio", form(format, chunk("data", nil)), nil, true},
		{"not a whole frame", form(format, chunk("data", []byte{1})), nil, true},
		{"RF64", rf64(data), pcm, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sameAudio(t, readAll(t, mustOpen(t, bytes.NewReader(tt.file))), tt.want, 4e-5)
			s, err := NewWAVSource(pipe{bytes.NewReader(tt.file)})
			if !tt.pipe {
				if !errors.Is(err, ErrFormat) {
					t.Errorf("from a pipe: %v, want ErrFormat", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sameAudio(t, readAll(t, s), tt.want, 4e-5)
		})
	}
}

// rf64 is a file whose sizes are in ds64, with a chunk behind the audio.
func rf64(data []byte) []byte {
	ds64 := binary.LittleEndian.AppendUint64(nil, 0)
	ds64 = binary.LittleEndian.AppendUint64(ds64, uint64(len(data)))
	ds64 = append(ds64, make([]byte, 12)...)
	b := form(chunk("ds64", ds64), fmtChunk(1, 1, 48000, 16), chunk("data", data), chunk("LIST", make([]byte, 100)))
	copy(b, "RF64\xff\xff\xff\xff")
	copy(b[bytes.Index(b, []byte("data"))+4:], "\xff\xff\xff\xff")
	return b
}

func TestWAVSourceRefusesHostileFiles(t *testing.T) {
	good := form(fmtChunk(1, 1, 48000, 16), chunk("data", make([]byte, 100)))
	patched := func(at int, value ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], value)
		return b
	}
	many := bytes.Repeat(chunk("junk", nil), maxWAVChunks+1)
	tests := map[string][]byte{
		"empty":                {},
		"text":                 []byte("this is a text, and long enough for a header"),
		"no WAVE":              patched(8, 'A', 'V', 'I', ' '),
		"big-endian":           patched(0, 'R', 'I', 'F', 'X'),
		"no data":              form(fmtChunk(1, 1, 48000, 16)),
		"no fmt":               form(chunk("data", make([]byte, 100))),
		"short fmt":            form(chunk("fmt ", make([]byte, 14)), chunk("data", make([]byte, 100))),
		"fmt of 4 GiB":         patched(16, 0xf0, 0xff, 0xff, 0xff)[:30],
		"mu-law":               patched(20, 7, 0),
		"no channels":          patched(22, 0, 0),
		"65535 channels":       patched(22, 0xff, 0xff),
		"rate 0":               patched(24, 0, 0, 0, 0),
		"rate 4 GHz":           patched(24, 0xff, 0xff, 0xff, 0xff),
		"0 bits":               patched(34, 0, 0),
		"5000 chunks":          append([]byte("RIFF\x00\x00\x00\x00WAVE"), many...),
		"unknown extensible":   form(chunk("fmt ", append(fmtContent(tagExtensible, 1, 48000, 16, 2), append([]byte{22, 0, 16, 0, 0, 0, 0, 0, 1, 0}, make([]byte, 14)...)...)), chunk("data", make([]byte, 100))),
		"ds64 too short":       form(chunk("ds64", make([]byte, 8)), fmtChunk(1, 1, 48000, 16), chunk("data", nil)),
		"ds64 of 2^64":         form(chunk("ds64", bytes.Repeat([]byte{0xff}, 28)), fmtChunk(1, 1, 48000, 16), chunk("data", nil)),
		"chunk beyond the end": form(append([]byte("LIST"), 0xff, 0xff, 0xff, 0xff)),
	}
	for name, file := range tests {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(file), pipe{bytes.NewReader(file)}} {
				if _, err := NewWAVSource(r); !errors.Is(err, ErrFormat) {
					t.Errorf("%v, want ErrFormat", err)
				}
			}
		})
	}
}

func TestWAVSourceRepairsFloats(t *testing.T) {
	var data []byte
	for _, x := range []float64{math.NaN(), math.Inf(1), -1e300, 5e5, 0.5} {
		data = appendSample(data, x, tagFloat, 8)
	}
	got := readAll(t, mustOpen(t, bytes.NewReader(form(fmtChunk(3, 1, 48000, 64), chunk("data", data)))))
	if want := [5]float32{0, 0, 0, MaxSample, 0.5}; [5]float32(got) != want {
		t.Errorf("got %v, want %v", got[:5], want)
	}
}

func TestWAVSourceResamplesInPlace(t *testing.T) {
	for _, rate := range []int{4000, 8000, 22050, 44100, 96000, 384000} {
		f := float64(rate) / 20
		if rate > 48000 {
			f = 2000
		}
		pcm := sine(rate/4, float64(rate), f, 0.5)
		file := form(fmtChunk(3, 1, rate, 32), chunk("data", encodePCM(pcm, 3, 1, 4)))
		got := readAll(t, mustOpen(t, pipe{bytes.NewReader(file)}))
		if len(got) != 12000 {
			t.Errorf("%d Hz: %d samples of a quarter of a second", rate, len(got))
		}
		for i := 3000; i < 9000; i++ {
			want := 0.5 * math.Sin(2*math.Pi*f*float64(i)/48000)
			if math.Abs(float64(got[i])-want) > 1e-4 {
				t.Fatalf("%d Hz: sample %d is %v, want %v", rate, i, got[i], want)
			}
		}
	}
}

func TestWAVSourceLoopsWithoutASeam(t *testing.T) {
	for _, rate := range []int{48000, 44100} {
		pcm := sine(rate/10, float64(rate), 440, 0.5) // 44 periods
		s := mustOpen(t, bytes.NewReader(form(fmtChunk(3, 1, rate, 32), chunk("data", encodePCM(pcm, 3, 1, 4)))))
		if err := s.SetLoop(true); err != nil {
			t.Fatal(err)
		}
		var got []float32
		for range 200 {
			var b Block
			if err := s.ReadBlock(&b); err != nil {
				t.Fatal(err)
			}
			got = append(got, b[:]...)
		}
		for i := 1000; i < len(got); i++ {
			want := 0.5 * math.Sin(2*math.Pi*440*float64(i)/48000)
			if math.Abs(float64(got[i])-want) > 1e-3 {
				t.Fatalf("%d Hz: sample %d is %v, want %v", rate, i, got[i], want)
			}
		}
		if err := s.SetLoop(false); err != nil {
			t.Fatal(err)
		}
		readAll(t, s)
	}
}

func TestWAVSourceLoopOfNothingEnds(t *testing.T) {
	s := mustOpen(t, bytes.NewReader(form(fmtChunk(1, 1, 48000, 16), chunk("data", nil))))
	if err := s.SetLoop(true); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s); len(got) != 0 {
		t.Errorf("%d samples", len(got))
	}
	p := mustOpen(t, pipe{bytes.NewReader(form(fmtChunk(1, 1, 48000, 16), chunk("data", nil)))})
	if err := p.SetLoop(true); !errors.Is(err, ErrFormat) {
		t.Errorf("a pipe loops: %v", err)
	}
}

func TestWAVSourceReportsFailures(t *testing.T) {
	broken := errors.New("disk on fire")
	file := form(fmtChunk(1, 1, 48000, 16), chunk("data", make([]byte, 9600)))
	s := mustOpen(t, io.MultiReader(bytes.NewReader(file[:2000]), iotest.ErrReader(broken)))
	var b Block
	var err error
	for range 5 {
		if err = s.ReadBlock(&b); err != nil {
			break
		}
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	stuck := mustOpen(t, io.MultiReader(bytes.NewReader(file[:100]), stuckReader{}))
	if err := stuck.ReadBlock(&b); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// stuckReader never gives anything.
type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestOpenWAV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	if _, err := OpenWAV(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	pcm := noise(4410, 1, 0.5)
	file := form(fmtChunk(1, 2, 44100, 16), chunk("data", encodePCM(pcm, 1, 2, 2)))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Format(); f.Rate != 44100 || f.Channels != 2 || f.Bits != 16 || f.Float {
		t.Errorf("format %+v", f)
	}
	if d, ok := s.Duration(); !ok || d != 100*time.Millisecond {
		t.Errorf("duration %v %v", d, ok)
	}
	var b Block
	if err := s.ReadBlock(&b); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := s.ReadBlock(&b); !errors.Is(err, ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	}
}

func TestWAVSourceDoesNotAllocate(t *testing.T) {
	for _, rate := range []int{48000, 44100} {
		data := encodePCM(noise(rate, 1, 0.5), 1, 2, 2)
		s := mustOpen(t, bytes.NewReader(form(fmtChunk(1, 2, rate, 16), chunk("data", data))))
		if err := s.SetLoop(true); err != nil {
			t.Fatal(err)
		}
		var b Block
		assertNoAllocs(t, fmt.Sprintf("reading at %d Hz", rate), func() {
			if err := s.ReadBlock(&b); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func FuzzWAV(f *testing.F) {
	data := encodePCM(noise(600, 1, 0.5), 1, 1, 2)
	f.Add(form(fmtChunk(1, 1, 48000, 16), chunk("data", data)))
	f.Add(form(chunk("data", data), fmtChunk(1, 2, 44100, 8)))
	f.Add(form(extensible(3, 1, 8000, 32, 4), chunk("data", data)))
	f.Add(form(fmtChunk(3, 1, 384000, 64), chunk("LIST", []byte{1}), chunk("data", data)))
	f.Add(rf64(data))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, r := range []io.Reader{bytes.NewReader(file), pipe{bytes.NewReader(file)}} {
			s, err := NewWAVSource(r)
			if err != nil {
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("not ErrFormat: %v", err)
				}
				continue
			}
			// Each sample takes a byte at least: 12 samples out of each at 4 kHz.
			limit := len(file)*SampleRate/MinRate/BlockSamples + 2
			var b Block
			for n := 0; ; n++ {
				err := s.ReadBlock(&b)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || n > limit {
					t.Fatalf("block %d: %v", n, err)
				}
				for _, x := range b {
					if !finite(x) || x > 4*MaxSample || x < -4*MaxSample {
						t.Fatalf("sample %v", x)
					}
				}
			}
		}
	})
}
