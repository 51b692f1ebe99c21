package audio

import (
	"math"
	"time"
)

// FloorDBFS is the lowest level that is ever reported, and the level of
// digital silence: the quantisation step of 16 bit PCM.
const FloorDBFS = -96.0

// MeterRelease is the time constant with which the level of a Meter falls: to
// 1/e of the amplitude, 8.7 dB, in each 300 ms.
const MeterRelease = 300 * time.Millisecond

// DBFS converts an amplitude (1 is full scale) to decibels, never less than
// FloorDBFS. An amplitude that isn't a number is silence.
func DBFS(amplitude float64) float64 {
	if !(amplitude > 0) {
		return FloorDBFS
	}
	return max(FloorDBFS, 20*math.Log10(amplitude))
}

// Amplitude converts decibels to an amplitude; at FloorDBFS and below, and for
// what isn't a number, it is 0.
func Amplitude(dbfs float64) float64 {
	if !(dbfs > FloorDBFS) {
		return 0
	}
	return math.Pow(10, dbfs/20)
}

// Level is how loud audio is, in dBFS, FloorDBFS to 0 and above if the audio
// leaves -1..1. RMS is relative to a square wave at full scale as in RFC 6464:
// a sine at full scale has a peak of 0 and an RMS of -3.01.
type Level struct {
	Peak float64
	RMS  float64
}

// Measure is the level of pcm alone. Samples that aren't finite count as 0.
func Measure(pcm []float32) Level {
	peak, square := measure(pcm)
	return Level{Peak: DBFS(peak), RMS: DBFS(math.Sqrt(square))}
}

// measure returns the highest amplitude and the mean square.
func measure(pcm []float32) (peak, square float64) {
	most, sum := squares(pcm)
	if sum-sum != 0 { // something isn't finite
		most, sum = 0, 0
		for _, x := range pcm {
			if finite(x) {
				s := float64(x) * float64(x)
				most, sum = max(most, s), sum+s
			}
		}
	}
	return math.Sqrt(most), sum / max(1, float64(len(pcm)))
}

// squares returns the greatest square and the sum of all: four at a time, since each
// voice is measured in every block. The square of a float32 is exact, and no number
// of finite ones overflows.
func squares(pcm []float32) (most, sum float64) {
	var a, b, c, d float64
	for ; len(pcm) >= 4; pcm = pcm[4:] {
		x, y, z, w := float64(pcm[0]), float64(pcm[1]), float64(pcm[2]), float64(pcm[3])
		x, y, z, w = x*x, y*y, z*z, w*w
		a, b, c, d = a+x, b+y, c+z, d+w
		most = greater(greater(most, x), greater(y, greater(z, w)))
	}
	for _, x := range pcm {
		s := float64(x) * float64(x)
		most, a = max(most, s), a+s
	}
	return most, a + b + c + d
}

// greater is max for what is known not to be NaN, which takes less.
func greater(x, y float64) float64 {
	if x > y {
		return x
	}
	return y
}

// Meter follows the level of a stream of 48 kHz mono PCM: it rises at once with
// each block and falls with MeterRelease. The zero value shows silence. It is
// not safe for concurrent use.
type Meter struct {
	peak float64 // amplitude
	rms  float64 // amplitude
}

// Push measures the next samples of the stream; their number decides how far
// the level falls, so blocks of any length give the same reading.
func (m *Meter) Push(pcm []float32) {
	keep := math.Exp(-float64(len(pcm)) / (SampleRate * MeterRelease.Seconds()))
	peak, square := measure(pcm)
	m.peak = max(peak, m.peak*keep)
	m.rms = max(math.Sqrt(square), m.rms*keep)
}

// Level is the reading after the last Push.
func (m *Meter) Level() Level {
	return Level{Peak: DBFS(m.peak), RMS: DBFS(m.rms)}
}
