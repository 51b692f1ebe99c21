package speex_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/speex"
)

// The bar: noise falls by at least 10 dB, the voice changes by less than 1 dB,
// and is understood as well as before.
func TestNoiseFallsAndVoiceStays(t *testing.T) {
	const from, to = 3, 13
	said := voice(t, "anna", to*time.Second)
	for _, dbfs := range []float64{-65, -55, -45} {
		t.Run(fmt.Sprintf("noise at %.0f dBFS", dbfs), func(t *testing.T) {
			mic := sum(said, noise(len(said), 1, dbfs))
			out := seconds(clean(newProcessor(t, speex.Config{NoEcho: true}), mic, nil), from, to)
			said, mic := seconds(said, from, to), seconds(mic, from, to)
			down := level(where(said, mic, false)) - level(where(said, out, false))
			changed := level(where(said, out, true)) - level(where(said, said, true))
			before, after := audiotest.STOI(said, mic), audiotest.STOI(said, out)
			t.Logf("noise -%.1f dB, voice %+.2f dB, STOI %.3f, before %.3f", down, changed, after, before)
			if down < 10 {
				t.Errorf("noise fell by %.1f dB, want 10", down)
			}
			if math.Abs(changed) >= 1 {
				t.Errorf("the voice changed by %.2f dB, want less than 1", changed)
			}
			if after < before-0.01 {
				t.Errorf("STOI fell from %.3f to %.3f", before, after)
			}
		})
	}
}

func TestNoiseSuppressionIsSettable(t *testing.T) {
	mic := noise(4*48000, 1, -50)
	var last float64
	for i, depth := range []int{5, 15, 30} {
		out := clean(newProcessor(t, speex.Config{NoEcho: true, NoiseSuppression: depth}), mic, nil)
		down := level(seconds(mic, 2, 3)) - level(seconds(out, 2, 3))
		if math.Abs(down-float64(depth)) > float64(depth)/4+1 {
			t.Errorf("asked for %d dB, it is %.1f", depth, down)
		}
		if i > 0 && down < last+3 {
			t.Errorf("%d dB make %.1f, hardly more than %.1f", depth, down, last)
		}
		last = down
	}
	kept := clean(newProcessor(t, speex.Config{NoNoise: true}), mic, nil)
	if down := level(seconds(mic, 2, 3)) - level(seconds(kept, 2, 3)); math.Abs(down) > 0.5 {
		t.Errorf("with NoNoise noise fell by %.1f dB", down)
	}
}
