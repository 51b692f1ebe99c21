package parley

import (
	"math"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
)

const (
	curveStep   = time.Millisecond
	curveSmooth = 60  // steps over which a curve is averaged: jitter buffers stretch, and so the delay changes meanwhile
	curvesAlike = 0.5 // similarity of what is the same, coded twice
)

// curve is how loud something was over time, from a moment on.
type curve struct {
	mu    sync.Mutex // guards what follows
	start time.Time  // zero before begin
	power []float32  // mean square of each step
	check audio.MicrophoneCheck
}

func newCurve(d time.Duration) *curve { return &curve{power: make([]float32, d/curveStep)} }

func (c *curve) begin(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = at
}

// add takes a block of which the first sample was spoken or heard at a time.
func (c *curve) add(b *audio.Block, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start.IsZero() {
		return
	}
	c.check.Push(b)
	const step = int(curveStep * codec.SampleRate / time.Second)
	first := int(at.Sub(c.start) / curveStep)
	for i := range len(b) / step {
		if k := first + i; k >= 0 && k < len(c.power) {
			sum := float32(0)
			for _, x := range b[i*step : (i+1)*step] {
				sum += x * x
			}
			c.power[k] = sum / float32(step)
		}
	}
}

// level is that of what was spoken, in dBFS.
func (c *curve) level() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check.Report().Speech
}

// amplitudes is the smoothed curve.
func (c *curve) amplitudes() []float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]float64, max(0, len(c.power)-curveSmooth+1))
	for i := range out {
		for _, p := range c.power[i : i+curveSmooth] {
			out[i] += float64(p)
		}
		out[i] = math.Sqrt(out[i] / curveSmooth)
	}
	return out
}

// find looks for c in another curve, later than that by at least so much, and returns
// how much later it is there, and how alike the two are: Pearson's coefficient of
// correlation.
func (c *curve) find(in *curve, least time.Duration) (lag time.Duration, similarity float64) {
	x, y := c.amplitudes(), in.amplitudes()
	sumX, squareX := sums(x)
	n := float64(len(x))
	for at := int(least / curveStep); at+len(x) <= len(y); at++ {
		part := y[at : at+len(x)]
		sumY, squareY := sums(part)
		both := 0.0
		for i := range x {
			both += x[i] * part[i]
		}
		spread := (n*squareX - sumX*sumX) * (n*squareY - sumY*sumY)
		if spread <= 0 {
			continue // silence
		}
		if r := (n*both - sumX*sumY) / math.Sqrt(spread); r > similarity {
			lag, similarity = time.Duration(at)*curveStep, r
		}
	}
	return lag, similarity
}

func sums(x []float64) (sum, squares float64) {
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum, squares
}
