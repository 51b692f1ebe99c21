package session

import (
	"math"
	"time"
)

// Constants of the E-model, ITU-T G.107, all other impairments at their
// defaults. Opus has no standardised Ie and Bpl; the values are those of a
// codec without impairment of its own and with good concealment, so the result
// is an estimate.
const (
	baseRating     = 93.2 // R with default parameters and no delay
	lossRobustness = 25   // Bpl, packet-loss robustness factor, in percent
)

// Rating is the estimated transmission rating factor R of G.107: 93 is as good
// as a telephone line gets, below 60 people complain. mouthToEar is the
// one-way delay, lost the share of speech that had to be concealed, 0 to 1.
func Rating(mouthToEar time.Duration, lost float64) float64 {
	ppl := 100 * min(max(lost, 0), 1)
	loss := 95 * ppl / (ppl + lossRobustness) // Ie,eff for Ie = 0, random loss (G.107, 3.5)
	return min(max(baseRating-delayImpairment(mouthToEar)-loss, 0), 100)
}

// delayImpairment is Idd of G.107, 3.4.
func delayImpairment(mouthToEar time.Duration) float64 {
	ms := float64(mouthToEar) / float64(time.Millisecond)
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// MOS turns a rating into an estimated mean opinion score, 1 to 4.5 (G.107,
// Annex B).
func MOS(rating float64) float64 {
	r := rating
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return min(max(1+0.035*r+r*(r-60)*(100-r)*7e-6, 1), 4.5)
}
