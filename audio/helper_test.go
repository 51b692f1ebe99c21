package audio

import (
	"math"
	"math/rand/v2"
	"testing"
)

// assertNoAllocs fails if f allocates once it is warm.
func assertNoAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if raceEnabled {
		return
	}
	f()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s allocates %.0f times", name, n)
	}
}

// sine is n samples of a sine.
func sine(n int, rate, frequency, amplitude float64) []float32 {
	pcm := make([]float32, n)
	for i := range pcm {
		pcm[i] = float32(amplitude * math.Sin(2*math.Pi*frequency*float64(i)/rate))
	}
	return pcm
}

// noise is n samples of white noise of the given peak, the same for a seed.
func noise(n int, seed uint64, peak float64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	pcm := make([]float32, n)
	for i := range pcm {
		pcm[i] = float32((rng.Float64()*2 - 1) * peak)
	}
	return pcm
}

// partial is the amplitude of the sine of a frequency in pcm, measured with a
// 4-term Blackman-Harris window (side lobes 92 dB down).
func partial(pcm []float32, rate, frequency float64) float64 {
	var re, im, sum float64
	n := float64(len(pcm))
	for i, x := range pcm {
		u := 2 * math.Pi * float64(i) / n
		w := 0.35875 - 0.48829*math.Cos(u) + 0.14128*math.Cos(2*u) - 0.01168*math.Cos(3*u)
		sin, cos := math.Sincos(2 * math.Pi * frequency * float64(i) / rate)
		re += w * float64(x) * cos
		im += w * float64(x) * sin
		sum += w
	}
	return 2 * math.Hypot(re, im) / sum
}

// rmsOf is the root of the mean square.
func rmsOf(pcm []float32) float64 {
	_, square := measure(pcm)
	return math.Sqrt(square)
}

// blocks cuts pcm into blocks and drops the rest.
func blocks(pcm []float32) []Block {
	out := make([]Block, len(pcm)/BlockSamples)
	for i := range out {
		copy(out[i][:], pcm[i*BlockSamples:])
	}
	return out
}
