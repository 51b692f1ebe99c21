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
	curvePiece  = 900 // steps of a curve that have one delay
	curveDrift  = 60  // steps by which that may be off: a busy machine
	curvesAlike = 0.6 // similarity of what is the same, coded twice
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
// how much later it is there on average, and how alike the two are: Pearson's
// coefficient of correlation of pieces, each of which may be somewhat earlier or later
// than the others, weighted by how much there is in them.
func (c *curve) find(in *curve, least time.Duration) (lag time.Duration, similarity float64) {
	x, y := c.amplitudes(), in.amplitudes()
	first := int(least / curveStep)
	lags := len(y) - len(x) - first + 1
	if lags < 1 {
		return 0, 0
	}
	var pieces []likeness
	all := 0.0
	for at := 0; at+curvePiece <= len(x); at += curvePiece {
		p := compare(x[at:at+curvePiece], y[at+first:at+first+lags+curvePiece-1])
		pieces = append(pieces, p)
		all += p.weight
	}
	if all == 0 {
		return 0, 0 // silence
	}
	for around := range lags {
		sum, mean := 0.0, 0.0
		for _, p := range pieces {
			from := max(0, around-curveDrift)
			best, at := p.best(from, min(lags, around+curveDrift+1))
			sum += p.weight * best
			mean += p.weight * float64(at)
		}
		if sum/all > similarity {
			lag, similarity = least+time.Duration(math.Round(mean/all))*curveStep, sum/all
		}
	}
	return lag, similarity
}

// likeness is how alike a piece of a curve is to another one, by how much later it
// would be there.
type likeness struct {
	weight float64
	r      []float64 // by lag, -1 to 1; 0 where there is silence
}

// best is the highest of them, and where it is.
func (l likeness) best(from, to int) (most float64, at int) {
	most, at = l.r[from], from
	for i := from + 1; i < to; i++ {
		if l.r[i] > most {
			most, at = l.r[i], i
		}
	}
	return most, at
}

// compare finds out how alike x is to each part of y.
func compare(x, y []float64) likeness {
	sumX, squareX := sums(x)
	n := float64(len(x))
	l := likeness{weight: math.Sqrt(max(0, n*squareX-sumX*sumX)), r: make([]float64, len(y)-len(x)+1)}
	for at := range l.r {
		part := y[at : at+len(x)]
		sumY, squareY := sums(part)
		both := 0.0
		for i := range x {
			both += x[i] * part[i]
		}
		if spread := (n*squareX - sumX*sumX) * (n*squareY - sumY*sumY); spread > 0 {
			l.r[at] = (n*both - sumX*sumY) / math.Sqrt(spread)
		}
	}
	return l
}

func sums(x []float64) (sum, squares float64) {
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum, squares
}
