package audiotest

import (
	"math"
	"math/cmplx"
)

// Constants of STOI: C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An
// Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy
// Speech", IEEE TASLP 19(7), 2011, sections II and III.
const (
	stoiRate    = 10000
	stoiFrame   = 256
	stoiHop     = stoiFrame / 2
	stoiFFT     = 512
	stoiBands   = 15
	stoiLowest  = 150.0 // Hz, centre of the first third-octave band
	stoiSegment = 30    // frames, 384 ms
	stoiRange   = 40.0  // dB below the loudest frame where silence begins
	stoiBeta    = 15.0  // dB, lower bound of the signal-to-distortion ratio
)

// STOI is the short-time objective intelligibility of degraded, 1 for a perfect
// copy, with clean as the reference. Both are 48 kHz and must be aligned: an
// error of 1 ms costs little, 20 ms ruins the measure (see Intelligibility). What
// is longer is cut. Silence in clean doesn't count. It is NaN if clean has less
// than 384 ms of speech.
//
// Speech through Opus at 32 kb/s has about .99, below .90 something is broken,
// and at .75 listeners begin to miss words.
func STOI(clean, degraded []float32) float64 {
	n := min(len(clean), len(degraded))
	x, y := resample(clean[:n], stoiRate), resample(degraded[:n], stoiRate)
	x, y = withoutSilence(x, y)
	bx, by := bandEnvelopes(x), bandEnvelopes(y)
	frames := len(bx)
	if frames < stoiSegment {
		return math.NaN()
	}
	sum := 0.0
	var sx, sy [stoiSegment]float64
	for end := stoiSegment; end <= frames; end++ {
		for band := range stoiBands {
			for i := range stoiSegment {
				sx[i] = bx[end-stoiSegment+i][band]
				sy[i] = by[end-stoiSegment+i][band]
			}
			sum += segmentCorrelation(&sx, &sy)
		}
	}
	return sum / float64(stoiBands*(frames-stoiSegment+1))
}

// segmentCorrelation is the intermediate intelligibility measure of one band in
// one segment: equations 2 to 5.
func segmentCorrelation(x, y *[stoiSegment]float64) float64 {
	const eps = 2.220446049250313e-16
	var xx, yy float64
	for i := range x {
		xx += x[i] * x[i]
		yy += y[i] * y[i]
	}
	alpha := math.Sqrt(xx) / (math.Sqrt(yy) + eps)
	clip := 1 + math.Pow(10, stoiBeta/20)
	var mx, my float64
	for i := range y {
		y[i] = math.Min(alpha*y[i], x[i]*clip)
		mx += x[i] / stoiSegment
		my += y[i] / stoiSegment
	}
	var xy, vx, vy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy, vx, vy = xy+dx*dy, vx+dx*dx, vy+dy*dy
	}
	return xy / ((math.Sqrt(vx) + eps) * (math.Sqrt(vy) + eps))
}

// hann is the Hann window without its zeros.
func hann(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/float64(n+1))
	}
	return w
}

// withoutSilence drops the frames of both whose energy in x is more than 40 dB
// below the loudest and joins the rest by overlap-add.
func withoutSilence(x, y []float32) (xs, ys []float32) {
	window := hann(stoiFrame)
	var energies []float64
	loudest := 0.0
	for at := 0; at+stoiFrame <= len(x); at += stoiHop {
		e := 0.0
		for i, w := range window {
			v := w * float64(x[at+i])
			e += v * v
		}
		energies = append(energies, e)
		loudest = max(loudest, e)
	}
	threshold := max(loudest*math.Pow(10, -stoiRange/10), 1e-12)
	xs, ys = make([]float32, len(x)+stoiFrame), make([]float32, len(x)+stoiFrame)
	to := 0
	for k, e := range energies {
		if e <= threshold {
			continue
		}
		for i, w := range window {
			xs[to+i] += float32(w) * x[k*stoiHop+i]
			ys[to+i] += float32(w) * y[k*stoiHop+i]
		}
		to += stoiHop
	}
	if to == 0 {
		return nil, nil
	}
	return xs[:to+stoiHop], ys[:to+stoiHop]
}

