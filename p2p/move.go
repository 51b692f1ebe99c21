package p2p

import "time"

// Voice moves from one path to another make-before-break: it is sent on both
// until the new one has answered. What arrives twice is dropped by its number. From
// one circuit to another through the same relay it moves at once.

const (
	moveLeast = 200 * time.Millisecond // for which voice goes over both paths
	moveMost  = 2 * time.Second
)

// move is a change of path under way.
type move struct {
	from *path // nil if there is none
	at   time.Time
	ping uint64 // on the new path
}

// moveLocked makes a path the one that carries voice; nil if there is none.
func (p *pair) moveLocked(to *path, now time.Time) {
	from := p.best
	p.best = to
	p.stats.PathChanges++
	p.moving = move{}
	p.dependLocked(to)
	if to == nil {
		p.dropQueuedLocked()
		return
	}
	p.debugLocked("voice moves", "to", to.conn.ID(), "from", from.name(), "rtt", to.rtt.smoothed)
	to.alive.trial = from != nil && (from.gone || from.alive.lost || from.inDoubt(now))
	to.cur.cursor = max(p.control.base, to.cur.cursor)
	poke(to.cur.kick)
	// A path that was spare was asked rarely: it gets its time to answer.
	if to.alive.heard.Before(now) {
		to.alive.heard = now
	}
	p.sending.stall.end()
	p.sending.moved = now
	p.wakeUp()
	if from == nil || from.gone {
		return
	}
	from.left = now
	if from.shares(to) && !from.inDoubt(now) {
		return // what is on it arrives, and counts until then
	}
	for _, ln := range from.lanes {
		if ln != nil {
			p.sending.flight.settleLane(ln) // what is on it doesn't count against the new path
		}
	}
	if from.shares(to) {
		return
	}
	p.pingLocked(to, now)
	p.moving = move{from: from, at: now, ping: to.alive.id}
}

// shares reports whether two paths are circuits through the same relay. They have
// the link to it in common: what one of them carries in time the other does too,
// and twice as much hardly.
func (pt *path) shares(o *path) bool {
	id := relayOf(pt.conn.RemoteMultiaddr())
	return id != "" && id == relayOf(o.conn.RemoteMultiaddr())
}

// name is how a path is called in the log.
func (pt *path) name() string {
	if pt == nil {
		return "none"
	}
	return pt.conn.ID()
}

// alsoLocked is the path that voice is sent on too, nil if there is none.
func (p *pair) alsoLocked(now time.Time) *path {
	m := &p.moving
	if m.from == nil {
		return nil
	}
	answered := p.best != nil && p.best.alive.times[m.ping%8].IsZero()
	over := now.Sub(m.at)
	if m.from.gone || m.from.cur == nil || answered && over >= moveLeast || over >= moveMost {
		*m = move{}
		p.wakeUp() // its lanes can go
		return nil
	}
	return m.from
}
