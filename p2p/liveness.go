package p2p

import "time"

// Times of liveness. Anything that arrives on a path is a sign of life; that it
// carries in both directions only an answer shows: a pong, or the
// acknowledgement of voice.
const (
	pingIdle   = 1250 * time.Millisecond // of silence before the smaller peer ID asks
	pingLarger = 1750 * time.Millisecond // of silence before the larger one does
	pingAgain  = 250 * time.Millisecond  // between questions while an answer is overdue
	pingLost   = 500 * time.Millisecond  // between questions on a path that is lost or was
	pingSpare  = 15 * time.Second        // of silence on a path that carries no voice
	lostAfter  = 2500 * time.Millisecond // without a sign of life or an answer a path is lost
	lostThough = 3500 * time.Millisecond // without an answer at most, while there are signs of life
	rttSoon    = 300 * time.Millisecond  // the same until it was measured
	rttSure    = 5                       // times, or rttRecent where most took longer than the shortest
	// pingMissing is less than there is between two pings that are answered.
	pingMissing = time.Second
	rttMaxAge   = 30 * time.Second // of a round-trip time before it is measured again

	// doubtAfter beyond the round-trip time without an answer a path is in
	// doubt: it is left for one that answers. An acknowledgement takes up to
	// 100 ms beside the round trip, and a retransmission 1.5 round trips.
	doubtAfter = 500 * time.Millisecond
	// doubtUnknown is the same while the round-trip time isn't known.
	doubtUnknown = time.Second
	// trustAfter a path answers again it may be preferred again.
	trustAfter = 1500 * time.Millisecond
)

// liveness is what is known of a path's life.
type liveness struct {
	heard   time.Time // when anything arrived last
	asked   time.Time // when the last ping was queued
	id      uint64    // of the last ping
	times   [8]time.Time
	rttAt   time.Time // when the round-trip time was measured last
	lost    bool      // nothing was heard or answered for lostAfter
	doubted time.Time // when it was last in doubt
	trial   bool      // chosen since another failed, and nothing was answered since
	pinged  time.Time // when the peer last asked
	urgent  bool      // the peer seems to miss our answers

	open     time.Time // the first question without an answer to it or to a later one; zero if there is none
	latest   time.Time // the last question
	answered time.Time // the last one that has an answer
	pauses   [16]pause // the last ones between questions, a ring
	paused   int       // how many there were
}

// pause is a time in which nothing was asked.
type pause struct{ from, to time.Time }

// pauseLeast is the shortest that counts: packets of voice come closer.
const pauseLeast = 100 * time.Millisecond

// question notes that something was sent at a time that is to be answered.
func (l *liveness) question(at time.Time) {
	if l.open.IsZero() {
		l.open = at
	}
	if at.Sub(l.latest) >= pauseLeast {
		l.pauses[l.paused%len(l.pauses)] = pause{l.latest, at}
		l.paused++
	}
	l.latest = at
}

// answer notes the answer to what was sent at a time.
func (l *liveness) answer(asked time.Time) {
	l.trial = false
	l.answered = laterOf(l.answered, asked)
	switch {
	case l.open.IsZero():
	case !asked.Before(l.latest):
		l.open = time.Time{}
	case !asked.Before(l.open):
		l.open = l.next(asked)
	}
}

// next is when, about, the first question after one that has an answer was asked.
func (l *liveness) next(asked time.Time) time.Time {
	for i := range min(l.paused, len(l.pauses)) {
		if p := l.pauses[(l.paused-1-i)%len(l.pauses)]; !asked.Before(p.from) && asked.Before(p.to) {
			return p.to
		}
	}
	return asked // it was asked at once, as packets of voice are
}

// forget drops the questions of a stay that is over: nobody answers them any more,
// and what is asked in the next one isn't in doubt for that.
func (l *liveness) forget() {
	l.open, l.answered, l.trial, l.lost = time.Time{}, time.Time{}, false, false
}

// ping notes a new ping and returns its id.
func (l *liveness) ping(now time.Time) uint64 {
	l.id++
	l.times[l.id%8] = now
	l.asked, l.urgent = now, false
	l.question(now)
	return l.id
}

// pong measures the round-trip time from an answer.
func (l *liveness) pong(id uint64, at time.Time, rtt *rttEstimate) {
	if id == 0 || id > l.id || l.id-id >= 8 || l.times[id%8].IsZero() {
		return
	}
	asked := l.times[id%8]
	rtt.add(at.Sub(asked), at)
	l.answer(asked)
	l.times[id%8] = time.Time{}
	l.rttAt = at
}

// pingedAt notes a question of the peer. One that asks again sooner than anybody
// does who has an answer misses ours, unless we know better.
func (l *liveness) pingedAt(at time.Time) {
	l.urgent = l.urgent || at.Sub(l.pinged) < pingMissing && at.Sub(l.rttAt) > pingMissing
	l.pinged = at
}

// overdue is for how long an answer has been awaited.
func (l *liveness) overdue(now time.Time) time.Duration {
	if l.open.IsZero() {
		return 0
	}
	return now.Sub(l.open)
}

// rttAge is how old the round-trip time may become: the first ones may have waited
// for a retransmission, and who only listens measures it by this alone.
func (pt *path) rttAge() time.Duration {
	if n := pt.rtt.count; n < rttSure || n < rttRecent && !pt.rtt.agreed() {
		return rttSoon
	}
	return rttMaxAge
}