// bandEnvelopes is the amplitude in each third-octave band of each frame.
func bandEnvelopes(x []float32) [][stoiBands]float64 {
	window := hann(stoiFrame)
	edges := bandEdges(stoiRate, stoiFFT)
	f := newFFT(stoiFFT)
	buf := make([]complex128, stoiFFT)
	var out [][stoiBands]float64
	for at := 0; at+stoiFrame <= len(x); at += 2 * stoiHop {
		clear(buf)
		for i, w := range window {
			buf[i] = complex(w*float64(x[at+i]), w*sampleAt(x, at+stoiHop+i))
		}
		f.forward(buf)
		first, second := bandAmplitudes(buf, &edges)
		out = append(out, first)
		if at+stoiHop+stoiFrame <= len(x) {
			out = append(out, second)
		}
	}
	return out
}

// bandAmplitudes is equation 1 for two frames, which were the real and the
// imaginary part of what the spectrum was made of.
func bandAmplitudes(spectrum []complex128, edges *[stoiBands][2]int) (first, second [stoiBands]float64) {
	n := len(spectrum)
	for b, edge := range edges {
		var p, q float64
		for k := edge[0]; k < edge[1]; k++ {
			z, mirror := spectrum[k], cmplx.Conj(spectrum[n-k])
			u, v := (z+mirror)/2, (z-mirror)/2
			p += real(u)*real(u) + imag(u)*imag(u)
			q += real(v)*real(v) + imag(v)*imag(v)
		}
		first[b], second[b] = math.Sqrt(p), math.Sqrt(q)
	}
	return first, second
}

// bandEdges is the first bin and the one after the last of each third-octave band.
func bandEdges(rate, size int) (edges [stoiBands][2]int) {
	bin := float64(rate) / float64(size)
	for b := range edges {
		centre := stoiLowest * math.Pow(2, float64(b)/3)
		edges[b][0] = int(math.Round(centre * math.Pow(2, -1.0/6) / bin))
		edges[b][1] = int(math.Round(centre * math.Pow(2, 1.0/6) / bin))
	}
	return edges
}

// SpurtScore is how a talk spurt arrived.
type SpurtScore struct {
	Span          // in the reference
	Match         // Offset is how much later it is in the recording than in the reference
	STOI  float64 // after alignment
}

// Intelligibility scores speech spurt by spurt: each talk spurt of clean (see
// Spurts; those of less than 384 ms of speech are left out) is looked for in rec
// at offsets between c.From and c.To, aligned, and scored by STOI. So a delay
// that changes between spurts costs nothing, one that changes within a spurt
// what it costs a listener. Only c.From and c.To are used; both 0 means ±500 ms
// around the offset of the whole. mean is weighted by length, NaN without any
// spurt.
func Intelligibility(clean, rec []float32, c OffsetsConfig) (mean float64, spurts []SpurtScore) {
	if c.From == 0 && c.To == 0 {
		c.From, c.To = around(clean, rec)
	}
	sum, weight := 0.0, 0.0
	for _, span := range Spurts(clean) {
		ref := clean[span.From:span.To]
		start := Duration(float64(span.From))
		m := FindWithin(ref, rec, start+c.From, start+c.To)
		at := Samples(m.Offset)
		m.Offset -= start
		score := STOI(ref, cut(rec, at, at+len(ref)))
		if math.IsNaN(score) {
			continue
		}
		spurts = append(spurts, SpurtScore{Span: span, Match: m, STOI: score})
		sum += score * float64(len(ref))
		weight += float64(len(ref))
	}
	if weight == 0 {
		return math.NaN(), nil
	}
	return sum / weight, spurts
}

// cut is pcm[from:to] with silence for what is outside of pcm.
func cut(pcm []float32, from, to int) []float32 {
	out := make([]float32, max(0, to-from))
	if from < len(pcm) && to > 0 {
		copy(out[max(0, -from):], pcm[max(0, from):min(len(pcm), to)])
	}
	return out
}
