package session

import (
	"math"
	"time"
)

// Times and sizes of congestion control. It is slow to rise and quick to fall,
// since voice needs little, and what it needs doesn't grow.
const (
	queueMost   = 60 * time.Millisecond  // that packets may wait on the way
	queueRaised = 35 * time.Millisecond  // the same after a raise
	queueFor    = 300 * time.Millisecond // for so long: shorter is a stall
	lossyFrom   = 0.005                  // loss from which on what is sent again makes short queues
	cutRest     = 1200 * time.Millisecond
	cutShare    = 0.8 // of what was sent, less than the link carries, so that the queue drains
	staysShare  = 0.8 // of the queue that there was
	raiseShare  = 1.3
	belowBad    = 0.9              // of what was too much
	raiseAfter  = 15 * time.Second // without congestion; doubled each time that it comes back
	raiseLatest = 4 * time.Minute  // at most
	climbAfter  = time.Second      // the same at the start, where the first raises are expected
	startLasts  = 5 * time.Second  // in which a queue may be of what isn't speech
	lossMemory  = 5 * time.Second  // for which losses are reported, and remembered, that a queue was the reason of
	raiseProof  = 20 * time.Second // after a raise congestion is due to it: how much speech takes varies by the sentence
)

// congestion finds out how much a link carries, from how long its queue is. One
// for each listener; its methods are called with the peer's lock held.
type congestion struct {
	limit float64       // kb/s of IP packets; +Inf while nothing shows one
	good  float64       // what it was before the last raise
	bad   float64       // what was sent when it was lowered last
	wary  time.Duration // for which after that as much isn't tried again

	queued time.Time // since when there is a queue; zero if there is none
	filled float64   // what was sent when it began

	draining bool          // the queue that made us fall hasn't gone
	drain    float64       // kb/s that are sent meanwhile, at most
	depth    time.Duration // of that queue
	began    time.Time     // when it looked first
	calm     time.Time     // since when nothing happened
	cut      time.Time     // when the limit was lowered last
	raised   time.Time     // and raised
	after    time.Duration
}

// rates are what goes one way, in kb/s of IP packets.
type rates struct {
	sending     float64
	least, most float64 // that can be sent there
	little      float64 // the plan of that name
	loss        float64 // share of packets lost on the first try: what is sent again makes short queues
}

func newCongestion() congestion { return congestion{limit: math.Inf(1), after: raiseAfter} }

// look takes note of how long packets wait on the way, and of the round trip, while
// something is sent, and reports whether the limit changed. That the link refuses
// packets tells nothing: it does so in a stall and in a burst of losses too.
func (g *congestion) look(now time.Time, queue, rtt time.Duration, r rates) bool {
	if g.began.IsZero() {
		g.began, g.calm = now, now
	}
	gone := queueMost / 2
	if now.Sub(g.cut) >= rtt+cutRest {
		gone = queueMost // what packets of much speech take of a thin link is as long
	}
	if queue <= gone {
		g.draining = false
	}
	most := queueMost
	if g.raisedLately(now) && r.loss < lossyFrom {
		most = queueRaised
	}
	if queue <= most {
		g.queued = time.Time{}
		if g.climbing() && queue > queueMost/2 {
			g.calm = now // it may be growing
		}
		return g.rise(now, r.most)
	}
	if g.queued.IsZero() {
		g.queued, g.filled = now, r.sending
	}
	if now.Sub(g.queued) < queueFor {
		return false
	}
	g.calm = now
	if now.Sub(g.cut) <= rtt+queueFor { // the queue of before
		g.depth = max(g.depth, queue)
	}
	rest := rtt + cutRest // what was done shows only when the queue is empty
	if g.stays(queue) {
		rest = rtt + cutRest/2
	}
	if now.Sub(g.cut) < rest {
		return false
	}
	g.fall(now, queue, r)
	return true
}

// allowed is how much is to be sent, in kb/s of IP packets: little until the queue has
// gone, what is known to be carried afterwards.
func (g *congestion) allowed() float64 {
	if g.draining {
		return min(g.limit, g.drain)
	}
	return g.limit
}

