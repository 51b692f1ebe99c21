package p2p

import "time"

// Times of liveness. Anything that arrives on a path is a sign of life.
const (
	pingIdle   = 1250 * time.Millisecond // of silence before the smaller peer ID asks
	pingLarger = 1750 * time.Millisecond // of silence before the larger one does
	pingAgain  = 250 * time.Millisecond  // between questions while an answer is overdue
	pingLost   = 500 * time.Millisecond  // between questions on a path that is lost
	pingSpare  = 5 * time.Second         // of silence on a path that carries no voice
	lostAfter  = 2500 * time.Millisecond // of silence a path is lost
	rttMaxAge  = 30 * time.Second        // of a round-trip time before it is measured again
)

// liveness is what is known of a path's life.
type liveness struct {
	heard  time.Time // when anything arrived last
	lost   bool      // nothing did for too long
	asked  time.Time // when the last ping was queued
	asking bool      // nothing was heard since
	id     uint64    // of the last ping
	times  [8]time.Time
	rttAt  time.Time // when the round-trip time was measured last
}

// ping notes a new question and returns its id.
func (l *liveness) ping(now time.Time) uint64 {
	l.id++
	l.times[l.id%8] = now
	l.asked, l.asking = now, true
	return l.id
}

// pong measures the round-trip time from an answer.
func (l *liveness) pong(id uint64, at time.Time, rtt *rttEstimate) {
	if id == 0 || id > l.id || l.id-id >= 8 || l.times[id%8].IsZero() {
		return
	}
	rtt.add(at.Sub(l.times[id%8]), at)
	l.times[id%8] = time.Time{}
	l.rttAt = at
}

// heardLocked notes that something arrived on a path.
func (p *pair) heardLocked(pt *path, at time.Time) {
	l := &pt.alive
	if at.After(l.heard) {
		l.heard = at
	}
	l.asking = false
	if l.lost {
		l.lost = false
		p.sending.stall.end()
		p.wakeUp()
		p.log.Debug("path is back", "remote", pt.class.remote)
	}
}

// keepAliveLocked asks for a sign of life when it is time, notes that there was
// none for too long, and returns when to look again.
func (p *pair) keepAliveLocked(pt *path, now time.Time) time.Time {
	l := &pt.alive
	c := pt.cur
	if c == nil {
		return now.Add(time.Hour)
	}
	// A path that isn't used for voice is asked more rarely and lost later.
	idle, lost := pingIdle, lostAfter
	switch {
	case p.best != nil && p.best != pt && !l.lost:
		idle, lost = pingSpare, pingSpare+lostAfter
	case !p.smaller:
		idle = pingLarger
	}
	dead := l.heard.Add(lost)
	if !l.lost && !now.Before(dead) {
		l.lost = true
		p.dropLanesLocked(pt, codeTooLate)
		p.log.Debug("path is lost", "remote", pt.class.remote)
	}
	due := l.heard.Add(idle)
	switch {
	case l.lost:
		due = l.asked.Add(pingLost)
	case l.asking:
		due = l.asked.Add(max(pingAgain, pt.rtt.smoothed*3/2))
	case l.rttAt.IsZero():
		due = now
	case l.rttAt.Add(rttMaxAge).Before(due):
		due = l.rttAt.Add(rttMaxAge)
	}
	if again := l.asked.Add(pingAgain); due.Before(again) {
		due = again // whatever a peer does that is heard but doesn't answer
	}
	if !now.Before(due) {
		c.pingID = l.ping(now)
		c.ping = true
		poke(c.kick)
		due = now.Add(pingAgain)
	}
	if !l.lost && dead.Before(due) {
		return dead
	}
	return due
}
