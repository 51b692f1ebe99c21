package p2p

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

var lanesFull = flag.Bool("lanes.full", false, "TestLanesPay: print the whole table of links and lanes, 6,000 frames each")

// lossyLink is one line of the table.
type lossyLink struct {
	name   string
	delay  time.Duration
	loss   float64
	burst  float64
	seeds  int
	frames int
	both   bool // voice both ways, which carries acknowledgements
}

// share sends frames of 80 bytes every 20 ms over so many lanes and returns the
// share in percent that arrived within the one-way delay plus a margin, with
// the sender's counters.
func (l lossyLink) share(t *testing.T, lanes int, margins ...time.Duration) (shares []float64, sum link.Stats) {
	t.Helper()
	shares = make([]float64, len(margins))
	for seed := range l.seeds {
		inBubble(t, p2ptest.Config{Delay: l.delay, Seed: uint64(seed + 1)}, Config{Lanes: lanes}, func(t *testing.T, net *p2ptest.Network, e []*end) {
			a, b := e[0], e[1]
			joined(t, net, a, b)
			for i := range 2 {
				net.SetBurstLoss(i, l.loss, l.burst)
			}
			if l.both {
				defer b.talkBeside(a, l.frames, 20*time.Millisecond)()
			}
			a.talk(b, l.frames, 20*time.Millisecond)
			time.Sleep(2 * time.Second)
			for i, m := range margins {
				shares[i] += 100 * float64(b.onTime(t, a, l.delay+m)) / float64(l.frames*l.seeds)
			}
			s := a.Stats(b.id)
			sum.VoiceDropped += s.VoiceDropped
			sum.LaneResets += s.LaneResets
			sum.BytesSent += net.Bytes(0).IPBytesSent()
			sum.BytesReceived += net.Bytes(1).IPBytesSent()
		})
	}
	return shares, sum
}

func TestLanesPay(t *testing.T) {
	if *lanesFull {
		lanesTable(t)
		return
	}
	l := lossyLink{delay: 40 * time.Millisecond, loss: 0.05, burst: 1, seeds: 2, frames: 1000}
	one, _ := l.share(t, 1, 10*time.Millisecond)
	eight, _ := l.share(t, 8, 10*time.Millisecond)
	auto, _ := l.share(t, 0, 10*time.Millisecond)
	t.Logf("on time: 1 lane %.1f %%, 8 lanes %.1f %%, automatic %.1f %%", one[0], eight[0], auto[0])
	if eight[0]-one[0] < 15 {
		t.Errorf("8 lanes bring %.1f points over one, want 15", eight[0]-one[0])
	}
	if auto[0] < eight[0]-2 {
		t.Errorf("the automatic number of lanes is %.1f points worse than 8", eight[0]-auto[0])
	}
}

func lanesTable(t *testing.T) {
	const ms = time.Millisecond
	links := []lossyLink{
		{"40 ms, 5 % loss", 40 * ms, 0.05, 1, 2, 3000, false},
		{"40 ms, 10 % loss in bursts of 2", 40 * ms, 0.10, 2, 2, 3000, false},
		{"25 ms, 20 % loss", 25 * ms, 0.20, 1, 2, 3000, false},
		{"75 ms, 5 % loss", 75 * ms, 0.05, 1, 2, 3000, false},
		{"150 ms, 10 % loss", 150 * ms, 0.10, 1, 2, 3000, false},
		{"25 ms, 10 % loss in bursts of 3", 25 * ms, 0.10, 3, 2, 3000, false},
	}
	margins := []time.Duration{10 * ms, 60 * ms, 200 * ms}
	fmt.Println("80 B every 20 ms, 2 seeds of 3,000 frames; share in % that arrived within the one-way delay + 10 / 60 / 200 ms,")
	fmt.Println("d: dropped before sending, r: lanes reset, and kb/s at IP level of the sender / of the receiver")
	fmt.Printf("%-46s", "link, each way")
	lanes := []int{1, 4, 8, 16, 0}
	for _, n := range lanes {
		name := fmt.Sprintf("%d lanes", n)
		if n == 0 {
			name = "automatic"
		}
		fmt.Printf("%36s", name)
	}
	fmt.Println()
	both := slices.Clone(links)
	for i := range both {
		both[i].both = true
		both[i].name += ", both talk"
	}
	for _, l := range append(links, both...) {
		fmt.Printf("%-46s", l.name)
		for _, n := range lanes {
			s, c := l.share(t, n, margins...)
			fmt.Printf("%36s", fmt.Sprintf("%.1f/%.1f/%.1f d%d r%d %.0f/%.0f", s[0], s[1], s[2], c.VoiceDropped, c.LaneResets, 8*float64(c.BytesSent)/20/float64(l.seeds*l.frames), 8*float64(c.BytesReceived)/20/float64(l.seeds*l.frames)))
		}
		fmt.Println()
	}
}