// suspected tells whether what is lost may be so because too much is sent.
func (g *congestion) suspected(now time.Time) bool {
	return !g.queued.IsZero() || !g.cut.IsZero() && now.Sub(g.cut) < lossMemory
}

// fall lowers the limit.
func (g *congestion) fall(now time.Time, queue time.Duration, r rates) {
	raise := g.raisedLately(now)
	floor, drain := g.bottom(queue, r)
	g.limit, g.after = g.lowered(r, floor, raise), g.patience(now, raise)
	g.cut, g.draining, g.drain, g.depth, g.bad = now, true, drain, queue, r.sending
	if raise {
		g.raised = time.Time{}
	}
}

// bottom is how far the limit may fall, and what is sent until the queue has gone. It
// falls below what little takes only if a queue comes back while no more is sent: one
// that is there at first is of what was sent before, and it would take long to rise
// from less. If it doesn't go while little is sent, the least is until it has.
func (g *congestion) bottom(queue time.Duration, r rates) (floor, drain float64) {
	switch {
	case g.stays(queue):
		return r.little, r.least
	case !g.draining && g.limit <= r.little:
		return r.least, r.little
	}
	return r.little, r.little
}

// lowered is the limit after a fall: what it was before the raise to which that is due,
// or less than what was sent.
func (g *congestion) lowered(r rates, floor float64, raise bool) float64 {
	if raise && g.good < r.sending {
		return g.good
	}
	cut := cutShare * r.sending
	if g.filled > r.sending { // copies were left out already, and the queue of before is still there
		cut = min(cutShare*g.filled, r.sending)
	}
	return min(g.limit, max(min(cut, cutShare*g.limit), floor))
}

// patience is how long it must be calm after a fall before the next raise. The first
// fall at the start may be due to what a connection starts with.
func (g *congestion) patience(now time.Time, raise bool) time.Duration {
	after := max(g.after, raiseAfter)
	switch {
	case raise && !g.climbing():
		return min(2*after, raiseLatest)
	case !raise && !g.shared() && math.IsInf(g.limit, 1) && now.Sub(g.began) < startLasts:
		return climbAfter
	}
	return after
}

// shared tells whether the way is that of several: what is too much for all is heard by
// all, and only who is alone on a way risks to climb.
func (g *congestion) shared() bool { return g.wary > 0 }

// stays tells whether the queue hardly gets shorter, though little is sent.
func (g *congestion) stays(queue time.Duration) bool {
	return g.draining && queue >= time.Duration(staysShare*float64(g.depth))
}

// raisedLately tells whether congestion is probably due to a raise.
func (g *congestion) raisedLately(now time.Time) bool {
	return !g.raised.IsZero() && now.Sub(g.raised) < raiseProof
}

// raisedFrom notes that more may be sent from now on than what is known to be
// carried, without a limit.
func (g *congestion) raisedFrom(now time.Time, good float64) {
	if math.IsInf(g.limit, 1) {
		g.good, g.raised = good, now
	}
}

// climb begins to raise the limit step by step, from what is known to be carried.
func (g *congestion) climb(now time.Time, good float64) {
	if math.IsInf(g.limit, 1) {
		g.limit, g.good, g.raised = raiseShare*good, good, now
		g.calm, g.after = now, climbAfter
	}
}

// climbing tells whether raises are those of a start still.
func (g *congestion) climbing() bool { return g.after < raiseAfter }

// rise raises the limit when it was calm for long enough; beyond the most that
// could be sent there is none.
func (g *congestion) rise(now time.Time, most float64) bool {
	if math.IsInf(g.limit, 1) || now.Sub(g.calm) < g.after {
		return false
	}
	next := raiseShare * g.limit
	if now.Sub(g.cut) < g.wary {
		next = min(next, belowBad*g.bad)
	}
	if next <= g.limit {
		return false
	}
	g.good, g.raised, g.calm = g.limit, now, now
	if g.limit = next; g.limit > most {
		g.limit, g.after = math.Inf(1), max(g.after, raiseAfter)
	}
	return true
}