// doubtLimit is for how long an answer may be awaited.
func (pt *path) doubtLimit() time.Duration {
	if rtt := pt.rtt.trusted(); rtt > 0 {
		return rtt + doubtAfter
	}
	return doubtUnknown
}

// inDoubt reports whether an answer is overdue.
func (pt *path) inDoubt(now time.Time) bool {
	return pt.alive.overdue(now) > pt.doubtLimit()
}

// hopeless reports whether a path hasn't answered for so long that a handshake beside
// it is better than to wait. While something arrives on it that may only add to a
// queue: one whose other direction alone is dead is lost soon.
func (pt *path) hopeless(now time.Time) bool {
	l := &pt.alive
	return l.overdue(now) > pt.doubtLimit()+hopeless && now.Sub(l.heard) > hopeless
}

// fails reports whether an answer is overdue for so long that the path is lost.
func (pt *path) fails(now time.Time) bool {
	return pt.alive.overdue(now) >= pt.lostLimit(now) || pt.alive.trial && pt.inDoubt(now)
}

// lostLimit is for how long an answer may be awaited until a path is lost. Where
// something arrives on it meanwhile, and answers take long or nobody knows how long,
// they may be in a queue: a handshake would make that longer.
func (pt *path) lostLimit(now time.Time) time.Duration {
	if now.Sub(pt.alive.heard) >= hopeless {
		return lostAfter
	}
	if rtt := pt.rtt.trusted(); rtt > 0 {
		return min(lostAfter+2*rtt, lostThough)
	}
	return lostThough
}

// heardLocked notes that something arrived on a path.
func (p *pair) heardLocked(pt *path, at time.Time) {
	l := &pt.alive
	if !at.After(l.heard) {
		return
	}
	if at.Sub(l.heard) >= lostAfter {
		l.open = time.Time{} // the questions were lost in the same hole
	}
	l.heard = at
	if l.lost && !pt.fails(at) {
		l.lost = false
		p.sending.stall.end()
		p.wakeUp()
		p.debugLocked("path is back", "remote", pt.class.remote)
	}
}

// keepAliveLocked asks for a sign of life when it is time, notes that there was
// none for too long, and returns when to look again.
func (p *pair) keepAliveLocked(pt *path, now time.Time) time.Time {
	c := pt.cur
	if c == nil {
		return now.Add(time.Hour)
	}
	due := p.pingDueLocked(pt, now)
	if !now.Before(due) {
		p.pingLocked(pt, now)
		due = now.Add(pingAgain)
	}
	return earlier(due, p.judgeLifeLocked(pt, now))
}

// pingLocked asks a path for a sign of life.
func (p *pair) pingLocked(pt *path, now time.Time) {
	pt.cur.pingID = pt.alive.ping(now)
	pt.cur.ping = true
	poke(pt.cur.kick)
}

// pingDueLocked is when a path is to be asked next.
func (p *pair) pingDueLocked(pt *path, now time.Time) time.Time {
	l := &pt.alive
	idle := pingIdle
	switch {
	case p.best != nil && p.best != pt:
		idle = pingSpare
	case !p.smaller:
		idle = pingLarger
	}
	due := l.heard.Add(idle)
	switch {
	case l.lost, p.best != pt && now.Sub(l.doubted) < trustAfter:
		due = l.asked.Add(pingLost)
	case !l.open.IsZero() && l.overdue(now) >= max(pingAgain, pt.rtt.smoothed*3/2):
		due = l.asked.Add(max(pingAgain, pt.rtt.smoothed*3/2))
	case l.rttAt.IsZero(), l.urgent:
		due = now
	case l.rttAt.Add(pt.rttAge()).Before(due):
		due = l.rttAt.Add(pt.rttAge())
	case p.best != nil && p.best != pt && p.best.alive.overdue(now) > p.best.doubtLimit()/2 && l.asked.Before(p.best.alive.open):
		due = now // it may be needed soon
	}
	if again := l.asked.Add(pingAgain); due.Before(again) {
		due = again // whatever a peer does that is heard but doesn't answer
	}
	return due
}

// judgeLifeLocked decides whether a path is in doubt or lost, and returns when
// that may change.
func (p *pair) judgeLifeLocked(pt *path, now time.Time) time.Time {
	l := &pt.alive
	silence := lostAfter
	if p.best != nil && p.best != pt {
		silence += pingSpare // it is asked more rarely
	}
	next := l.heard.Add(silence)
	if !l.lost && (!now.Before(next) || pt.fails(now)) {
		l.lost = true
		p.dropLanesLocked(pt, codeTooLate)
		p.debugLocked("path is lost", "remote", pt.class.remote)
	}
	if pt.inDoubt(now) {
		l.doubted = now
	}
	if l.lost {
		return now.Add(pingLost)
	}
	if l.open.IsZero() {
		return next
	}
	for _, at := range []time.Time{
		l.open.Add(pt.doubtLimit() / 2), l.open.Add(pt.doubtLimit()), l.open.Add(pt.lostLimit(now)), l.heard.Add(hopeless),
	} {
		if at.After(now) {
			next = earlier(next, at.Add(time.Millisecond))
		}
	}
	return next
}
