package linkbench

import (
	"fmt"
	"math"
)

const mostStretched = 5 // percent of what is played

// past is how many standard errors beyond a bar a mean must be for the bar to be
// missed without a doubt.
const past = 2

// Judge returns in words which bars calls miss, by their means.
func (c Case) Judge(calls []Call) (misses []string) { return c.judge(calls, 0) }

// Barred tells whether a case has bars of its own, beside how much may be stretched.
func (c Case) Barred() bool {
	b := c.Bars
	return b.Buffer > 0 || b.Concealed < 100 || b.Rate > 0 || len(b.After) > 0
}

// JudgePastDoubt returns those that calls miss by more than chance explains: what is
// close to its bar is on one side in one run and on the other in the next.
func (c Case) JudgePastDoubt(calls []Call) (misses []string) { return c.judge(calls, past) }

// judge gives each mean so many standard errors of its own.
func (c Case) judge(calls []Call, errors float64) (misses []string) {
	miss := func(wrong bool, format string, values ...any) {
		if wrong {
			misses = append(misses, fmt.Sprintf(format, values...))
		}
	}
	above := func(m Mean, bar float64) bool { return m.Mean-errors*math.Sqrt(m.variance()) > bar }
	m, b := Summarise(calls), c.Bars
	buffer, concealed, rating, rate, stretched := m["buffer"], m["concealed"], m["rating"], m["rate"], m["stretched"]
	if b.OrBuffer == 0 || above(buffer, b.OrBuffer) || rating.Mean+errors*math.Sqrt(rating.variance()) < b.OrRating {
		miss(b.Buffer > 0 && above(buffer, b.Buffer), "buffer %.1f > %.0f ms", buffer.Mean, b.Buffer)
		miss(above(concealed, b.Concealed), "concealed %.2f > %.1f %%", concealed.Mean, b.Concealed)
	}
	miss(b.Rate > 0 && above(rate, b.Rate), "%.0f > %.0f kb/s", rate.Mean, b.Rate)
	miss(above(stretched, mostStretched), "stretched %.1f > %d %%", stretched.Mean, mostStretched)
	for _, s := range b.After {
		var buffers, shares []float64
		for _, call := range calls {
			f := call.part(s)
			miss(f.Buffer == 0, "seed %d: nothing played from %v on", call.Seed, s.From)
			buffers, shares = append(buffers, f.Buffer), append(shares, f.Concealed)
		}
		buffer, concealed := meanOf(buffers), meanOf(shares)
		miss(above(buffer, s.Buffer), "from %v on buffer %.1f > %.0f ms", s.From, buffer.Mean, s.Buffer)
		miss(above(concealed, s.Concealed), "from %v on concealed %.2f > %.1f %%", s.From, concealed.Mean, s.Concealed)
	}
	return misses
}
