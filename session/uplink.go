package session

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// What goes to all listeners together.
const (
	uplinkAtFirst = 256                    // kb/s that are sent before anything is known of the uplink
	uplinkGrowth  = 2                      // times what went through without a queue may be sent then
	uplinkProof   = 500 * time.Millisecond // for so long
	uplinkKeen    = 1.5                    // times as long a queue counts as that on one way: what several see is there
)

// uplink finds out how much goes through the one queue that what is sent to all
// listeners has in common, our own link. That can't be seen on the way to one of
// them, whose share is small, and if each tried for itself they would fill the
// queue in turns. It is runControl's.
type uplink struct {
	shared congestion
	queue  time.Duration // that all seem to have in common
	share  float64       // kb/s that one listener may get; +Inf if there is no limit

	proven  float64   // kb/s that went through without a queue
	trying  float64   // the least that was sent since
	since   time.Time // when that began; zero if it didn't
	trial   trial
	before  congestion // what shared was before the trial
	members []member   // of the present look
}

// member is what one listener adds to the uplink.
type member struct {
	queue, rtt time.Duration
	loss       float64 // share of packets lost on the first try, as last reported
	rates
	wants float64 // kb/s that it would be sent if there was no other
}

// uplinkWary is how long isn't tried again what was too much for all: it is heard by
// all. Who is alone on a way of its own risks its own share only.
const uplinkWary = 2 * time.Minute

func newUplink() uplink {
	u := uplink{shared: newCongestion(), share: math.Inf(1)}
	u.shared.wary = uplinkWary
	return u
}

// begin starts a look at the listeners.
func (u *uplink) begin() { u.members = u.members[:0] }

// add takes note of a listener.
func (u *uplink) add(m member) { u.members = append(u.members, m) }

// look judges what was added, while we speak. One who listens alone is looked at by
// itself, and a queue that more than a quarter of the listeners don't have isn't
// ours: it costs the others nothing.
func (u *uplink) look(now time.Time, speaking bool) {
	n := len(u.members)
	if n < 2 {
		u.queue, u.share, u.since = 0, math.Inf(1), time.Time{}
		return
	}
	slices.SortFunc(u.members, func(a, b member) int { return cmp.Compare(a.queue, b.queue) })
	typical := u.members[n/4]
	u.queue = typical.queue
	var all rates
	for _, m := range u.members {
		all.sending += m.sending
		all.least += m.least
		all.little += m.little
		all.most += m.most
	}
	if speaking {
		u.hear(now, typical.rtt, all)
	} else {
		u.since = time.Time{}
	}
	u.share = u.divide(u.allowed(all.little))
}

// hear looks at what is lost by all, and at how long it waits. In a trial as little as
// possible is sent; if most of the losses are gone then, the limit stays below what got
// through, and otherwise all is as it was.
func (u *uplink) hear(now time.Time, rtt time.Duration, all rates) {
	loss := meanLoss(u.members)
	if u.trial.underway() {
		switch u.trial.goOn(now, trialLength, loss) {
		case trialGoesOn:
			return
		case trialDisproved:
			u.shared = u.before
		case trialShowed: // the limit stays
		}
	}
	if u.trial.begins(now, u.suspicious(now), u.shared.raisedLately(now), loss) {
		u.before = u.shared
		all.sending *= 1 - loss // what got through
		u.shared.fall(now, u.queue, all)
		return
	}
	u.shared.look(now, time.Duration(uplinkKeen*float64(u.queue)), rtt, all)
	u.prove(now, all.sending)
}

// prove takes note of what went through, without a queue and without most listeners
// missing a part. What is sent beyond it counts as a raise.
func (u *uplink) prove(now time.Time, sending float64) {
	if u.queue > queueMost/2 || u.suspicious(now) {
		u.since = time.Time{}
		return
	}
	if u.since.IsZero() {
		u.since, u.trying = now, sending
	}
	u.trying = min(u.trying, sending)
	if now.Sub(u.since) < uplinkProof {
		return
	}
	if u.trying > u.proven {
		u.proven = u.trying
		u.shared.raisedFrom(now, u.proven)
	}
	u.since = time.Time{}
}

// suspicious tells whether what most listeners lose may be lost on our own link.
func (u *uplink) suspicious(now time.Time) bool {
	return u.trial.suspectsAll(now, u.queue, u.members)
}

// allowed is how much may be sent to all together, in kb/s of IP packets. Before anything
// is known it isn't less than little to each.
func (u *uplink) allowed(little float64) float64 {
	return min(u.shared.allowed(), max(uplinkAtFirst, uplinkGrowth*u.proven, little))
}

// divide returns the share of each: those who want less than that leave the rest
// to the others.
func (u *uplink) divide(all float64) float64 {
	slices.SortFunc(u.members, func(a, b member) int { return cmp.Compare(a.wants, b.wants) })
	for i, m := range u.members {
		share := all / float64(len(u.members)-i)
		if m.wants > share {
			return share
		}
		all -= m.wants
	}
	return math.Inf(1)
}
