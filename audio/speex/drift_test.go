package speex_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/speex"
)

// at is the sample at a place that needn't be whole.
func at(pcm []float32, place float64) float32 {
	k := int(place)
	if k+1 >= len(pcm) {
		return 0
	}
	f := float32(place - float64(k))
	return pcm[k]*(1-f) + pcm[k+1]*f
}

// The clock of the speakers is faster than the microphone's, and a session gives
// the mix as audio.Processor says: a block leaves out one sample now and then.
func TestEchoIsCancelledThoughClocksDiffer(t *testing.T) {
	const end = 14
	far := voice(t, "ben", (end+1)*time.Second)
	echo := laptop.Echo(far)
	for _, ppm := range []float64{30, 100, 300} {
		t.Run(fmt.Sprintf("%v ppm", ppm), func(t *testing.T) {
			speed := 1 + ppm*1e-6
			mic, mix := make([]float32, end*48000), make([]float32, end*48000)
			read, left := 0, 0
			for i := range mic {
				mic[i] = at(echo, float64(i)*speed)
				if i%480 == 0 && math.Floor(float64(i)*speed) > float64(read) {
					read++
					left++
				}
				mix[i] = far[read]
				read++
			}
			out := clean(newProcessor(t, speex.Config{}), sum(mic, noise(len(mic), 2, -70)), mix)
			got := loss(mic, out, 10, end)
			t.Logf("%d samples left out, echo return loss %.0f dB", left, got)
			if got < 20 || left == 0 {
				t.Errorf("echo return loss %.1f dB after 10 s and %d samples left out, want 20", got, left)
			}
		})
	}
}
