package linkbench

import (
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// Settle is how long a call takes to begin; bytes are counted after it.
const Settle = 5 * time.Second

// Case is an emulated link, the same both ways, and what is wanted on it.
type Case struct {
	Name string
	Link linkem.Impairment
	Then []Change // what becomes of it during the call

	// Relayed says that the two reach each other through a relay alone. The link is
	// then that of one of them to the relay, with half of the delay; the other's
	// has the other half and no impairment.
	Relayed bool

	Length time.Duration // of the call; 0 means one minute
	Bars   Bars
	Others string // what two Chromium 156 peers do there: buffer, concealed
}

// Change sets the link, at a time of the call.
type Change struct {
	At   time.Duration
	Link linkem.Impairment
}

// Bars are what a case is judged by. Those that are 0 don't count, but for
// Concealed.
type Bars struct {
	Buffer    float64 // ms, at most
	Concealed float64 // percent of what is played, discarded speech included, at most
	Rate      float64 // kb/s of IP packets each way, at most

	// Or: with at most this buffer and at least this rating, Buffer and
	// Concealed needn't hold.
	OrBuffer, OrRating float64

	// After is what holds for each second from a time on.
	After []Since
}

// Since bars the seconds of a call from a time on: from From to To the mean
// buffer in ms, concealed percent, and that something is played at all.
type Since struct {
	From, To          time.Duration
	Heard             bool // they count from the first word that was heard: a thin link takes seconds to connect
	Buffer, Concealed float64
}

// Cases returns the matrix.
func Cases() []Case {
	const ms = time.Millisecond
	delay := 25 * ms
	narrow := linkem.Impairment{Delay: delay, Rate: 60e3}
	return []Case{
		{
			Name: "clean", Link: linkem.Impairment{Delay: delay},
			Bars: Bars{Buffer: 25, Concealed: 0.1, Rate: 65}, Others: "30-39 ms, 0.0 %",
		}, {
			Name: "5 % loss", Link: linkem.Impairment{Delay: delay, Loss: 0.05},
			Bars: Bars{Buffer: 55, Concealed: 0.3, Rate: 120}, Others: "36-39 ms, 0.6-0.7 %",
		}, {
			Name: "10 % loss in bursts of 3", Link: linkem.Impairment{Delay: delay, Loss: 0.1, Burst: 3},
			Bars: Bars{Buffer: 90, Concealed: 2.8, Rate: 120}, Others: "38-39 ms, 5.1-6.4 %",
		}, {
			Name: "jitter, mean 20 ms", Link: linkem.Impairment{Delay: delay, Jitter: 20 * ms},
			Bars: Bars{Buffer: 130, Concealed: 0.1, Rate: 80}, Others: "130-132 ms, 0.0-0.1 %",
		}, {
			Name: "20 % loss", Link: linkem.Impairment{Delay: delay, Loss: 0.2},
			Bars: Bars{Buffer: 90, Concealed: 2.6, Rate: 130}, Others: "37-47 ms, 5.5-6.3 %",
		}, {
			Name: "200 ms stall every 5 s", Link: linkem.Impairment{Delay: delay, Stall: 200 * ms},
			Bars: Bars{Buffer: 195, Concealed: 0.1, Rate: 80, OrBuffer: 120, OrRating: 83}, Others: "194-215 ms, 0.0 %",
		}, {
			Name: "60 kb/s", Link: narrow,
			Bars:   Bars{Concealed: 100, After: []Since{{From: 5 * time.Second, Heard: true, Buffer: 115, Concealed: 0.8}}},
			Others: "114-120 ms, 1.6-1.8 %",
		}, {
			Name: "40 kb/s", Link: linkem.Impairment{Delay: delay, Rate: 40e3},
			Bars: Bars{Concealed: 100, After: []Since{{From: 12 * time.Second, Heard: true, Buffer: 150, Concealed: 1}}},
		}, {
			Name: "1 Mb/s, 50 kb/s for 20 s, 1 Mb/s", Link: linkem.Impairment{Delay: delay, Rate: 1e6},
			Then: []Change{
				{20 * time.Second, linkem.Impairment{Delay: delay, Rate: 50e3}},
				{40 * time.Second, linkem.Impairment{Delay: delay, Rate: 1e6}},
			},
			Bars: Bars{Concealed: 100, After: []Since{
				{From: 25 * time.Second, To: 40 * time.Second, Buffer: 115, Concealed: 0.8},
				{From: 45 * time.Second, Buffer: 115, Concealed: 0.8},
			}},
		}, {
			Name: "a stall of 3 s", Link: linkem.Impairment{Delay: delay},
			Then: []Change{
				{20 * time.Second, linkem.Impairment{Delay: delay, Loss: 1}},
				{23 * time.Second, linkem.Impairment{Delay: delay}},
			},
			Length: 35 * time.Second,
			Bars:   Bars{Concealed: 100, After: []Since{{From: 24500 * ms, Buffer: 60, Concealed: 0.5}}},
		}, {
			Name: "150 ms each way, 10 % loss", Link: linkem.Impairment{Delay: 150 * ms, Loss: 0.1},
			Bars: Bars{Buffer: 250, Concealed: 4},
		}, {
			Name: "150 ms each way, 3 % loss", Link: linkem.Impairment{Delay: 150 * ms, Loss: 0.03},
			Bars: Bars{Buffer: 60, Concealed: 1, Rate: 120},
		},
	}
}

// RelayedCases returns those in which the two talk through a relay. They have no
// bars.
func RelayedCases() []Case {
	const ms = time.Millisecond
	delay := 25 * ms
	cases := []Case{
		{Name: "relayed, clean", Link: linkem.Impairment{Delay: delay}},
		{Name: "relayed, 5 % loss", Link: linkem.Impairment{Delay: delay, Loss: 0.05}},
		{Name: "relayed, 200 ms stall every 5 s", Link: linkem.Impairment{Delay: delay, Stall: 200 * ms}},
		{Name: "relayed, 60 kb/s", Link: linkem.Impairment{Delay: delay, Rate: 60e3}},
		{Name: "relayed, 50 kb/s", Link: linkem.Impairment{Delay: delay, Rate: 50e3}},
		{Name: "relayed, 100 kb/s", Link: linkem.Impairment{Delay: delay, Rate: 100e3}},
		{
			Name: "relayed, a stall of 3 s", Link: linkem.Impairment{Delay: delay},
			Then: []Change{
				{20 * time.Second, linkem.Impairment{Delay: delay, Loss: 1}},
				{23 * time.Second, linkem.Impairment{Delay: delay}},
			},
			Length: 35 * time.Second,
		},
	}
	for i := range cases {
		cases[i].Relayed, cases[i].Bars = true, Bars{Concealed: 100}
	}
	return cases
}

// FarCases returns far links that lose little and much, where what can be sent depends
// on QUIC's congestion window. They have no bars.
func FarCases() (cases []Case) {
	for _, delay := range []time.Duration{100, 150, 200} {
		for _, percent := range []int{1, 2, 3, 5, 7, 10, 20} {
			cases = append(cases, Case{
				Name: fmt.Sprintf("%d ms each way, %d %% loss", delay, percent),
				Link: linkem.Impairment{Delay: delay * time.Millisecond, Loss: float64(percent) / 100},
				Bars: Bars{Concealed: 100},
			})
		}
	}
	return cases
}

// FullCases returns links that carry little and have short queues, where what is too much
// is lost and hardly waits, and links that lose and jitter, which look alike. They have no
// bars.
func FullCases() []Case {
	const ms = time.Millisecond
	return nearby(
		linkem.Impairment{Rate: 50e3, Queue: 100 * ms},
		linkem.Impairment{Rate: 50e3, Queue: 50 * ms},
		linkem.Impairment{Rate: 60e3, Queue: 50 * ms},
		linkem.Impairment{Rate: 60e3, Queue: 30 * ms},
		linkem.Impairment{Rate: 60e3, Queue: 15 * ms},
		linkem.Impairment{Rate: 80e3, Queue: 15 * ms},
		linkem.Impairment{Rate: 100e3, Queue: 50 * ms, Loss: 0.05},
		linkem.Impairment{Jitter: 20 * ms, Loss: 0.02},
		linkem.Impairment{Jitter: 20 * ms, Loss: 0.05},
		linkem.Impairment{Loss: 0.3},
	)
}

// JitterCases returns links on which packets wait for other reasons than that the link
// is full, and links on which they wait for that as well. They have no bars.
func JitterCases() []Case {
	const ms = time.Millisecond
	return nearby(
		linkem.Impairment{Jitter: 30 * ms},
		linkem.Impairment{Jitter: 40 * ms},
		linkem.Impairment{Jitter: 60 * ms},
		linkem.Impairment{Jitter: 30 * ms, Loss: 0.05},
		linkem.Impairment{Jitter: 40 * ms, Loss: 0.1},
		linkem.Impairment{Jitter: 20 * ms, Rate: 100e3},
		linkem.Impairment{Jitter: 20 * ms, Rate: 60e3},
		linkem.Impairment{Jitter: 40 * ms, Rate: 60e3},
		linkem.Impairment{Rate: 80e3, Loss: 0.02},
		linkem.Impairment{Rate: 60e3, Loss: 0.03},
	)
}

// nearby returns such links of 25 ms each way, named by what is wrong with them. They have
// no bars.
func nearby(links ...linkem.Impairment) (cases []Case) {
	for _, l := range links {
		var is []string
		if l.Rate > 0 {
			is = append(is, fmt.Sprintf("%.0f kb/s", l.Rate/1000))
		}
		if l.Queue > 0 {
			is = append(is, fmt.Sprintf("queue of %d ms", l.Queue.Milliseconds()))
		}
		if l.Jitter > 0 {
			is = append(is, fmt.Sprintf("jitter of %d ms", l.Jitter.Milliseconds()))
		}
		if l.Loss > 0 {
			is = append(is, fmt.Sprintf("%.0f %% loss", 100*l.Loss))
		}
		l.Delay = 25 * time.Millisecond
		cases = append(cases, Case{Name: strings.Join(is, ", "), Link: l, Bars: Bars{Concealed: 100}})
	}
	return cases
}

func (c Case) length() time.Duration {
	if c.Length == 0 {
		return time.Minute
	}
	return c.Length
}

// Duration is how long a call of the case takes, if calls of a minute are to
// take that long.
func (c Case) Duration(minute time.Duration) time.Duration {
	return max(time.Duration(float64(c.length())*minute.Minutes()), c.last()+2*Settle)
}

// last is when the link changes for the last time.
func (c Case) last() time.Duration {
	if len(c.Then) == 0 {
		return 0
	}
	return c.Then[len(c.Then)-1].At
}
