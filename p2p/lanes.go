package p2p

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	// lateAfter beyond the round-trip time a packet that isn't acknowledged is
	// too late to be played: the jitter buffer rarely holds more than
	// 300 ms, and the acknowledgement takes up to ackDelay and a little. Resetting a lane
	// earlier would throw away the retransmissions that lanes are good for.
	lateAfter = 400 * time.Millisecond
	// blockedMost is how long one Write may wait.
	blockedMost = 200 * time.Millisecond
	// openMost is how long opening a lane may take.
	openMost = 200 * time.Millisecond
	// laneRestTime follows a lane that could not be opened or was refused.
	laneRestTime = 500 * time.Millisecond
	// laneCapTime after a lane was refused for being one too many, the far end
	// is asked for one more again: what it was short of may have passed.
	laneCapTime = 10 * time.Second
	// lossMemory after the last loss a path is taken to lose no more.
	lossMemory = 10 * time.Second
	// laneUse after voice came on a path, its lanes may carry acknowledgements;
	// after ours went over it, what is on them may still be on its way.
	laneUse = time.Second
	// epochWait is for the control stream that announces a lane's epoch.
	epochWait = 2 * time.Second
)

// lane is a stream that we opened and write voice to. The pair's mu guards it.
type lane struct {
	pt      *path
	index   int
	stream  network.Stream // nil until the writer opened it
	out     io.Writer      // of the first write, with the protocol's name
	dead    bool
	used    int   // messages written
	unacked int   // packets in the flight
	holes   int64 // the largest number acknowledged while one of ours before it was not
}

// dropLanesLocked takes away every lane of a path, with what is on them, and
// returns how many there were.
func (p *pair) dropLanesLocked(pt *path, code network.StreamErrorCode) (n int) {
	for _, ln := range pt.lanes {
		if ln != nil {
			p.dropLaneLocked(ln, code)
			n++
		}
	}
	return n
}

func (p *pair) dropLaneLocked(ln *lane, code network.StreamErrorCode) {
	if ln.dead {
		return
	}
	ln.dead = true
	p.sending.flight.settleLane(ln)
	p.doomLocked(ln.stream, code)
	if ln.pt.lanes[ln.index] == ln {
		ln.pt.lanes[ln.index] = nil
	}
}

// pickLaneLocked deals packets round-robin over the lanes of a path, leaving
// out those that are known to wait for a retransmission. While stalled there is
// one lane, changed often where another one isn't behind it.
func (p *pair) pickLaneLocked(pt *path, now time.Time) *lane {
	if pt.laneCap < maxLanes && now.Sub(pt.laneCapped) > laneCapTime {
		pt.laneCap, pt.laneCapped = pt.laneCap+1, now
	}
	n := p.lanesLocked(pt, now)
	if p.sending.stall.on {
		n = 1
		if ln := pt.lanes[0]; ln != nil && ln.used >= probesLane && pt.class.striped {
			p.dropLaneLocked(ln, codeTooLate)
			p.stats.LaneResets++
			p.wakeUp()
		}
	}
	first := pt.turn % n
	choice := first
	for i := range n {
		at := (first + i) % n
		if ln := pt.lanes[at]; ln == nil && !now.Before(pt.laneRest) || ln != nil && !p.sending.flight.waits(ln) {
			choice = at
			break
		}
	}
	pt.turn = choice + 1
	if pt.lanes[choice] == nil {
		pt.lanes[choice] = &lane{pt: pt, index: choice, holes: -1}
	}
	return pt.lanes[choice]
}

// keepLanesLocked resets lanes whose oldest packet is too late and a lane whose
// Write waits for too long, has owed acknowledgements written, and returns when
// to look again.
func (p *pair) keepLanesLocked(now time.Time) time.Time {
	s, r := &p.sending, &p.receiving
	next := now.Add(time.Hour)
	if s.writing != nil {
		if late := s.writingSince.Add(blockedMost); now.Before(late) {
			next = earlier(next, late)
		} else {
			p.stats.LaneResets++
			p.dropLaneLocked(s.writing, codeTooLate)
		}
	}
	s.flight.each(func(_ int64, rec *sentPacket) bool {
		if !rec.lane.pt.class.striped {
			return true // to be late is no reason to be reset: nothing would overtake it
		}
		late := rec.at.Add(rec.lane.pt.rtt.trusted() + lateAfter)
		if now.Before(late) {
			next = earlier(next, late)
			return false
		}
		if !p.takeResetLocked(now) {
			next = earlier(next, now.Add(blockedMost))
			return false
		}
		p.stats.LaneResets++
		p.dropLaneLocked(rec.lane, codeTooLate)
		return true
	})
	next = earlier(next, p.dropUnusedLocked(now))
	if !r.owed.IsZero() {
		if due := r.owed.Add(ackDelay); now.Before(due) {
			next = earlier(next, due)
		} else if !r.due {
			r.due = true
			poke(p.kick)
		}
	}
	return next
}

