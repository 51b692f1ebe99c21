package audiotest_test

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
)

func powerOf(pcm []float32) float64 {
	sum := 0.0
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return sum
}

func TestRoomDelaysAndDecays(t *testing.T) {
	const gain = 0.5
	r := audiotest.Room{Delay: 30 * time.Millisecond, RT60: 300 * time.Millisecond, Gain: gain, Seed: 1}
	impulse := make([]float32, audio.SampleRate)
	impulse[100] = 1
	echo := r.Echo(impulse)
	direct := 100 + audiotest.Samples(r.Delay)
	if e := powerOf(echo[:direct]); e > 1e-9 {
		t.Errorf("%g is heard before the direct sound", e)
	}
	if e := powerOf(echo); math.Abs(e/(gain*gain)-1) > 0.01 {
		t.Errorf("the energy is %g, want %g", e, gain*gain)
	}
	if share := float64(echo[direct]) * float64(echo[direct]) / powerOf(echo); share < 0.4 || share > 0.6 {
		t.Errorf("the direct sound is %.2f of the energy, want about half", share)
	}
	// 60 dB in 300 ms are 20 dB in 100 ms.
	early := powerOf(echo[direct+1:][:2400])
	late := powerOf(echo[direct+1+4800:][:2400])
	if fall := 10 * math.Log10(early/late); math.Abs(fall-20) > 1.5 {
		t.Errorf("reflections fall by %.1f dB in 100 ms, want 20", fall)
	}
}

func TestRoomIsLinear(t *testing.T) {
	r := audiotest.Room{Delay: 5 * time.Millisecond, RT60: 100 * time.Millisecond, Gain: 1, Seed: 2}
	a, b := audiotest.Babble(1, time.Second), audiotest.Babble(2, time.Second)
	sum := make([]float32, len(a))
	for i := range sum {
		sum[i] = a[i] + 2*b[i]
	}
	ea, eb := r.Echo(a), r.Echo(b)
	for i, x := range r.Echo(sum) {
		if math.Abs(float64(x-ea[i]-2*eb[i])) > 1e-4 {
			t.Fatalf("sample %d: the echo of a sum is not the sum of the echoes", i)
		}
	}
}

func TestRoomWithoutSound(t *testing.T) {
	if n := len((audiotest.Room{Gain: 1}).Echo(nil)); n != 0 {
		t.Errorf("the echo of nothing has %d samples", n)
	}
	pcm := []float32{1, 2, 3}
	if e := powerOf((audiotest.Room{}).Echo(pcm)); e != 0 {
		t.Errorf("a room in which nothing arrives gives %g", e)
	}
	// Without reflections it is a delay.
	if got := (audiotest.Room{Gain: 1}).Echo(pcm); math.Abs(float64(got[2]-3)) > 1e-6 {
		t.Errorf("%v, want it as it was", got)
	}
}
