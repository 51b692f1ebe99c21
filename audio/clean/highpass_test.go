package clean_test

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
)

// Amplitude of a Butterworth filter of second order: 1/√(1+(80/f)⁴).
func TestHighPassTakesRumbleAndLeavesVoice(t *testing.T) {
	for _, hz := range []float64{10, 20, 40, 80, 100, 160, 320, 1000, 8000} {
		in := sine(hz)
		out := audiotest.Process(&clean.HighPass{}, in, nil)
		got := level(seconds(out, 0.5, 1)) - level(seconds(in, 0.5, 1))
		want := -10 * math.Log10(1+math.Pow(clean.HighPassCutoff/hz, 4))
		if math.Abs(got-want) > 0.1 {
			t.Errorf("%v Hz: %.2f dB, want %.2f", hz, got, want)
		}
	}
	offset := make([]float32, 48000)
	for i := range offset {
		offset[i] = 0.3
	}
	if l := level(seconds(audiotest.Process(&clean.HighPass{}, offset, nil), 0.5, 1)); l > -96 {
		t.Errorf("of a constant offset %.0f dBFS are left", l)
	}
	said := voice(t, "ben", 6*time.Second, 0)
	out := audiotest.Process(&clean.HighPass{}, said, nil)
	if changed := level(spoken(said, out)) - level(spoken(said, said)); math.Abs(changed) > 0.5 {
		t.Errorf("a low voice changed by %.2f dB", changed)
	}
	if stoi := audiotest.STOI(said, out); stoi < 0.99 {
		t.Errorf("STOI %.3f", stoi)
	}
}
