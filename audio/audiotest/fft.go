package audiotest

import (
	"math"
	"math/bits"
	"math/cmplx"
	"sync"
)

// fft is a complex Fourier transform of a length that is a power of two
// (Cooley and Tukey 1965, in place, decimation in time).
type fft struct {
	n       int
	twiddle []complex128 // of the stage that joins blocks of h: e^(-πi·k/h) at h+k, k < h
}

// keptTransform is the longest transform that is kept for the next time.
const keptTransform = 1 << 16

var transforms sync.Map // by their length

// newFFT is a transform that may be shared.
func newFFT(n int) *fft {
	if f, ok := transforms.Load(n); ok {
		return f.(*fft)
	}
	f := &fft{n: n, twiddle: make([]complex128, n)}
	for k := range n / 2 {
		f.twiddle[n/2+k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	for half := n / 4; half > 0; half /= 2 {
		for k := range half {
			f.twiddle[half+k] = f.twiddle[2*(half+k)]
		}
	}
	if n <= keptTransform {
		transforms.Store(n, f)
	}
	return f
}

// forward transforms x, of length n, in place.
func (f *fft) forward(x []complex128) {
	shift := bits.LeadingZeros64(uint64(f.n)) + 1
	for i := range x {
		j := int(bits.Reverse64(uint64(i)) >> shift)
		if f.n > 1 && i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < f.n; half *= 2 {
		twiddle := f.twiddle[half : 2*half]
		for start := 0; start < f.n; start += 2 * half {
			lo := x[start : start+half]
			hi := x[start+half : start+2*half]
			for k, w := range twiddle {
				t := hi[k] * w
				lo[k], hi[k] = lo[k]+t, lo[k]-t
			}
		}
	}
}

// inverse undoes forward.
func (f *fft) inverse(x []complex128) {
	for i := range x {
		x[i] = cmplx.Conj(x[i])
	}
	f.forward(x)
	scale := 1 / float64(f.n)
	for i := range x {
		x[i] = complex(real(x[i])*scale, -imag(x[i])*scale)
	}
}

// powerOfTwo is the smallest power of two that is at least n.
func powerOfTwo(n int) int {
	if n < 2 {
		return 1
	}
	return 1 << bits.Len(uint(n-1))
}
