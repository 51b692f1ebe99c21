package clean

import (
	"math"

	"github.com/parley-voice/parley/audio"
)

// HighPassCutoff is the frequency in Hz at which a HighPass takes 3 dB.
const HighPassCutoff = 80

// HighPass takes away what is below the lowest voice: rumble, hum of 50 Hz, wind, a
// desk that is knocked on, a constant offset. It falls by 12 dB per octave below
// HighPassCutoff, and delays nothing.
type HighPass struct {
	x1, x2, y1, y2 float64
}

// Butterworth of second order by the bilinear transform: R. Bristow-Johnson,
// "Cookbook formulae for audio EQ biquad filter coefficients", with Q = 1/√2.
var (
	highPassW     = 2 * math.Pi * HighPassCutoff / audio.SampleRate
	highPassAlpha = math.Sin(highPassW) / math.Sqrt2
	highPassB     = (1 + math.Cos(highPassW)) / 2 / (1 + highPassAlpha) // of x and x2; of x1 it is -2 times
	highPassA1    = -2 * math.Cos(highPassW) / (1 + highPassAlpha)
	highPassA2    = (1 - highPassAlpha) / (1 + highPassAlpha)
)

// Process filters mic.
func (h *HighPass) Process(mic, _ *audio.Block) {
	audio.Repair(mic[:])
	for i, s := range mic {
		x := float64(s)
		y := highPassB*(x-2*h.x1+h.x2) - highPassA1*h.y1 - highPassA2*h.y2
		if math.Abs(y) < 1e-20 {
			y = 0 // numbers that are nearly nothing are slow
		}
		h.x1, h.x2, h.y1, h.y2 = x, h.x1, y, h.y1
		mic[i] = float32(y)
	}
}
