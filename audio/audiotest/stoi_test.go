//go:build !race

// Nothing here is concurrent, and the race detector makes arithmetic slow.

package audiotest

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// material is recorded speech if it is installed, else Babble.
func material(tb testing.TB) []float32 {
	tb.Helper()
	phrases, err := LoadSpeech()
	if err != nil {
		tb.Logf("with synthetic speech: %v", err)
		return Babble(1, 12*time.Second)
	}
	return Join(phrases, audio.SampleRate/2)
}

// dropped silences a share of the 20 ms frames.
func dropped(pcm []float32, share float64, seed uint64) []float32 {
	out := append([]float32(nil), pcm...)
	chance := noise(len(pcm)/960+1, seed, 1)
	for i := 0; i+960 <= len(out); i += 960 {
		if (float64(chance[i/960])+1)/2 < share {
			clear(out[i : i+960])
		}
	}
	return out
}

func TestSTOIOrdersDegradations(t *testing.T) {
	clean := material(t)
	n := len(clean)
	speech := math.Sqrt(energyOf(clean) / float64(n))
	tests := []struct {
		name     string
		degraded []float32
		from, to float64
	}{
		{"a copy", clean, 0.99999, 1.00001},
		{"louder", scaled(clean, 3), 0.99999, 1.00001},
		{"1 ms later", Delayed(clean, 48)[:n], 0.99, 0.9999},
		{"5 ms later", Delayed(clean, 240)[:n], 0.93, 0.98},
		{"20 ms later", Delayed(clean, 960)[:n], 0.65, 0.80},
		{"1 % of frames lost", dropped(clean, 0.01, 1), 0.95, 0.998},
		{"10 % of frames lost", dropped(clean, 0.10, 1), 0.86, 0.96},
		{"30 % of frames lost", dropped(clean, 0.30, 1), 0.60, 0.78},
		{"noise 10 dB below", plus(clean, noise(n, 2, speech*math.Sqrt(3)*math.Pow(10, -0.5))), 0.75, 0.98},
		{"noise as loud", plus(clean, noise(n, 2, speech*math.Sqrt(3))), 0.5, 0.9},
		{"noise alone", noise(n, 2, 0.1), -0.1, 0.5},
		{"silence", make([]float32, n), -0.1, 0.1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := STOI(clean, tt.degraded)
			t.Logf("%.4f", got)
			if got < tt.from || got > tt.to {
				t.Errorf("%.4f, want %.3f to %.3f", got, tt.from, tt.to)
			}
		})
	}
}

func TestSTOINeedsSpeech(t *testing.T) {
	for name, clean := range map[string][]float32{
		"nothing":   nil,
		"silence":   make([]float32, 96000),
		"too short": Babble(1, 300*time.Millisecond),
	} {
		if got := STOI(clean, clean); !math.IsNaN(got) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestIntelligibilityAlignsEachSpurt(t *testing.T) {
	phrases := Speech(t)
	clean := Join(phrases, audio.SampleRate/2)
	var rec []float32
	for i, p := range phrases { // each phrase 7 ms later than the one before
		rec = append(rec, make([]float32, audio.SampleRate/2+336)...)
		if i == 3 {
			rec = append(rec, noise(len(p.PCM), 5, 0.05)...)
			continue
		}
		rec = append(rec, p.PCM...)
	}
	mean, spurts := Intelligibility(clean, rec, OffsetsConfig{})
	if len(spurts) < len(phrases) {
		t.Fatalf("%d spurts in %d phrases", len(spurts), len(phrases))
	}
	bad := 0
	for _, s := range spurts {
		if s.STOI < 0.5 {
			bad++
			continue
		}
		if s.STOI < 0.999 || s.Confidence < 0.999 {
			t.Errorf("spurt at %v: %+v", Duration(float64(s.From)), s)
		}
	}
	if bad == 0 || bad > 2 || mean > 0.97 || mean < 0.8 {
		t.Errorf("%d spurts are bad, the mean is %.3f", bad, mean)
	}
	if whole := STOI(clean, rec); whole > mean-0.1 {
		t.Errorf("without alignment %.3f, with it %.3f", whole, mean)
	}
}

func TestSpurtsAreWhereSpeechIs(t *testing.T) {
	voice := noise(48000, 1, 0.3)
	var pcm []float32
	pcm = append(pcm, make([]float32, 24000)...)
	pcm = append(pcm, voice[:24000]...)          // 0.5 to 1.0 s
	pcm = append(pcm, make([]float32, 4800)...)  // a gap of 100 ms doesn't end it
	pcm = append(pcm, voice[:9600]...)           // 1.1 to 1.3 s
	pcm = append(pcm, make([]float32, 24000)...) // 0.5 s do
	pcm = append(pcm, voice[:2400]...)           // 50 ms are a click, no talk
	pcm = append(pcm, make([]float32, 24000)...)
	pcm = append(pcm, scaled(voice[:24000], 0.1)...) // quieter by 20 dB, to the end
	got := Spurts(pcm)
	want := []Span{{24000 - 960, 62400 + 960}, {112800 - 960, 136800}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Spurts(make([]float32, 48000)); len(got) != 0 {
		t.Errorf("spurts in silence: %v", got)
	}
}
