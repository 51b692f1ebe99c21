package session

import (
	"math"
	"testing"
	"time"
)

// crowd are listeners behind one uplink, and a queue of each way's own.
type crowd struct {
	up    road
	drops bool      // its queue is so short that it drops what is too much
	lost  float64   // share of packets that is lost whatever is sent
	ways  []*road   // nil for one who has all it wants
	heard []float64 // loss as it was reported last
	u     uplink
	own   []congestion
	plan  []plan
}

func newCrowd(listeners int, rate float64) *crowd {
	c := &crowd{up: road{rate: rate, base: 50 * time.Millisecond, now: time.Unix(1000, 0)}, u: newUplink()}
	for range listeners {
		c.ways = append(c.ways, nil)
		c.own = append(c.own, newCongestion())
		c.plan = append(c.plan, plan{})
		c.heard = append(c.heard, 0)
	}
	return c
}

// drive has us speak for a time, and watches what is sent to each.
func (c *crowd) drive(d time.Duration, watch func(sent []float64)) {
	f := usualFormat()
	sent := make([]float64, len(c.ways))
	for tick := range int(d / controlTick) {
		all := 0.0
		for i, p := range c.plan {
			sent[i] = f.rate(p)
			all += sent[i]
		}
		rtt := c.up.tick(all)
		lost := c.lost
		if c.drops {
			c.up.queue = 0
			lost += max(0, 1-c.up.rate/all)
		}
		before := c.u.queue
		c.u.begin()
		for i, way := range c.ways {
			queue := c.up.queue
			if way != nil {
				way.tick(sent[i])
				queue += way.queue
			}
			r := f.rates(c.plan[i])
			c.own[i].look(c.up.now, max(0, queue-before), rtt, r)
			if tick%int(reportInterval/controlTick) == 0 {
				c.heard[i] = lost // of the half second before, nearly
			}
			wants := f.rate(f.choose(c.network(i, rtt), c.plan[i]))
			c.u.add(member{queue: queue, rtt: rtt, loss: c.heard[i], rates: r, wants: wants})
		}
		c.u.look(c.up.now, true)
		for i := range c.plan {
			n := c.network(i, rtt)
			n.limit = min(n.limit, c.u.share)
			c.plan[i] = f.choose(n, c.plan[i])
		}
		watch(sent)
	}
}

// network is what is known of the way to a listener.
func (c *crowd) network(i int, rtt time.Duration) network {
	n := network{loss: c.heard[i], rtt: rtt, limit: c.own[i].allowed()}
	if c.u.shared.suspected(c.up.now) {
		n.loss = 0
	}
	return n
}

func TestAThinUplinkIsKeptFree(t *testing.T) {
	for _, rate := range []float64{500, 400, 330} {
		const listeners = 8
		c := newCrowd(listeners, rate)
		c.drive(10*time.Second, func([]float64) {})
		full, worst := 0, time.Duration(0)
		uneven := 0
		c.drive(2*time.Minute, func(sent []float64) {
			worst = max(worst, c.up.queue)
			if c.up.queue > queueMost {
				full++
			}
			for _, s := range sent {
				if math.Abs(s-sent[0]) > 1 {
					uneven++
				}
			}
		})
		t.Logf("%v kb/s: queue of at most %v, of more than %v in %d of 1200 ticks; each may get %.0f kb/s", rate, worst, queueMost, full, c.u.share)
		if full > 40 {
			t.Errorf("%v kb/s: there is a queue in %d of 1200 ticks", rate, full)
		}
		if uneven > 0 {
			t.Errorf("%v kb/s: listeners on equal ways get unequal shares, %d times", rate, uneven)
		}
		for i := range c.own {
			if !math.IsInf(c.own[i].limit, 1) {
				t.Errorf("%v kb/s: the queue of all was blamed on the way to listener %d", rate, i)
			}
		}
	}
}

