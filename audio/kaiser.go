package audio

import "math"

// Design of the resampler's low-pass, relative to the lower of the two Nyquist
// frequencies: flat up to passEdge, nothing left from 1 on.
const (
	stopBandDB = 92.0
	passEdge   = 0.905
)

// kaiserTable is a windowed-sinc low-pass cut into phases: row p holds the taps
// for an output that lies p/phases of an input sample after the middle of the
// window, which is tap taps/2-1. There is one row more than phases, so that rows
// p and p+1 can be interpolated. ratio is output rate / input rate.
//
// Length and shape follow Kaiser 1974 (Oppenheim and Schafer, "Discrete-Time
// Signal Processing", section 7.5): beta = 0.1102(A-8.7) and
// N = (A-7.95)/(2.285·transition width). Every row is scaled to a gain of
// exactly 1 at 0 Hz.
func kaiserTable(phases int, ratio float64) (table []float32, taps int) {
	cutoff := min(1, ratio)
	width := math.Pi * (1 - passEdge) * cutoff
	taps = int(math.Ceil((stopBandDB-7.95)/(2.285*width)))/2*2 + 2
	beta := 0.1102 * (stopBandDB - 8.7)
	middle := cutoff * (1 + passEdge) / 2
	half := float64(taps) / 2
	scale := 1 / besselI0(beta)
	row := make([]float64, taps)
	table = make([]float32, (phases+1)*taps)
	for p := range phases + 1 {
		sum := 0.0
		for k := range row {
			x := float64(k-(taps/2-1)) - float64(p)/float64(phases)
			u := x / half
			row[k] = 0
			if u > -1 && u < 1 {
				row[k] = middle * sinc(middle*x) * besselI0(beta*math.Sqrt(1-u*u)) * scale
			}
			sum += row[k]
		}
		for k, h := range row {
			table[p*taps+k] = float32(h / sum)
		}
	}
	return table, taps
}

// sinc is sin(πx)/(πx).
func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// besselI0 is the modified Bessel function of the first kind and order 0, by
// its power series.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
