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
	trialLoss   = 0.08                    // that three in four listeners report, or one whose full link was given more ...
	trialQueued = 0.03                    // or this while there is a queue of a third of queueMost ...
	trialAfter  = 1200 * time.Millisecond // ... for so long, or for queueFor after a raise
	trialLength = 3 * time.Second
	trialLonger = 5 * time.Second         // of one who listens alone: there is more of chance in what one loses
	trialShows  = 1500 * time.Millisecond // of it: reports are of the time before
	trialRest   = time.Minute             // after one that showed nothing; doubled each time
	trialMost   = 16 * time.Minute        // at most
	trialLeft   = 0.4                     // of the losses where they were our own
	trialWorse  = 1.5                     // times the losses that a trial was about are others
	trialCrowd  = 3                       // listeners: among fewer it is chance that all lose
	trialAlone  = 0.25                    // that one who listens alone reports, unless it has such a queue
	trialShare  = 0.5                     // of what got through is sent to one who listens alone, at least little
)

// trial finds out whether losses are a link's that is full. Who runs it sends less while
// it goes on. The zero value is ready.
type trial struct {
	losing time.Time // since when losses are suspicious; zero if they aren't
	began  time.Time // zero if none is under way
	loss   float64   // when it began
	sum    float64   // of losses, once it shows
	n      int
	showed bool // the last one did
	rest   time.Duration
	again  time.Time // not before
}

// trialState is what has come of a trial.
type trialState int

const (
	trialGoesOn    trialState = iota
	trialShowed               // most of the losses are gone: the link is full
	trialDisproved            // they have other reasons
)

// begins reports whether a trial begins, since losses have been suspicious for long enough:
// which isn't long after a raise.
func (t *trial) begins(now time.Time, suspicious, raised bool, loss float64) bool {
	if !suspicious {
		t.losing = time.Time{}
		return false
	}
	if t.losing.IsZero() {
		t.losing = now
	}
	wait := trialAfter
	if raised {
		wait = queueFor
	}
	if now.Sub(t.losing) < wait {
		return false
	}
	t.began, t.losing, t.loss, t.sum, t.n = now, time.Time{}, loss, 0, 0
	return true
}

// goOn takes note of what is lost in a trial that takes so long.
func (t *trial) goOn(now time.Time, length time.Duration, loss float64) trialState {
	if now.Sub(t.began) < length {
		if now.Sub(t.began) >= trialShows {
			t.sum += loss
			t.n++
		}
		return trialGoesOn
	}
	t.began = time.Time{}
	if t.n == 0 {
		return trialDisproved // nobody spoke
	}
	if t.showed = t.sum <= trialLeft*t.loss*float64(t.n); t.showed {
		t.rest = 0
		return trialShowed
	}
	t.rest = min(max(2*t.rest, trialRest), trialMost)
	t.again = now.Add(t.rest)
	return trialDisproved
}

func (t *trial) underway() bool { return !t.began.IsZero() }

// settled tells whether a trial has shown that losses have other reasons: what it has
// shown is of as much as was lost then.
func (t *trial) settled(now time.Time, loss float64) bool {
	return now.Before(t.again) && loss < trialWorse*t.loss+trialQueued
}

// suspects tells whether what the way to one listener loses may be what its queue has no
// room for. Without a queue that is so only where more is lost than copies are meant for,
// or more is being sent since a moment ago, on a link that was full before.
func (t *trial) suspects(now time.Time, queue time.Duration, raised bool, loss float64) bool {
	least := trialAlone
	if raised {
		least = trialLoss
	}
	return loss >= suspiciousFrom(queue, least) && !t.settled(now, loss)
}

// suspiciousFrom is the loss from which on it is suspicious, if it is least without a queue.
func suspiciousFrom(queue time.Duration, least float64) float64 {
	if queue > queueMost/3 {
		return trialQueued
	}
	return least
}

// suspectsAll tells the same of a queue that most of the listeners have in common.
func (t *trial) suspectsAll(now time.Time, queue time.Duration, members []member) bool {
	n := len(members)
	if n < trialCrowd || t.settled(now, meanLoss(members)) {
		return false
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.loss, b.loss) })
	return members[n/4].loss >= suspiciousFrom(queue, trialLoss)
}

func meanLoss(members []member) (mean float64) {
	for _, m := range members {
		mean += m.loss / float64(len(members))
	}
	return mean
}
