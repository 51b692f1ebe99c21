package p2p

import (
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// Bounds of voice that was given to the network and not acknowledged.
const (
	// boundExtra beyond the round-trip time, and its swing, is how much audio may be
	// unacknowledged. Write gives no back-pressure for 8 s on QUIC and a
	// minute on yamux; without a bound the delay grows into seconds.
	boundExtra = 300 * time.Millisecond
	// boundUnknown is the whole bound until the round-trip time is known.
	boundUnknown = 600 * time.Millisecond
	// boundOrdered and boundOrderedUnknown are the same on a path that is one
	// ordered stream, where what was written can't be taken back, nor overtaken by
	// what is said next.
	boundOrdered        = 300 * time.Millisecond
	boundOrderedUnknown = 300 * time.Millisecond
	// stallAfter beyond the round-trip time, and its swing, without any acknowledgement, what
	// is on the lanes is given up. Until then a full flight only waits: one
	// lost packet on a path with one lane holds back acknowledgements for 1.5
	// round-trip times, and resetting then cost 13 % of the packets of a link
	// with 5 % loss.
	stallAfter = 200 * time.Millisecond
	// spanMost is the most audio one packet stands for: a Opus packet holds at
	// most 60 ms here, and a pause isn't audio.
	spanMost = 60 * time.Millisecond
	// queueSize is the number of packets that wait for the writer; the oldest
	// is dropped.
	queueSize = 4

	probeFast  = 100 * time.Millisecond // between probes while nothing is acknowledged
	probeSlow  = 250 * time.Millisecond // after probesFast of them
	probesFast = 5
	probesLane = 2 // probes on one lane, so that hardly any stale one is left when the path returns
)

// sending is the state of voice on its way to the peer.
type sending struct {
	flight flight
	stall  stall
	resets bucket
	last   time.Time // of the latest sendVoice
	moved  time.Time // when the flight last shrank, or began

	queue       [queueSize]queued
	head, count int
	span        time.Duration // in the queue

	writing      *lane // the lane that the writer writes to, nil if none
	writingSince time.Time
}

// queued is a packet that waits for the writer.
type queued struct {
	span time.Duration
	size int
	buf  [link.MaxMessage]byte
}

// stall is the state in which too much is unacknowledged: only probes are
// written, until one is acknowledged.
type stall struct {
	on     bool
	from   int64 // the first number whose acknowledgement ends it
	probes int
	next   time.Time // probe
}

func (s *stall) end() { *s = stall{} }

// probe says whether a packet may be written as probe.
func (s *stall) probe(now time.Time) bool {
	if now.Before(s.next) {
		return false
	}
	s.probes++
	s.next = now.Add(probeFast)
	if s.probes > probesFast {
		s.next = now.Add(probeSlow)
	}
	return true
}

// reset begins anew in a new epoch of the peer.
func (s *sending) reset() {
	s.flight = flight{}
	s.stall.end()
}

// sendVoice queues a packet for the writer, or says why it is dropped.
func (p *pair) sendVoice(b []byte, now time.Time) error {
	if len(b) > link.MaxMessage {
		return link.ErrTooLarge
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != stateJoined {
		return link.ErrNotJoined
	}
	s := &p.sending
	span := p.t.node.cfg.PacketInterval
	if !s.last.IsZero() {
		span = min(now.Sub(s.last), spanMost)
	}
	s.last = now
	if p.best == nil {
		p.stats.VoiceDropped++
		return link.ErrNoPath
	}
	if !p.admitLocked(span, now) {
		p.stats.VoiceDropped++
		return link.ErrCongested
	}
	if s.count == queueSize {
		s.span -= s.queue[s.head].span
		s.head = (s.head + 1) % queueSize
		s.count--
		p.stats.VoiceDropped++
	}
	q := &s.queue[(s.head+s.count)%queueSize]
	q.span, q.size = span, copy(q.buf[:], b)
	s.count++
	s.span += span
	poke(p.kick)
	return nil
}

// bound is how much audio may be unacknowledged on a path. On one that is an
// ordered stream the shortest round trip counts: longer ones are a queue already,
// which is ours.
func (pt *path) bound() time.Duration {
	switch rtt := pt.rtt.trusted(); {
	case !pt.class.striped && rtt > 0:
		return pt.rtt.shortest() + boundOrdered
	case !pt.class.striped:
		return boundOrderedUnknown
	case rtt > 0:
		return rtt + boundExtra + pt.rtt.swing()
	}
	return boundUnknown
}

// admitLocked keeps to the bound of unacknowledged audio.
func (p *pair) admitLocked(span time.Duration, now time.Time) bool {
	s := &p.sending
	if s.stall.on {
		return s.flight.free() > s.count && s.stall.probe(now)
	}
	if s.flight.span+s.span+span <= p.best.bound() && s.flight.free() > s.count {
		return true
	}
	if rtt := &p.best.rtt; now.Sub(s.moved) > rtt.trusted()+stallAfter+rtt.swing() {
		p.stallLocked(now)
	}
	return false
}

// stallLocked has only probes written from now on. What is on lanes is given up,
// but for a path that is one ordered stream: there it arrives first whatever
// becomes of the lane, and is counted until it has.
func (p *pair) stallLocked(now time.Time) {
	s := &p.sending
	from := s.flight.base
	if p.best.class.striped {
		if !p.takeResetLocked(now) {
			return
		}
		for _, pt := range p.paths {
			p.stats.LaneResets += uint64(p.dropLanesLocked(pt, codeTooLate))
		}
		from = s.flight.next
	}
	p.dropQueuedLocked()
	s.stall = stall{on: true, from: from, next: now.Add(probeFast)}
	p.wakeUp()
}

// takeResetLocked limits resets to 2 a second with a burst of 4.
func (p *pair) takeResetLocked(now time.Time) bool {
	r := &p.sending.resets
	if r.rate == 0 {
		*r = newBucket(2, 4)
	}
	return r.take(now)
}

func (p *pair) dropQueuedLocked() {
	s := &p.sending
	p.stats.VoiceDropped += uint64(s.count)
	s.count, s.span = 0, 0
}

// ackedLocked applies an acknowledgement of voice; false if it is impossible.
func (p *pair) ackedLocked(a ackInfo, at time.Time) bool {
	s := &p.sending
	before := s.flight.count
	largest, rec, ok := s.flight.acked(a)
	if !ok {
		return false
	}
	if s.flight.count < before {
		s.moved = at
	}
	if rec.lane != nil && a.delay < maxAckDelay {
		pt := rec.lane.pt
		pt.rtt.add(at.Sub(rec.at)-a.delay, at)
		pt.alive.rttAt = at
		if s.flight.lost() {
			pt.lost = at
		}
	}
	if rec.lane != nil && p.moving.from == nil {
		rec.lane.pt.alive.answer(rec.at) // while voice goes over two paths, either may have carried it
	}
	if s.stall.on && largest >= s.stall.from {
		s.stall.end()
	}
	return true
}

// ackDelay is how long an acknowledgement waits for voice to ride on. With one
// of them lost the sender still hears within 100 ms and a little.
const ackDelay = 60 * time.Millisecond

// ackPackets is the number of packets that are acknowledged without waiting, when
// several come at once; ackTalking where nothing waits on the way, and our own voice,
// less than ackRide ago, shows that an acknowledgement has what to ride on. One by
// itself is acknowledged in its turn, by QUIC: three packets for none. But it tells of
// a queue at once.
const (
	ackPackets = 2
	ackTalking = 4
	ackRide    = 70 * time.Millisecond
)

// receiving is the state of voice from the peer.
type receiving struct {
	window window
	unsaid int       // packets that aren't acknowledged
	owed   time.Time // when the first packet that isn't acknowledged arrived; zero if none
	newest time.Time // when the largest number arrived
	due    bool      // an acknowledgement is to be written now
	from   *path     // on which the latest voice came
	limit  bucket
}

func (r *receiving) reset() { *r = receiving{limit: r.limit} }

// takeAck returns the acknowledgement that is owed.
func (r *receiving) takeAck(now time.Time) (a ackInfo, ok bool) {
	if r.owed.IsZero() {
		return a, false
	}
	r.owed, r.due, r.unsaid = time.Time{}, false, 0
	return ackInfo{
		largest: uint16(r.window.largest()),
		bitmap:  r.window.bitmap(),
		delay:   now.Sub(r.newest),
	}, true
}

// receiveLocked takes one lane message; fresh says that its voice is to be
// delivered, good that the peer keeps to the protocol.
func (p *pair) receiveLocked(pt *path, m *laneMessage, at time.Time) (fresh, good bool) {
	r := &p.receiving
	if r.limit.rate == 0 {
		r.limit = newBucket(500, 500)
	}
	if !r.limit.take(at) {
		return false, false
	}
	if m.hasAck && !p.ackedLocked(m.ack, at) {
		return false, false
	}
	if !m.hasVoice || p.state != stateJoined {
		return false, true
	}
	n, largest := r.window.unwrap(m.number), r.window.largest()
	fresh = r.window.accept(n)
	if n > largest {
		r.newest = at
	}
	if fresh {
		r.from = pt
	}
	if r.owed.IsZero() {
		r.owed = at
		p.wakeUp()
	}
	most := ackPackets
	if at.Sub(p.sending.last) < ackRide && pt.rtt.calm() {
		most = ackTalking
	}
	if r.unsaid++; r.unsaid >= most && !r.due {
		r.due = true
		poke(p.kick)
	}
	if fresh {
		p.stats.VoiceReceived++
	} else {
		p.stats.VoiceDuplicate++
	}
	return fresh, true
}
