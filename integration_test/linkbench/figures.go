package linkbench

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio/emodel"
)

// Sample is what one listener knows of one talker at a moment of a call.
// Counters are totals.
type Sample struct {
	At time.Duration `json:"at"` // since the call began

	Played    float64 `json:"played"` // ms, with Concealed the time that something was to be heard
	Concealed float64 `json:"concealed"`
	Discarded float64 `json:"discarded"`
	Stretched float64 `json:"stretched"`
	DelaySum  float64 `json:"delay_sum"` // ms squared: of what was played, times its jitterBufferDelay

	Target float64 `json:"target"` // ms, now
	Loss   float64 `json:"loss"`   // percent lost on the first try, as last reported to the talker
	Copies uint64  `json:"copies"` // sent by the talker
	Bytes  float64 `json:"bytes"`  // IP packets sent by the talker
}

// Call is one direction of a call.
type Call struct {
	Seed    uint64        `json:"seed"`
	OneWay  time.Duration `json:"one_way"` // of the link
	Age     time.Duration `json:"age"`     // which one packet in a hundred exceeds when it arrives; 0 if unknown
	Samples []Sample      `json:"samples"` // in their order
}

// Figures are what a direction of a call comes to, by W3C webrtc-stats'
// definitions of jitterBufferDelay and concealedSamples.
type Figures struct {
	Buffer    float64 `json:"buffer"`    // ms
	Concealed float64 `json:"concealed"` // percent of what was to be heard, discarded speech included
	Stretched float64 `json:"stretched"` // percent
	Rate      float64 `json:"rate"`      // kb/s of IP packets, once settled
	Rating    float64 `json:"rating"`    // R of G.107
	Copies    float64 `json:"copies"`    // sent, per packet
	Lost      float64 `json:"lost"`      // percent of packets that were missing when later ones came, as the talker is told
	Age       float64 `json:"age"`       // ms from the talker to the listener's buffer, of the oldest packet in a hundred
}

// fixed is what a conversation has beside link and buffer: a frame, the codec
// and the devices.
const fixed = 40 * time.Millisecond

// Figures returns what the whole call comes to.
func (c Call) Figures() Figures {
	if len(c.Samples) == 0 {
		return Figures{}
	}
	f := between(Sample{}, c.Samples[len(c.Samples)-1])
	settled := c.at(Settle)
	last := c.Samples[len(c.Samples)-1]
	if span := (last.At - settled.At).Seconds(); span > 0 {
		f.Rate = (last.Bytes - settled.Bytes) * 8 / 1000 / span
	}
	f.Rating = emodel.Rating(c.OneWay+fixed+time.Duration(f.Buffer*float64(time.Millisecond)), f.Concealed/100)
	f.Copies = float64(last.Copies) * 20 / max(1, last.Played+last.Concealed)
	for _, s := range c.Samples {
		f.Lost += s.Loss / float64(len(c.Samples))
	}
	f.Age = float64(c.Age) / float64(time.Millisecond)
	return f
}

// During returns the figures of a part of the call, without those of bytes. A
// To of 0 is its end.
func (c Call) During(from, to time.Duration) Figures {
	if to == 0 {
		to = math.MaxInt64
	}
	return between(c.at(from), c.at(to))
}

// part returns the figures of the part that a bar is about.
func (c Call) part(s Since) Figures {
	if s.Heard {
		word := c.firstWord()
		s.From += word
		if s.To != 0 {
			s.To += word
		}
	}
	return c.During(s.From, s.To)
}

// firstWord is when something was heard, to a sample.
func (c Call) firstWord() (before time.Duration) {
	for _, s := range c.Samples {
		if s.Played > 0 {
			break
		}
		before = s.At
	}
	return before
}

// at is the last sample that isn't after a time.
func (c Call) at(t time.Duration) (s Sample) {
	for _, next := range c.Samples {
		if next.At > t {
			break
		}
		s = next
	}
	return s
}

func between(a, b Sample) (f Figures) {
	played := b.Played - a.Played
	all := played + b.Concealed - a.Concealed
	if played > 0 {
		f.Buffer = (b.DelaySum - a.DelaySum) / played
	}
	if all > 0 {
		f.Concealed = min(100, 100*(b.Concealed-a.Concealed+b.Discarded-a.Discarded)/all)
		f.Stretched = 100 * (b.Stretched - a.Stretched) / all
	}
	return f
}

// Mean is a figure over several calls, and how far one of them is from the
// mean (standard deviation).
type Mean struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
	N    int     `json:"n"`
}

func meanOf(values []float64) Mean {
	m := Mean{N: len(values)}
	for _, v := range values {
		m.Mean += v / float64(m.N)
	}
	for _, v := range values {
		m.SD += (v - m.Mean) * (v - m.Mean) / float64(max(1, m.N-1))
	}
	m.SD = math.Sqrt(m.SD)
	return m
}

// names are the figures that tables and baselines have, in their order.
var names = []string{"buffer", "concealed", "rate", "stretched", "rating", "copies", "lost", "age"}

func (f Figures) list() []float64 {
	return []float64{f.Buffer, f.Concealed, f.Rate, f.Stretched, f.Rating, f.Copies, f.Lost, f.Age}
}

// Means are a case's figures by their names.
type Means map[string]Mean

// Summarise returns the means over calls.
func Summarise(calls []Call) Means {
	all := make([][]float64, len(names))
	for _, c := range calls {
		for i, v := range c.Figures().list() {
			all[i] = append(all[i], v)
		}
	}
	means := make(Means)
	for i, name := range names {
		means[name] = meanOf(all[i])
	}
	return means
}