// dropUnusedLocked ends the lanes of paths that neither carry our voice nor
// acknowledgements of the peer's, and returns when to look again.
func (p *pair) dropUnusedLocked(now time.Time) time.Time {
	next := now.Add(time.Hour)
	if p.best == nil {
		return next
	}
	also, from := p.alsoLocked(now), p.receiving.from
	if from != nil && now.Sub(p.receiving.newest) >= laneUse {
		from = nil
	}
	if also != nil || from != nil && from != p.best {
		next = now.Add(moveLeast)
	}
	for _, pt := range p.paths {
		if pt == p.best || pt == also || pt == from {
			continue
		}
		if over := pt.left.Add(laneUse); now.Before(over) {
			next = earlier(next, over)
			continue
		}
		for _, ln := range pt.lanes {
			if ln != nil && ln.unacked == 0 {
				p.dropLaneLocked(ln, codeSuperseded)
			}
		}
	}
	return next
}

// runWatch reads a lane that we opened, which is how a refusal is seen.
func (p *pair) runWatch(ln *lane, r io.Reader) {
	var b [1]byte
	n, err := r.Read(b[:])
	p.lock()
	defer p.deliver.Unlock()
	if ln.dead {
		p.mu.Unlock()
		return
	}
	code, remote := remoteCode(err)
	now := time.Now()
	switch {
	case n > 0:
		p.stats.Malformed++ // the acceptor of a lane doesn't write
		p.dropLaneLocked(ln, codeMalformed)
	case remote && (code == codeTooMany || code == network.StreamResourceLimitExceeded):
		ln.pt.laneCap = max(1, min(ln.pt.laneCap, ln.index))
		ln.pt.laneCapped = now
		fallthrough
	default:
		ln.pt.laneRest = now.Add(laneRestTime)
		p.dropLaneLocked(ln, codeSuperseded)
	}
	p.debugLocked("lane ended", "conn", ln.pt.name(), "lane", ln.index, "error", err)
	p.tell(now)
}

// incomingLane is a stream on which the peer sends voice.
type incomingLane struct {
	s   network.Stream
	far uint64
}

// runIncomingLane serves a lane of the peer to its end.
func (p *pair) runIncomingLane(s network.Stream, r *streamReader, pre preamble) {
	in := &incomingLane{s: s, far: pre.from}
	pt, code := p.acceptLane(in, pre)
	if code != 0 {
		p.t.node.reset(s, code)
		return
	}
	p.countReceived(r.sum)
	for {
		m, n, err := parseLaneMessage(r.pending())
		switch {
		case errors.Is(err, errIncomplete):
			n, err = r.fill()
			if err != nil {
				p.endIncoming(pt, pre.lane, in)
				p.t.node.reset(s, codeSuperseded)
				return
			}
			p.countReceived(n)
			continue
		case err != nil:
			p.mu.Lock()
			p.stats.Malformed++
			p.mu.Unlock()
		case p.receiveLane(pt, in, &m, r.at):
			r.consume(n)
			continue
		}
		p.endIncoming(pt, pre.lane, in)
		p.t.node.reset(s, codeMalformed)
		return
	}
}

// acceptLane finds the path of an incoming lane. A lane may overtake the
// control stream that announces its epoch; it is waited for.
func (p *pair) acceptLane(in *incomingLane, pre preamble) (*path, network.StreamErrorCode) {
	timeout, cancel := context.WithTimeout(p.ctx, epochWait)
	defer cancel()
	for {
		p.mu.Lock()
		switch {
		case p.state != stateJoined:
			p.mu.Unlock()
			return nil, codeLeft
		case pre.to != p.ours, p.isFormerLocked(pre.from):
			p.mu.Unlock()
			return nil, codeStale
		case pre.lane >= maxLanes:
			p.stats.Malformed++
			p.mu.Unlock()
			return nil, codeTooMany
		case p.waiting >= maxWaiting && pre.from != p.far:
			p.mu.Unlock()
			return nil, codeTooMany
		case pre.from == p.far:
			defer p.mu.Unlock()
			pt := p.pathOfLocked(in.s.Conn())
			if pt == nil {
				return nil, p.noPath(in.s.Conn())
			}
			if old := pt.incoming[pre.lane]; old != nil {
				p.doomLocked(old.s, codeSuperseded)
				p.wakeUp()
			}
			pt.incoming[pre.lane] = in
			return pt, 0
		}
		changed := p.epochs
		p.waiting++
		p.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.Done():
		}
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
		if timeout.Err() != nil {
			return nil, codeStale
		}
	}
}

func (p *pair) endIncoming(pt *path, index byte, in *incomingLane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pt.incoming[index] == in {
		pt.incoming[index] = nil
	}
}

// receiveLane takes a message of a lane and delivers its voice; false costs the
// peer the lane.
func (p *pair) receiveLane(pt *path, in *incomingLane, m *laneMessage, at time.Time) bool {
	p.lock()
	defer p.deliver.Unlock()
	if p.state == stateGone || in.far != p.far || pt.gone {
		p.mu.Unlock()
		return false
	}
	p.heardLocked(pt, at)
	pt.gain(len(m.payload) + ackSize)
	pt.voice = at
	fresh, good := p.receiveLocked(pt, m, at)
	if !good {
		p.stats.Malformed++
	}
	// A lane may be heard before the control stream is up again.
	fresh = fresh && !p.farLeft
	p.tell(at)
	if fresh {
		p.h.Voice(p.id, m.payload, at)
	}
	return good
}
