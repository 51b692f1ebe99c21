package session

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p/link"
)

// What is missing on a way that keeps the order is what the sender left out, since
// the way was full: a copy would only fill it more.
func TestNoCopiesWhereEverythingKeepsItsOrder(t *testing.T) {
	now := time.Now()
	f := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond})
	for _, reports := range []int{0, 1, surelyReports, 100} {
		for _, loss := range []float64{0.02, 0.1, 0.8} {
			st := reportState{start: easyStart{over: true}, reports: reports, loss: loss, last: lossReport{network: loss, burst: 1}, carries: newCongestion()}
			st.path = link.Path{Kind: link.Direct, RTT: 50 * time.Millisecond}
			if p := f.on(st.path).choose(st.network(now, false), plan{}); p.copies == 0 && loss < 0.5 {
				t.Errorf("%d reports, %.2f lost: no copies on a way that doesn't keep the order", reports, loss)
			}
			for _, kind := range []link.Kind{link.Relayed, link.Direct} {
				st.path = link.Path{Kind: kind, RTT: 50 * time.Millisecond, Ordered: true}
				if p := f.on(st.path).choose(st.network(now, false), plan{copies: back(1)}); p != (plan{}) {
					t.Errorf("%d reports, %.2f lost, %v: %+v", reports, loss, kind, p)
				}
			}
		}
	}
}

// On a way that carries little, what a packet costs beside its frames decides: more
// of it through a relay, and so pairs are made sooner there.
func TestPacketsThroughARelayCostMore(t *testing.T) {
	f := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond})
	relayed := f.on(link.Path{Kind: link.Relayed, Ordered: true})
	for _, p := range plans {
		more := 50 * relayedOverhead * 8 / 1000.
		if p.paired {
			more /= 2
		}
		if got := relayed.rate(p) - f.rate(p); math.Abs(got-more) > 1e-9 {
			t.Errorf("%+v takes %.2f kb/s more through a relay, want %.2f", p, got, more)
		}
	}
	n := network{rtt: 50 * time.Millisecond, limit: f.rate(plan{}) + 1}
	if direct, through := f.choose(n, plan{}), relayed.choose(n, plan{}); direct != (plan{}) || !through.paired {
		t.Errorf("with %.0f kb/s %+v directly, %+v through a relay", n.limit, direct, through)
	}
}

// Through a relay little is sent until nothing waited for a while, and what is found
// to be too much then ends where it began. A direct way is used at once.
func TestLittleIsSentThroughARelayAtFirst(t *testing.T) {
	f := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond})
	now := time.Now()
	for name, c := range map[string]struct {
		kind   link.Kind
		queues []time.Duration // at each tick
		ends   int             // the tick that ends it; -1 if none
	}{
		"direct":           {link.Direct, make([]time.Duration, 20), -1},
		"nothing waits":    {link.Relayed, make([]time.Duration, 20), 5},
		"a queue at first": {link.Relayed, append([]time.Duration{40e6, 40e6, 40e6}, make([]time.Duration, 17)...), 8},
		"always a queue":   {link.Relayed, slices.Repeat([]time.Duration{40e6}, 20), -1},
	} {
		st := reportState{reports: surelyReports, carries: newCongestion(), path: link.Path{Kind: c.kind, RTT: 50 * time.Millisecond}}
		thrifty := plan{lean: true, paired: true}
		for i, queue := range c.queues {
			want := plan{}
			if c.kind == link.Relayed && (c.ends < 0 || i <= c.ends) {
				want = thrifty
			}
			if p := f.on(st.path).choose(st.network(now, false), plan{}); p != want {
				t.Errorf("%s: before tick %d %+v", name, i, p)
			}
			if ends := st.start.look(now, st.path, queue); ends != (i == c.ends) {
				t.Errorf("%s: tick %d ends it: %t", name, i, ends)
			}
			now = now.Add(controlTick)
		}
	}
	var unknown easyStart
	for range 20 {
		now = now.Add(controlTick)
		if unknown.look(now, link.Path{Kind: link.Relayed}, 0) {
			t.Fatal("it ended before a round trip was known")
		}
	}
}