func TestAWideUplinkIsUsedAtOnce(t *testing.T) {
	whole := usualFormat().rate(plan{})
	for _, listeners := range []int{2, 8, 15} {
		c := newCrowd(listeners, 10000)
		ticks := 0
		c.drive(3*time.Second, func(sent []float64) {
			if sent[listeners-1] < whole {
				ticks++
			}
		})
		t.Logf("%d listeners: less than whole for %v", listeners, time.Duration(ticks)*controlTick)
		if ticks > 20 || !math.IsInf(c.u.share, 1) {
			t.Errorf("%d listeners: less than whole for %v, share of %.0f kb/s", listeners, time.Duration(ticks)*controlTick, c.u.share)
		}
	}
}

// Ways of their own, which are thin, cost nobody else anything; and one who needs
// little leaves the rest to the others.
func TestASlowListenerCostsOthersNothing(t *testing.T) {
	c := newCrowd(8, 10000)
	c.drive(5*time.Second, func([]float64) {})
	for _, i := range []int{2, 5} {
		c.ways[i] = &road{rate: 50, now: c.up.now}
	}
	whole := usualFormat().rate(plan{})
	slow := 0
	c.drive(time.Minute, func(sent []float64) {
		for i, s := range sent {
			switch {
			case c.ways[i] != nil && s < whole:
				slow++
			case c.ways[i] == nil && s < whole:
				t.Fatalf("listener %d gets %.0f kb/s", i, s)
			}
		}
	})
	if slow < 1000 {
		t.Errorf("the two on thin ways were spared in %d of 1200 ticks only", slow)
	}

	var u uplink
	for _, wants := range []float64{64, 30, 64, 64} {
		u.add(member{wants: wants})
	}
	if got := u.divide(186); math.Abs(got-52) > 1e-9 {
		t.Errorf("of 186 kb/s each gets %.1f, want 52 beside the one who wants 30", got)
	}
	if got := u.divide(223); !math.IsInf(got, 1) {
		t.Errorf("of 223 kb/s each gets %.1f, want what it wants", got)
	}
}

// An uplink that became thin in the midst of a call is noticed, and that it is wide
// again.
func TestAnUplinkThatChangesIsFollowed(t *testing.T) {
	c := newCrowd(8, 10000)
	c.drive(10*time.Second, func([]float64) {})
	c.up.rate = 400
	c.drive(10*time.Second, func([]float64) {})
	if math.IsInf(c.u.share, 1) || c.up.queue > queueMost {
		t.Errorf("10 s after it became thin: share %.0f kb/s, queue %v", c.u.share, c.up.queue)
	}
	c.up.rate = 10000
	c.drive(3*time.Minute, func([]float64) {})
	if !math.IsInf(c.u.share, 1) {
		t.Errorf("3 minutes after it became wide: share %.0f kb/s", c.u.share)
	}
}

func TestLookingAtListenersAllocatesNothing(t *testing.T) {
	c := newCrowd(16, 700)
	c.drive(time.Second, func([]float64) {})
	if n := testing.AllocsPerRun(100, func() {
		c.u.begin()
		for range 16 {
			c.u.add(member{queue: time.Millisecond, rates: rates{sending: 50, least: 20, little: 30, most: 100}, wants: 64})
		}
		c.u.look(c.up.now, true)
	}); n > 0 {
		t.Errorf("%v allocations a look", n)
	}
}

// An uplink that drops what is too much tells by losses: copies, which they would
// ask for elsewhere, would make them worse.
func TestAnUplinkThatDropsIsKeptFree(t *testing.T) {
	for _, rate := range []float64{500, 400, 330} {
		c := newCrowd(8, rate)
		c.drops = true
		c.drive(15*time.Second, func([]float64) {})
		lost, most := 0.0, 0.0
		c.drive(2*time.Minute, func(sent []float64) {
			all := 0.0
			for _, s := range sent {
				all += s
			}
			share := max(0, 1-rate/all)
			lost += share / 1200
			most = max(most, share)
		})
		t.Logf("%v kb/s: %.2f %% dropped, at most %.0f %%", rate, 100*lost, 100*most)
		if lost > 0.03 {
			t.Errorf("%v kb/s: %.2f %% dropped", rate, 100*lost)
		}
	}
}

