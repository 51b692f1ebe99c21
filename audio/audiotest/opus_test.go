//go:build cgo && !race

package audiotest_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

// throughOpus encodes and decodes pcm in packets of 20 ms, of which the given
// share is lost and concealed.
func throughOpus(t testing.TB, pcm []float32, bitrate int, lost float64, seed uint64) []float32 {
	t.Helper()
	enc, err := opus.Codec{}.NewEncoder(codec.Config{Bitrate: bitrate, NoDTX: true})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := opus.Codec{}.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	size := enc.FrameSamples()
	buf, frame := make([]byte, codec.MaxPacketBytes), make([]float32, codec.MaxPacketSamples)
	var out []float32
	for at := 0; at+size <= len(pcm); at += size {
		packet, err := enc.Encode(buf, pcm[at:at+size])
		if err != nil {
			t.Fatal(err)
		}
		if rng.Float64() < lost || len(packet) == 0 {
			err = dec.Conceal(frame[:size:size])
		} else {
			_, err = dec.Decode(frame, packet)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame[:size]...)
	}
	return out
}

func TestChirpThroughOpusIsFoundTo300Microseconds(t *testing.T) {
	want := opus.Codec{}.Delay(codec.Config{})
	for _, d := range []time.Duration{20, 50, 100} {
		chirp := audiotest.Chirp(audiotest.ChirpConfig{Duration: d * time.Millisecond})
		sent := audiotest.Repeat(chirp, 730*time.Millisecond, 15*time.Second)
		got := throughOpus(t, sent, 32000, 0, 1)
		for at := time.Duration(0); at < 14*time.Second; at += 730 * time.Millisecond {
			m := audiotest.FindWithin(chirp, got, at-200*time.Millisecond, at+200*time.Millisecond)
			if off := m.Offset - at - want; off.Abs() > 300*time.Microsecond || m.Confidence < 0.8 {
				t.Errorf("chirp of %d ms at %v: off by %v, confidence %.2f", d, at, off, m.Confidence)
			}
		}
	}
}

// The numbers for recorded phrases at 32 kb/s without loss and with 10 % loss
// concealed are .995 and .936 on a minute of other speech.
func TestIntelligibilityThroughOpus(t *testing.T) {
	phrases := audiotest.Speech(t)
	clean := audiotest.Join(phrases, audio.SampleRate/2)
	tests := []struct {
		name     string
		bitrate  int
		lost     float64
		from, to float64
	}{
		{"32 kb/s", 32000, 0, 0.985, 1},
		{"12 kb/s", 12000, 0, 0.94, 0.995},
		{"32 kb/s, 10 % lost", 32000, 0.1, 0.88, 0.97},
		{"32 kb/s, 30 % lost", 32000, 0.3, 0.70, 0.90},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := append(make([]float32, 12345), throughOpus(t, clean, tt.bitrate, tt.lost, 2)...)
			mean, spurts := audiotest.Intelligibility(clean, rec, audiotest.OffsetsConfig{})
			t.Logf("STOI %.4f", mean)
			if !(mean >= tt.from && mean <= tt.to) {
				t.Errorf("STOI %.4f, want %.3f to %.3f", mean, tt.from, tt.to)
			}
			delay := opus.Codec{}.Delay(codec.Config{}).Seconds() + 12345.0/audio.SampleRate
			for _, s := range spurts {
				if tt.lost == 0 && math.Abs(s.Offset.Seconds()-delay) > 0.001 {
					t.Errorf("spurt at %d: offset %v, want %.4f s", s.From, s.Offset, delay)
				}
			}
		})
	}
}

func TestHeardThroughOpus(t *testing.T) {
	phrases := audiotest.Speech(t)
	for _, line := range []struct {
		bitrate int
		lost    float64
	}{{32000, 0}, {32000, 0.1}, {12000, 0}, {12000, 0.1}} {
		lowest, highest := 1.0, 0.0
		for i, p := range phrases {
			rec := append(make([]float32, 9999), throughOpus(t, p.PCM, line.bitrate, line.lost, uint64(i))...)
			for k, said := range phrases {
				h := audiotest.Heard(said.PCM, rec)
				if h.Heard != (i == k) {
					t.Errorf("%d b/s, %.0f %% lost: of %s heard %s: %+v", line.bitrate, 100*line.lost, p.Name, said.Name, h)
				}
				if i == k {
					lowest = min(lowest, h.Similarity)
				} else {
					highest = max(highest, h.Similarity)
				}
			}
		}
		t.Logf("%d b/s, %.0f %% lost: the same phrase at least %.3f, another at most %.3f", line.bitrate, 100*line.lost, lowest, highest)
	}
}
