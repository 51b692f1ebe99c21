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
	for _, x := range pcm {
		if !finite(x) {
			continue
		}
		v := math.Abs(float64(x))
		peak = max(peak, v)
		square += v * v
	}
	if len(pcm) > 0 {
		square /= float64(len(pcm))
	}
	return peak, square
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
