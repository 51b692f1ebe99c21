package session

import (
	"math"
	"testing"
	"time"
)

// road is a link with a rate and a queue, as a sender sees it every controlTick.
type road struct {
	rate  float64 // kb/s
	base  time.Duration
	queue time.Duration // bounded by 200 ms
	now   time.Time
}

func (r *road) tick(sending float64) time.Duration {
	r.now = r.now.Add(controlTick)
	r.queue += time.Duration((sending - r.rate) / r.rate * float64(controlTick))
	r.queue = min(max(r.queue, 0), 200*time.Millisecond)
	return r.base + r.queue
}

func drive(g *congestion, r *road, d time.Duration, watch func(sent float64)) {
	f := usualFormat()
	present := plan{}
	for range int(d / controlTick) {
		sent := f.rate(present)
		rtt := r.tick(sent)
		g.look(r.now, r.queue, rtt, f.rates(present))
		present = f.choose(network{rtt: rtt, limit: g.allowed()}, present)
		watch(f.rate(present))
	}
}

func TestCongestionFallsAndKeepsBelowTheRate(t *testing.T) {
	for _, rate := range []float64{60, 50, 42, 33, 26} {
		g, r := newCongestion(), &road{rate: rate, base: 50 * time.Millisecond, now: time.Unix(1000, 0)}
		drive(&g, r, 5*time.Second, func(float64) {})
		worst, over := time.Duration(0), 0
		drive(&g, r, time.Minute, func(sent float64) {
			worst = max(worst, r.queue)
			if sent > rate {
				over++
			}
		})
		t.Logf("%v kb/s: queue of at most %v, too much sent in %d of 600 ticks, limit %.0f", rate, worst, over, g.limit)
		if worst > 160*time.Millisecond || over > 60 {
			t.Errorf("%v kb/s: queue of up to %v, too much sent in %d of 600 ticks", rate, worst, over)
		}
	}
}

func TestCongestionEndsWhenTheLinkIsWideAgain(t *testing.T) {
	g, r := newCongestion(), &road{rate: 50, base: 50 * time.Millisecond, now: time.Unix(1000, 0)}
	drive(&g, r, 20*time.Second, func(float64) {})
	if math.IsInf(g.limit, 1) {
		t.Fatal("no limit on a thin link")
	}
	r.rate = 1000
	last := 0.0
	drive(&g, r, 3*time.Minute, func(sent float64) { last = sent })
	if last != usualFormat().rate(plan{}) {
		t.Errorf("%.0f kb/s are sent three minutes after the link became wide, limit %.0f", last, g.limit)
	}
}

// Each raise that fails is followed by a longer rest.
func TestCongestionIsProbedLessAndLess(t *testing.T) {
	g, r := newCongestion(), &road{rate: 50, base: 50 * time.Millisecond, now: time.Unix(1000, 0)}
	raises := [2]int{}
	before := time.Time{}
	for half := range raises {
		drive(&g, r, 4*time.Minute, func(float64) {
			if g.raised.After(before) {
				before = g.raised
				raises[half]++
			}
		})
	}
	t.Logf("raises: %v", raises)
	if raises[0] == 0 || raises[1] > raises[0] || g.after <= raiseAfter {
		t.Errorf("raised %d times in four minutes, %d in the next four; next after %v", raises[0], raises[1], g.after)
	}
}

// Neither a stall nor jitter is a queue.
func TestStallIsNoCongestion(t *testing.T) {
	g, now := newCongestion(), time.Unix(1000, 0)
	for i := range 600 {
		now = now.Add(controlTick)
		queue := time.Duration(i*7%5) * 10 * time.Millisecond
		if i%50 < 2 {
			queue = 200 * time.Millisecond
		}
		if g.look(now, queue, 50*time.Millisecond, rates{sending: 64, least: 23, most: 120, little: 35}) {
			t.Fatalf("after %d ticks the limit is %.0f", i, g.limit)
		}
	}
}

// Into a queue little is sent, and the least if it doesn't get shorter then. Only one that
// comes back while little is sent shows that the link carries less than that: it would
// take a minute more to rise from there.
func TestTheLimitFallsStepByStep(t *testing.T) {
	const rtt = 200 * time.Millisecond
	f := usualFormat()
	for goes, draining := range map[time.Duration]plan{15 * time.Millisecond: little, 0: f.thriftiest()} {
		g, now := newCongestion(), time.Unix(1000, 0)
		present, sent := plan{}, []plan{{}}
		see := func(queue time.Duration, ticks int, goes time.Duration) {
			for range ticks {
				now = now.Add(controlTick)
				queue = max(0, queue-goes)
				g.look(now, queue, rtt, f.rates(present))
				if !math.IsInf(g.limit, 1) && g.allowed() > f.rate(little) {
					t.Fatalf("%.0f kb/s may be sent into a queue", g.allowed())
				}
				present = f.choose(network{rtt: rtt, limit: g.allowed()}, present)
				if present != sent[len(sent)-1] {
					sent = append(sent, present)
				}
			}
		}
		see(400*time.Millisecond, 24, goes)
		if g.limit != f.rate(little) || present != draining {
			t.Errorf("a queue that is %v shorter in 0.1 s: a limit of %.0f kb/s, %+v were sent", goes, g.limit, sent)
		}
		see(0, 5, 0)
		if present != little {
			t.Errorf("the queue has gone, and %+v is sent", present)
		}
		see(100*time.Millisecond, 10, 0)
		if want := cutShare * f.rate(little); g.limit != want {
			t.Errorf("the queue came back: a limit of %.0f kb/s, want %.0f", g.limit, want)
		}
		see(0, 5, 0)
		if f.rate(present) > g.limit {
			t.Errorf("with a limit of %.0f kb/s %+v is sent", g.limit, present)
		}
		see(100*time.Millisecond, 100, 0)
		if g.limit < f.rate(f.thriftiest()) {
			t.Errorf("the limit is %.0f kb/s, less than can be sent", g.limit)
		}
	}
}

