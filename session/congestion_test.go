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

// A queue that gets shorter while little is sent is no reason to send less: it would
// take a minute more to come back from there. One that doesn't is, but for a limit below
// the least that can be sent.
func TestTheLimitFallsStepByStep(t *testing.T) {
	f := usualFormat()
	for goes, want := range map[time.Duration]float64{15 * time.Millisecond: f.rate(little), 0: f.rate(f.thriftiest())} {
		g, now, queue := newCongestion(), time.Unix(1000, 0), 400*time.Millisecond
		present, sent := plan{}, []plan{{}}
		for tick := 0; tick < 200 && queue > queueMost; tick++ {
			now = now.Add(controlTick)
			queue -= goes
			g.look(now, queue, 200*time.Millisecond, f.rates(present))
			if !math.IsInf(g.limit, 1) && g.allowed() > f.rate(little) {
				t.Fatalf("%.0f kb/s may be sent into a queue", g.allowed())
			}
			if present = f.choose(network{rtt: 200 * time.Millisecond, limit: g.allowed()}, present); present != sent[len(sent)-1] {
				sent = append(sent, present)
			}
		}
		t.Logf("a queue that is %v shorter in 0.1 s: limit %.0f kb/s, %+v", goes, g.limit, sent)
		if math.Abs(g.limit-want) > 1e-9 {
			t.Errorf("a queue that is %v shorter in 0.1 s: the limit is %.0f kb/s, want %.0f", goes, g.limit, want)
		}
		if sent[1] != little || goes > 0 && len(sent) > 2 {
			t.Errorf("a queue that is %v shorter in 0.1 s: %+v were sent", goes, sent)
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

// A queue that is borne otherwise shows after a raise that it was too much.
func TestAShortQueueEndsARaise(t *testing.T) {
	const queue = (queueRaised + queueMost) / 2
	for _, raised := range []bool{false, true} {
		g, now := newCongestion(), time.Unix(1000, 0)
		if raised {
			g.raisedFrom(now, 44)
		}
		for range 10 {
			now = now.Add(controlTick)
			g.look(now, queue, 100*time.Millisecond, rates{sending: 63, least: 23, most: 120, little: 35})
		}
		if fell := !math.IsInf(g.limit, 1); fell != raised {
			t.Errorf("raised %t: a queue of %v, and the limit is %.0f", raised, queue, g.limit)
		}
	}
}
