package audiotest

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-voice/parley/audio"
)

// Room is the way from a speaker to a microphone beside it: how the sound of one
// moment arrives, from the direct sound on. The zero value is a room in which
// nothing arrives.
type Room struct {
	Delay time.Duration // of the direct sound: the devices', and the way through the air
	RT60  time.Duration // in which what is reflected falls by 60 dB
	Gain  float64       // of all together, as an amplitude
	Seed  uint64        // of the walls
}

// Echo is what the microphone hears of pcm, from the beginning of pcm on, as long
// as pcm is.
//
// The reflections are noise that falls exponentially, as in Polack's model of a
// room (J.-D. Polack, thesis, 1988), together as strong as the direct sound at an
// RT60 of 300 ms; what is below -40 dB is left out.
func (r Room) Echo(pcm []float32) []float32 {
	h := r.response()
	if len(h) == 0 || len(pcm) == 0 {
		return make([]float32, len(pcm))
	}
	slices.Reverse(h)
	out := make([]float32, len(pcm))
	for i, y := range correlate(h, pcm, 1-len(h), len(pcm)) {
		out[i] = float32(y)
	}
	return out
}

// response is the room's answer to an impulse, with an energy of the square of
// Gain.
func (r Room) response() []float32 {
	if r.Gain == 0 {
		return nil
	}
	const cut = 2.0 / 3                              // of RT60: 40 dB
	rng := rand.New(rand.NewPCG(r.Seed, 0x726f6f6d)) //nolint:gosec // reproducible, not secret
	direct := Samples(r.Delay)
	h := make([]float64, direct+1+int(cut*float64(Samples(r.RT60))))
	h[direct] = 1
	energy := 1.0
	// The energy of the reflections together is density²·∫10^(-6t/RT60)dt.
	density := math.Sqrt(6 * math.Ln10 / (0.3 * audio.SampleRate))
	for i := direct + 1; i < len(h); i++ {
		t := float64(i-direct) / audio.SampleRate
		h[i] = density * rng.NormFloat64() * math.Pow(10, -3*t/r.RT60.Seconds())
		energy += h[i] * h[i]
	}
	out := make([]float32, len(h))
	for i, x := range h {
		out[i] = float32(x * r.Gain / math.Sqrt(energy))
	}
	return out
}
