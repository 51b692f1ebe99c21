package session

import (
	"cmp"
	"slices"
	"time"
)

// A link with a short queue shows that it is full by what it drops, not by how
// long packets wait. Losses may have other reasons, and then copies are what helps:
// which it is shows when as little as possible is sent for a while.
const (
	trialLoss   = 0.08                    // that three in four listeners report ...
	trialQueued = 0.03                    // or this while they share a queue of a third of queueMost ...
	trialAfter  = 1200 * time.Millisecond // ... for so long, or for queueFor after a raise
	trialLength = 3 * time.Second
	trialShows  = 1500 * time.Millisecond // of it: reports are of the time before
	trialRest   = time.Minute             // after one that showed nothing; doubled each time
	trialMost   = 16 * time.Minute        // at most
	trialWorse  = 1.5                     // times the losses that a trial was about are others
	trialCrowd  = 3                       // listeners: among fewer it is chance that all lose
)

// trial finds out whether losses are our own link's. The zero value is ready.
type trial struct {
	losing time.Time // since when all lose; zero if they don't
	began  time.Time // zero if none is under way
	before congestion
	loss   float64 // mean of all listeners when it began
	sum    float64 // of such means, once it shows
	n      int
	rest   time.Duration
	again  time.Time // not before
}

// tries reports whether a trial is under way, which begins when most listeners
// lose. Where less is lost by half in the end, the limit stays below what got
// through; otherwise all is as it was.
func (u *uplink) tries(now time.Time, all rates) bool {
	t := &u.trial
	mean := meanLoss(u.members)
	if t.began.IsZero() {
		wait := trialAfter
		if u.shared.raisedLately(now) {
			wait = queueFor
		}
		if !t.due(now, u.members, u.queue, wait) {
			return false
		}
		t.began, t.losing, t.before, t.loss, t.sum, t.n = now, time.Time{}, u.shared, mean, 0, 0
		all.sending *= 1 - mean // what got through
		u.shared.fall(now, u.queue, all)
		return true
	}
	if now.Sub(t.began) < trialLength {
		if now.Sub(t.began) >= trialShows {
			t.sum += mean
			t.n++
		}
		return true
	}
	t.began = time.Time{}
	if t.sum <= t.loss/2*float64(t.n) {
		t.rest = 0
		return false
	}
	u.shared = t.before
	t.rest = min(max(2*t.rest, trialRest), trialMost)
	t.again = now.Add(t.rest)
	return false
}

func meanLoss(members []member) (mean float64) {
	for _, m := range members {
		mean += m.loss / float64(len(members))
	}
	return mean
}

// suspects tells whether most listeners lose a lot, and no trial has shown that it
// is for other reasons: what it has shown is of as much as was lost then.
func (t *trial) suspects(now time.Time, members []member, queue time.Duration) bool {
	n := len(members)
	if n < trialCrowd || now.Before(t.again) && meanLoss(members) < trialWorse*t.loss+trialQueued {
		return false
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.loss, b.loss) })
	least := trialLoss
	if queue > queueMost/3 {
		least = trialQueued
	}
	return members[n/4].loss >= least
}

// due tells whether they have done so for so long.
func (t *trial) due(now time.Time, members []member, queue, wait time.Duration) bool {
	if !t.suspects(now, members, queue) {
		t.losing = time.Time{}
		return false
	}
	if t.losing.IsZero() {
		t.losing = now
	}
	return now.Sub(t.losing) >= wait
}
