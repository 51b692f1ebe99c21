package audiotest

import (
	"math"
	"math/cmplx"
)

// correlate returns c[i] = Σ ref[k]·rec[lo+i+k] for i from 0 to count-1; rec is
// 0 outside. It works in overlapping pieces (overlap-save), two at a time as the
// real and the imaginary part of one transform; for a few places directly.
func correlate(ref, rec []float32, lo, count int) []float64 {
	if count <= 64 {
		return correlateFew(ref, rec, lo, count)
	}
	n := transformLength(len(ref), count)
	step := n - len(ref) + 1
	f := newFFT(n)
	kernel := make([]complex128, n)
	for i, x := range ref {
		kernel[i] = complex(float64(x), 0)
	}
	f.forward(kernel)
	for i := range kernel {
		kernel[i] = cmplx.Conj(kernel[i])
	}
	out := make([]float64, count)
	buf := make([]complex128, n)
	for at := 0; at < count; at += 2 * step {
		for i := range buf {
			buf[i] = complex(sampleAt(rec, lo+at+i), sampleAt(rec, lo+at+step+i))
		}
		f.forward(buf)
		for i := range buf {
			buf[i] *= kernel[i]
		}
		f.inverse(buf)
		for i := range step {
			if at+i < count {
				out[at+i] = real(buf[i])
			}
			if at+step+i < count {
				out[at+step+i] = imag(buf[i])
			}
		}
	}
	return out
}

// transformLength is the length of transform with which correlate has least to do.
func transformLength(ref, count int) (best int) {
	least := math.Inf(1)
	for n := powerOfTwo(ref + 1); ; n *= 2 {
		pairs := math.Ceil(float64(count) / float64(2*(n-ref+1)))
		if work := (1 + 2*pairs) * float64(n) * math.Log2(float64(n)); work < least {
			least, best = work, n
		}
		if pairs <= 1 {
			return best
		}
	}
}

// correlateFew is correlate by its definition.
func correlateFew(ref, rec []float32, lo, count int) []float64 {
	out := make([]float64, count)
	for i := range out {
		from, to := max(0, -(lo+i)), min(len(ref), len(rec)-(lo+i))
		for k := from; k < to; k++ {
			out[i] += float64(ref[k]) * float64(rec[lo+i+k])
		}
	}
	return out
}

func sampleAt(pcm []float32, i int) float64 {
	if i < 0 || i >= len(pcm) {
		return 0
	}
	return float64(pcm[i])
}

// energyOf is Σ x².
func energyOf(pcm []float32) float64 {
	sum := 0.0
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return sum
}

// normalise divides a correlation by the energies of the reference and of the
// part of the recording it was laid on, which makes it the cosine between the
// two, -1 to 1. Parts more than 30 dB below the loudest part, or below -80 dBFS,
// count as that loud: what is nearly silence resembles anything.
func normalise(c []float64, ref, rec []float32, lo int) {
	size := len(ref)
	energies := make([]float64, len(c))
	window, loudest := 0.0, 0.0
	for k := range size {
		x := sampleAt(rec, lo+k)
		window += x * x
	}
	for i := range energies {
		energies[i] = window
		loudest = max(loudest, window)
		old, fresh := sampleAt(rec, lo+i), sampleAt(rec, lo+i+size)
		window = max(0, window+fresh*fresh-old*old)
	}
	floor := max(loudest*1e-3, 1e-8*float64(size))
	refEnergy := max(energyOf(ref), 1e-8*float64(size))
	for i := range c {
		c[i] /= math.Sqrt(refEnergy * max(energies[i], floor))
	}
}
