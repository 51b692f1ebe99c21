package audiotest

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio"
)

// Samples is the number of samples in d, to the nearest.
func Samples(d time.Duration) int {
	return int(math.Round(d.Seconds() * audio.SampleRate))
}

// Duration is how long n samples take.
func Duration(n float64) time.Duration {
	return time.Duration(math.Round(n / audio.SampleRate * float64(time.Second)))
}

// ChirpConfig describes a chirp. The zero value is one of 50 ms from 400 to
// 3600 Hz at -6 dBFS, which passes a speech codec well.
type ChirpConfig struct {
	Duration time.Duration // 0 means 50 ms; 20 to 100 ms are useful
	From, To float64       // Hz at the beginning and at the end; 0 means 400 and 3600
	Peak     float64       // amplitude; 0 means 0.5
}

// Chirp is a linear sweep under a sin² window: short, loud, without clicks at
// its edges, and with a correlation that has one sharp peak.
func Chirp(c ChirpConfig) []float32 {
	if c.Duration <= 0 {
		c.Duration = 50 * time.Millisecond
	}
	if c.From == 0 {
		c.From = 400
	}
	if c.To == 0 {
		c.To = 3600
	}
	if c.Peak == 0 {
		c.Peak = 0.5
	}
	n := Samples(c.Duration)
	pcm := make([]float32, n)
	seconds := float64(n) / audio.SampleRate
	for i := range pcm {
		t := float64(i) / audio.SampleRate
		window := math.Sin(math.Pi * (float64(i) + 0.5) / float64(n))
		phase := 2 * math.Pi * (c.From*t + (c.To-c.From)*t*t/(2*seconds))
		pcm[i] = float32(c.Peak * window * window * math.Sin(phase))
	}
	return pcm
}

// Repeat puts pcm at the times 0, every, 2·every, ... into total of silence. What
// reaches beyond total is cut off.
func Repeat(pcm []float32, every, total time.Duration) []float32 {
	out := make([]float32, Samples(total))
	for at := 0; at < len(out); at += max(1, Samples(every)) {
		for i, x := range pcm[:min(len(pcm), len(out)-at)] {
			out[at+i] += x
		}
	}
	return out
}

// Delayed is pcm after n samples of silence; a negative n cuts its beginning.
func Delayed(pcm []float32, n int) []float32 {
	if n < 0 {
		return append([]float32(nil), pcm[min(len(pcm), -n):]...)
	}
	return append(make([]float32, n, n+len(pcm)), pcm...)
}
