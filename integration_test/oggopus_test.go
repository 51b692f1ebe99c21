//go:build !nolibopusfile

package integration_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	hraban "github.com/hraban/opus"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

// playOgg is what libopusfile, and so most players, makes of an Ogg Opus file:
// mono, as far as it goes.
func playOgg(file []byte) ([]int16, error) {
	stream, err := hraban.NewStream(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var pcm []int16
	for buf := make([]int16, 5760); ; {
		n, err := stream.Read(buf)
		pcm = append(pcm, buf[:n]...)
		if errors.Is(err, io.EOF) || n == 0 && err == nil {
			return pcm, nil
		}
		if err != nil {
			return pcm, err
		}
	}
}

// oggLevel is the RMS of a part of a recording, 1 being full scale.
func oggLevel(pcm []int16, from, to int) float64 {
	sum := 0.0
	for _, x := range pcm[from:to] {
		sum += float64(x) * float64(x) / (1 << 30)
	}
	return math.Sqrt(sum / float64(to-from))
}

// beeps writes a tone of 0.5 s into a stream at each of some times, with silence
// between them and every lost-th packet missing.
func beeps(t *testing.T, w io.Writer, cfg codec.Config, lost int, starts ...int64) *oggopus.Writer {
	t.Helper()
	s, err := oggopus.NewWriter(w, oggopus.Config{Serial: 5, Comments: []string{"TITLE=beeps"}})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, codec.MaxPacketBytes)
	for _, start := range starts {
		enc, err := opus.Codec{}.NewEncoder(cfg) // which knows nothing of the tone before
		if err != nil {
			t.Fatal(err)
		}
		frame, phase := make([]float32, enc.FrameSamples()), 0.0
		if err := s.WriteSilence(start - s.Position()); err != nil {
			t.Fatal(err)
		}
		for n := 0; s.Position() < start+audio.SampleRate/2; n++ {
			for i := range frame {
				frame[i] = float32(0.5 * math.Sin(phase))
				phase += 2 * math.Pi * 440 / audio.SampleRate
			}
			packet, err := enc.Encode(out, frame)
			if err != nil {
				t.Fatal(err)
			}
			if lost > 0 && n%lost == lost-1 {
				err = s.WriteLoss(int64(len(frame)))
			} else {
				err = s.WritePacket(packet)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

var oggConfigs = map[string]codec.Config{
	"speech 20 ms": {},
	"speech 10 ms": {FrameDuration: codec.DefaultFrameDuration / 2},
	"speech 60 ms": {FrameDuration: 3 * codec.DefaultFrameDuration},
	"low bitrate":  {Bitrate: 12000},
	"low delay":    {LowDelay: true},
}

// What libopusfile plays lies where it was put, within 5 ms, with silence
// between, whatever coder made the packets and whether some were lost.
func TestOggOpusKeepsTheTimeLine(t *testing.T) {
	const second = audio.SampleRate
	for name, cfg := range oggConfigs {
		for _, lost := range []int{0, 5} {
			t.Run(name+", lost "+strconv.Itoa(lost), func(t *testing.T) {
				var file bytes.Buffer
				s := beeps(t, &file, cfg, lost, 2*second, 3*second+1320, 13*second+240)
				total := s.Position()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				pcm, err := playOgg(file.Bytes())
				if err != nil || int64(len(pcm)) != total-oggopus.DefaultPreSkip {
					t.Fatalf("%d samples, %v; want %d", len(pcm), err, total-oggopus.DefaultPreSkip)
				}
				for _, start := range []int{2 * second, 3*second + 1320, 13*second + 240} {
					begin := start - second/10
					for pcm[begin] < 600 && pcm[begin] > -600 {
						begin++
					}
					if off := begin - start; off < -240 || off > 240 {
						t.Errorf("the tone at %d begins %d samples later", start, off)
					}
					if level := oggLevel(pcm, start+second/10, start+second*4/10); level < 0.25 || level > 0.42 {
						t.Errorf("the tone at %d has level %.3f", start, level)
					}
					if end := start + second*6/10; end+second/10 < len(pcm) {
						if level := oggLevel(pcm, end+960, end+second/10); level > 0.0005 {
							t.Errorf("%.5f instead of silence after the tone at %d", level, start)
						}
					}
				}
			})
		}
	}
}

// Cut anywhere, the file plays up to its last whole page.
func TestOggOpusPlaysWhereverItIsCut(t *testing.T) {
	var file bytes.Buffer
	s := beeps(t, &file, codec.Config{Bitrate: codec.MinBitrate}, 0, 0, audio.SampleRate, 2*audio.SampleRate)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	var ends []int // of pages
	for i := range whole {
		if bytes.HasPrefix(whole[i:], []byte("OggS\x00")) {
			ends = append(ends, i)
		}
	}
	ends = append(ends, len(whole))
	if len(ends) < 5 {
		t.Fatalf("only %d pages", len(ends)-1)
	}
	most := 0
	for cut := ends[3]; cut <= len(whole); cut++ { // headers and a page of audio are there
		pcm, err := playOgg(whole[:cut])
		if err != nil {
			t.Fatalf("cut after %d of %d bytes: %v", cut, len(whole), err)
		}
		if len(pcm) < most || len(pcm) < audio.SampleRate/2 {
			t.Fatalf("cut after %d bytes %d samples are left, %d before", cut, len(pcm), most)
		}
		most = len(pcm)
	}
	if int64(most) != s.Position()-oggopus.DefaultPreSkip {
		t.Errorf("%d samples in the end", most)
	}
}

// Other players agree, where they are installed.
func TestOggOpusPlaysElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beeps.ogg")
	var file bytes.Buffer
	s := beeps(t, &file, codec.Config{}, 5, 2*audio.SampleRate, 5*audio.SampleRate)
	want := float64(s.Position()) / audio.SampleRate
	if err := errors.Join(s.Close(), os.WriteFile(path, file.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Run("opusinfo", func(t *testing.T) {
		out := tool(t, "opusinfo", path)
		if strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") || !strings.Contains(out, "Pre-skip: 312") {
			t.Errorf("%s", out)
		}
	})
	t.Run("ffprobe", func(t *testing.T) {
		out := tool(t, "ffprobe", "-v", "warning", "-show_entries", "format=duration", "-of", "csv=p=0", path)
		seconds, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if err != nil || math.Abs(seconds-want) > 0.01 {
			t.Errorf("%s, want %.3f s and no warning", out, want)
		}
	})
	t.Run("ffmpeg", func(t *testing.T) {
		raw := filepath.Join(t.TempDir(), "beeps.raw")
		if out := tool(t, "ffmpeg", "-v", "warning", "-i", path, "-f", "s16le", "-ac", "1", "-ar", "48000", raw); out != "" {
			t.Errorf("%s", out)
		}
		b, err := os.ReadFile(raw)
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, len(b)/2)
		for i := range pcm {
			pcm[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
		}
		if d := float64(len(pcm)) - want*audio.SampleRate; math.Abs(d) > 1000 {
			t.Fatalf("%d samples, want %.0f", len(pcm), want*audio.SampleRate)
		}
		for second, loud := range []bool{false, false, true, false, false, true} {
			from := second*audio.SampleRate + 4800
			if level := oggLevel(pcm, from, from+audio.SampleRate/3); (level > 0.2) != loud || !loud && level > 0.001 {
				t.Errorf("second %d has level %.4f", second, level)
			}
		}
	})
}

// tool runs a program and returns all it prints; it skips where there is none.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s", name)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
