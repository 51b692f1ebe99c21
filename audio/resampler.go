package audio

import "fmt"

// Rates that a Resampler converts from and to, in samples per second.
const (
	MinRate = 4000
	MaxRate = 384000
)

// maxPhases bounds the filter table. Ratios with more phases are interpolated
// linearly between two of this many rows, which leaves an error 106 dB below
// the signal, (π/512)²/8.
const maxPhases = 512

// Resampler converts a stream of mono PCM from one rate to another with a
// polyphase windowed-sinc filter: flat within 0.01 dB up to 0.9 of the lower
// Nyquist frequency, everything that would alias or mirror at least 90 dB down.
// It allocates nothing after NewResampler. It is not safe for concurrent use.
//
// The phase is exact: output sample n is the input at the time n·from/to, so
// sample 0 in is sample 0 out. What it needs of the future is held back instead:
// an output can be given as soon as the input reaches Lookahead samples beyond
// it. Flush gives what is held back at the end.
type Resampler struct {
	from, to int // without their common divisor
	table    []float32
	taps     int
	phases   int

	buf        []float32 // input, from before the first sample of the window on
	start, end int       // the window for the next output starts at start; input ends at end
	phase      int       // the next output is phase/to input samples after the window's middle
	in, out    int64     // samples in and out so far
}

// NewResampler makes a Resampler between two rates in samples per second, each
// MinRate to MaxRate; other rates are ErrFormat.
func NewResampler(from, to int) (*Resampler, error) {
	for _, rate := range []int{from, to} {
		if rate < MinRate || rate > MaxRate {
			return nil, fmt.Errorf("%w: rate of %d Hz, want %d to %d", ErrFormat, rate, MinRate, MaxRate)
		}
	}
	a, b := from, to
	for b != 0 {
		a, b = b, a%b
	}
	r := &Resampler{from: from / a, to: to / a}
	r.phases = min(r.to, maxPhases)
	r.table, r.taps = kaiserTable(r.phases, float64(to)/float64(from))
	r.buf = make([]float32, 2*r.taps+BlockSamples)
	r.Reset()
	return r, nil
}

// Reset forgets all input: the next sample is sample 0.
func (r *Resampler) Reset() {
	clear(r.buf)
	r.start, r.end = 0, r.taps/2-1
	r.phase, r.in, r.out = 0, 0, 0
}

// Lookahead is by how many input samples the input must be ahead of an output.
func (r *Resampler) Lookahead() int { return r.taps / 2 }

// Process converts as much of src as fits into dst, and returns how much of src
// it took and how much of dst it wrote. Either dst is full or src is used up.
func (r *Resampler) Process(dst, src []float32) (taken, written int) {
	for written < len(dst) {
		for r.start+r.taps > r.end {
			n := r.fill(src[taken:])
			if n == 0 {
				return taken, written
			}
			taken += n
			r.in += int64(n)
		}
		dst[written] = r.next()
		written++
	}
	return taken, written
}

// Flush writes what was held back, as if silence followed, and returns how much
// of dst it wrote; it is to be called until that is less than len(dst). All
// output together is then ceil(input·to/from) samples. Only Reset may follow.
func (r *Resampler) Flush(dst []float32) int {
	var silence [64]float32
	for i := range dst {
		if r.out*int64(r.from) >= r.in*int64(r.to) {
			return i
		}
		for r.start+r.taps > r.end {
			r.fill(silence[:])
		}
		dst[i] = r.next()
	}
	return len(dst)
}

// fill appends input to the buffer and returns how much it took.
func (r *Resampler) fill(src []float32) int {
	if r.end == len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	n := copy(r.buf[r.end:], src)
	r.end += n
	return n
}

// next is the output at the window's start, and moves on.
func (r *Resampler) next() float32 {
	window := r.buf[r.start : r.start+r.taps]
	at := r.phase * r.phases
	row, rest := at/r.to, at%r.to
	y := dot(window, r.table[row*r.taps:(row+1)*r.taps])
	if rest != 0 {
		z := dot(window, r.table[(row+1)*r.taps:(row+2)*r.taps])
		y += (z - y) * float32(rest) / float32(r.to)
	}
	r.phase += r.from
	r.start += r.phase / r.to
	r.phase %= r.to
	r.out++
	return y
}

// dot is the sum of the products of two slices of the same even length.
func dot(x, h []float32) float32 {
	h = h[:len(x)]
	var a, b float32
	for i := 0; i+1 < len(x); i += 2 {
		a += x[i] * h[i]
		b += x[i+1] * h[i+1]
	}
	return a + b
}
