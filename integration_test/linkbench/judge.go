package linkbench

import "fmt"

const mostStretched = 5 // percent of what is played

// Judge returns in words which bars calls miss, by their means.
func (c Case) Judge(calls []Call) (misses []string) {
	miss := func(wrong bool, format string, values ...any) {
		if wrong {
			misses = append(misses, fmt.Sprintf(format, values...))
		}
	}
	m, b := Summarise(calls), c.Bars
	buffer, concealed, rating := m["buffer"].Mean, m["concealed"].Mean, m["rating"].Mean
	if b.OrBuffer == 0 || buffer > b.OrBuffer || rating < b.OrRating {
		miss(b.Buffer > 0 && buffer > b.Buffer, "buffer %.1f > %.0f ms", buffer, b.Buffer)
		miss(concealed > b.Concealed, "concealed %.2f > %.1f %%", concealed, b.Concealed)
	}
	miss(b.Rate > 0 && m["rate"].Mean > b.Rate, "%.0f > %.0f kb/s", m["rate"].Mean, b.Rate)
	miss(m["stretched"].Mean > mostStretched, "stretched %.1f > %d %%", m["stretched"].Mean, mostStretched)
	for _, s := range b.After {
		var buffers, shares []float64
		for _, call := range calls {
			f := call.part(s)
			miss(f.Buffer == 0, "seed %d: nothing played from %v on", call.Seed, s.From)
			buffers, shares = append(buffers, f.Buffer), append(shares, f.Concealed)
		}
		miss(meanOf(buffers).Mean > s.Buffer, "from %v on buffer %.1f > %.0f ms", s.From, meanOf(buffers).Mean, s.Buffer)
		miss(meanOf(shares).Mean > s.Concealed, "from %v on concealed %.2f > %.1f %%", s.From, meanOf(shares).Mean, s.Concealed)
	}
	return misses
}