// A start that climbs makes no longer a queue of a narrow link than one who sends
// everything at once, a far shorter one where the first step is too much, and a wide one
// carries everything in five seconds.
func TestAStartThatClimbs(t *testing.T) {
	f := usualFormat()
	least := f.rate(little)
	start := func(rate float64, climbs bool) (worst time.Duration, g congestion) {
		g = newCongestion()
		r := &road{rate: rate, base: 90 * time.Millisecond, now: time.Unix(1000, 0)}
		if climbs {
			g.climb(r.now, least)
		} else {
			g.raisedFrom(r.now, least)
		}
		drive(&g, r, 5*time.Second, func(float64) { worst = max(worst, r.queue) })
		return worst, g
	}
	for _, rate := range []float64{45, 50, 60} {
		climbing, g := start(rate, true)
		atOnce, _ := start(rate, false)
		t.Logf("%v kb/s: a queue of %v, limit %.0f; %v if everything is sent at once", rate, climbing, g.limit, atOnce)
		if climbing > atOnce || rate < 46 && climbing > atOnce/2 || g.limit > 1.3*rate {
			t.Errorf("%v kb/s: a queue of %v, limit %.0f; %v if everything is sent at once", rate, climbing, g.limit, atOnce)
		}
	}
	if worst, g := start(1000, true); worst > 0 || !math.IsInf(g.limit, 1) || g.after < raiseAfter {
		t.Errorf("on a wide link a queue of %v, a limit of %.0f kb/s after 5 s, the next raise after %v", worst, g.limit, g.after)
	}
}

// A queue that is borne otherwise shows after a raise that it was too much, but where
// packets are lost and sent again.
func TestAShortQueueEndsARaise(t *testing.T) {
	const queue = (queueRaised + queueMost) / 2
	for _, c := range []struct {
		raised bool
		loss   float64
		falls  bool
	}{{false, 0, false}, {true, 0, true}, {true, 0.05, false}} {
		g, now := newCongestion(), time.Unix(1000, 0)
		if c.raised {
			g.raisedFrom(now, 44)
		}
		for range 10 {
			now = now.Add(controlTick)
			g.look(now, queue, 100*time.Millisecond, rates{sending: 63, least: 23, most: 120, little: 35, loss: c.loss})
		}
		if fell := !math.IsInf(g.limit, 1); fell != c.falls {
			t.Errorf("%+v: a queue of %v, and the limit is %.0f", c, queue, g.limit)
		}
	}
}

// After the first seconds of a call a limit waits; within them, where a queue may be of
// the connection's beginning, it rises each second until that is too much.
func TestAFallAtTheStartIsSoonOver(t *testing.T) {
	f := usualFormat()
	for begins, soon := range map[time.Duration]bool{0: true, 2 * startLasts: false} {
		g, now := newCongestion(), time.Unix(1000, 0)
		see := func(d, queue time.Duration) {
			for range int(d / controlTick) {
				now = now.Add(controlTick)
				g.look(now, queue, 50*time.Millisecond, f.rates(plan{}))
			}
		}
		see(begins, 0)
		see(time.Second, 100*time.Millisecond)
		if math.IsInf(g.limit, 1) {
			t.Fatal("a queue is no reason for a limit")
		}
		fell := g.limit
		see(5*time.Second, 0)
		if g.limit > fell != soon {
			t.Errorf("a queue %v after the start: the limit is %.0f kb/s, 5 s later %.0f", begins, fell, g.limit)
		}
	}
}

// What copies filled the queue with isn't blamed on what is sent without them, which
// is so before the queue has gone.
func TestCopiesThatAreGoneAreNotCutTwice(t *testing.T) {
	f := usualFormat()
	limit := func(first plan) float64 {
		g, now := newCongestion(), time.Unix(1000, 0)
		g.look(now, 0, 50*time.Millisecond, f.rates(first))
		for present := first; math.IsInf(g.limit, 1); present = (plan{}) {
			now = now.Add(controlTick)
			g.look(now, 100*time.Millisecond, 50*time.Millisecond, f.rates(present))
		}
		return g.limit
	}
	if got, want := limit(plan{copies: back(1)}), f.rate(plan{}); got != want {
		t.Errorf("after copies the limit is %.0f kb/s, want what is sent without them, %.0f", got, want)
	}
	if got, want := limit(plan{}), cutShare*f.rate(plan{}); got != want {
		t.Errorf("without copies the limit is %.0f kb/s, want %.0f", got, want)
	}
}

// A packet of three frames takes as long on a thin link as a short queue: it doesn't keep
// us at the least for ever.
func TestAQueueOfOnePacketHasGone(t *testing.T) {
	g, now := newCongestion(), time.Unix(1000, 0)
	f := usualFormat()
	see := func(ticks int, queue time.Duration) {
		for range ticks {
			now = now.Add(controlTick)
			g.look(now, queue, 100*time.Millisecond, f.rates(little))
		}
	}
	see(8, 200*time.Millisecond)
	if !g.draining {
		t.Fatal("no queue was seen")
	}
	if see(3, 50*time.Millisecond); !g.draining {
		t.Error("the queue counts as gone while it may be shrinking")
	}
	if see(15, 50*time.Millisecond); g.draining {
		t.Error("a queue as long as a packet keeps us at the least")
	}
}