// Too much is sent at the start, to find out how much is carried. What is dropped
// then shows it within a second and a half.
func TestAnUplinkThatDropsIsFoundOutAtOnce(t *testing.T) {
	for _, rate := range []float64{450, 400, 330} {
		c := newCrowd(8, rate)
		c.drops = true
		over := 0
		c.drive(10*time.Second, func(sent []float64) {
			all := 0.0
			for _, s := range sent {
				all += s
			}
			if all > 1.05*rate {
				over++
			}
		})
		t.Logf("%v kb/s: too much is sent for %v of the first 10 s", rate, time.Duration(over)*controlTick)
		if over == 0 || time.Duration(over)*controlTick > 1500*time.Millisecond {
			t.Errorf("%v kb/s: too much is sent for %v of the first 10 s", rate, time.Duration(over)*controlTick)
		}
	}
}

// Losses that have other reasons are left alone, once that was found out: the
// trials become rare.
func TestLossesOfOthersDontLimitTheUplink(t *testing.T) {
	c := newCrowd(8, 10000)
	c.lost = 0.12
	c.drive(10*time.Second, func([]float64) {})
	ticks := [2]int{}
	for half := range ticks {
		c.drive(5*time.Minute, func([]float64) {
			if !math.IsInf(c.u.share, 1) {
				ticks[half]++
			}
		})
	}
	t.Logf("limited in %v of 3000 ticks each", ticks)
	if ticks[0] == 0 || ticks[0] > 150 || ticks[1] > ticks[0]/2+31 {
		t.Errorf("limited in %v of 3000 ticks each", ticks)
	}
	for i, p := range c.plan {
		if p.copies == 0 {
			t.Errorf("listener %d gets no copies", i)
		}
	}
	// Few listeners may all lose by chance, and one who loses is no reason.
	for _, losses := range [][]float64{{0.3, 0.3}, {0.5, 0.5, 0.5, 0, 0}} {
		u := newUplink()
		for range 100 {
			c.up.now = c.up.now.Add(controlTick)
			u.begin()
			for _, loss := range losses {
				u.add(member{loss: loss, rates: rates{sending: 60, least: 20, little: 30, most: 100}, wants: 60})
			}
			u.look(c.up.now, true)
		}
		if !math.IsInf(u.share, 1) {
			t.Errorf("losses of %v: each may get %.0f kb/s", losses, u.share)
		}
	}
}

// A trial may come out wrong, for there is chance in losses. What it says is about as
// much as was lost then: it is no reason to lose half of everything for a minute.
func TestATrialThatCameOutWrongIsRepeatedWhereMoreIsLost(t *testing.T) {
	c := newCrowd(8, 330)
	c.drops = true
	c.u.trial.loss, c.u.trial.again = 0.08, c.up.now.Add(time.Minute)
	over := 0
	c.drive(10*time.Second, func(sent []float64) {
		all := 0.0
		for _, s := range sent {
			all += s
		}
		if all > 1.05*c.up.rate {
			over++
		}
	})
	if over == 0 || time.Duration(over)*controlTick > 2*time.Second {
		t.Errorf("too much is sent for %v of 10 s", time.Duration(over)*controlTick)
	}
}

// What was too much for all isn't tried again soon: all hear it.
func TestWhatWasTooMuchForAllIsNotTriedAgainSoon(t *testing.T) {
	g, now := newUplink().shared, time.Unix(1000, 0)
	r := rates{sending: 500, least: 180, little: 280, most: 940}
	g.look(now, 0, 50*time.Millisecond, r)
	g.fall(now, 0, r)
	for tick := range int(5 * time.Minute / controlTick) {
		now = now.Add(controlTick)
		g.look(now, 0, 50*time.Millisecond, r)
		early := time.Duration(tick)*controlTick < uplinkWary-time.Second
		if early && g.allowed() >= r.sending {
			t.Fatalf("%.0f kb/s may be sent after %d ticks, %.0f was too much", g.allowed(), tick, r.sending)
		}
	}
	if g.allowed() < r.most {
		t.Errorf("%.0f kb/s may be sent after 5 minutes without a loss, want %.0f", g.allowed(), r.most)
	}
}
