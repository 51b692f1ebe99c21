package p2p

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	mss "github.com/multiformats/go-multistream"
)

// Times of opening control streams.
const (
	retryFirst   = 500 * time.Millisecond // after the first refusal, doubled with each
	retryMost    = 10 * time.Second
	pendingMost  = 15 * time.Second // for an answer; the far end holds a stream for 10 s
	survivorTime = 500 * time.Millisecond
)

// accept takes a control stream that the peer opened and answers or refuses it.
// If both opened one on the same connection, the one of the smaller peer ID
// stays.
func (p *pair) accept(c *control, pre preamble) {
	now := time.Now()
	p.lock()
	defer p.deliver.Unlock()
	if c.dead { // held, adopted by Join, and reset by the peer meanwhile
		p.tell(now)
		return
	}
	if code := p.judgeLocked(c, pre, now); code != 0 {
		c.dead = true
		close(c.ready)
		p.doomLocked(c.stream, code)
		p.tell(now)
		return
	}
	pt := c.pt
	if pre.from != p.far {
		p.newEpochLocked(pre.from)
	}
	for _, old := range []*control{pt.pending, pt.cur} {
		if old != nil {
			p.endControlLocked(old, codeSuperseded)
		}
	}
	c.to, c.hello = p.far, true
	p.establishLocked(c, now)
	p.wg.Go(c.runWriter)
	p.tell(now)
}

// judgeLocked finds the path of an incoming control stream, or the code with
// which it is refused.
func (p *pair) judgeLocked(c *control, pre preamble, now time.Time) network.StreamErrorCode {
	switch {
	case p.state != stateJoined:
		return codeLeft
	case pre.to != 0 && pre.to != p.ours, p.isFormerLocked(pre.from):
		return codeStale
	case pre.from != p.far && !p.joins.take(now):
		return codeTooMany // nobody joins anew that often
	}
	pt := p.pathOfLocked(c.conn)
	if pt == nil {
		return p.noPath(c.conn)
	}
	c.pt = pt
	if !p.smaller {
		return 0
	}
	// Ours stays, unless the peer will find it stale.
	if o := pt.pending; o != nil && o.stream != nil && (o.to == 0 || o.to == pre.from) {
		pt.retry.crossed = true
		return codeSuperseded
	}
	if o := pt.cur; o != nil && o.ours && pre.from == p.far {
		return codeSuperseded
	}
	return 0
}

// answered takes the peer's preamble on a stream that we opened; false if the
// stream is of no use.
func (p *pair) answered(c *control, pre preamble, at time.Time) bool {
	p.lock()
	defer p.deliver.Unlock()
	var err error
	switch {
	case c.dead || p.state != stateJoined:
		p.mu.Unlock()
		return false
	case pre.kind != kindControl, pre.session != p.t.name, pre.to != p.ours:
		p.stats.Malformed++
		err = errMalformed
	case p.isFormerLocked(pre.from):
		err = &network.StreamError{ErrorCode: codeStale, Remote: true}
	}
	if err != nil {
		p.controlFailedLocked(c, err, at)
		p.tell(at)
		return false
	}
	if pre.from != p.far {
		p.newEpochLocked(pre.from)
	}
	pt := c.pt
	pt.pending = nil
	if pt.cur != nil {
		p.endControlLocked(pt.cur, codeSuperseded)
	}
	p.establishLocked(c, at)
	p.tell(at)
	return true
}

// establishLocked makes c the path's control stream.
func (p *pair) establishLocked(c *control, now time.Time) {
	pt := c.pt
	pt.cur = c
	pt.retry = retrying{}
	pt.laneRest = time.Time{}
	pt.laneCap = maxLanes
	p.heardLocked(pt, now)
	c.up, c.addrs = true, true
	c.cursor = p.control.base
	close(c.ready)
	poke(c.kick)
	p.wakeUp()
	p.debugLocked("control stream up", "conn", pt.name(), "opened_by_us", c.ours)
}

// endControlLocked takes a control stream away and resets it.
func (p *pair) endControlLocked(c *control, code network.StreamErrorCode) {
	if c.dead {
		return
	}
	c.dead = true
	if !c.up {
		close(c.ready)
	}
	c.up = false
	p.doomLocked(c.stream, code)
	poke(c.kick)
	if pt := c.pt; pt != nil {
		if pt.cur == c {
			pt.cur = nil
		}
		if pt.pending == c {
			pt.pending = nil
		}
	}
}

// failed ends the stream after an error of its reader or writer.
func (c *control) failed(err error) {
	now := time.Now()
	c.p.lock()
	defer c.p.deliver.Unlock()
	if c.dead {
		c.p.mu.Unlock()
		return
	}
	c.p.controlFailedLocked(c, err, now)
	c.p.tell(now)
}

// controlFailedLocked ends a stream and decides when the next one is opened.
func (p *pair) controlFailedLocked(c *control, err error, now time.Time) {
	code, remote := remoteCode(err)
	pt, wasUp := c.pt, c.up
	answer := codeSuperseded
	if errors.Is(err, errMalformed) {
		answer = codeMalformed
	}
	p.endControlLocked(c, answer)
	if pt == nil || pt.gone {
		return
	}
	p.debugLocked("control stream ended", "opened_by_us", c.ours, "was_up", wasUp, "error", err)
	r := &pt.retry
	var unsupported mss.ErrNotSupported[string]
	switch {
	case remote && code == codeSuperseded && !wasUp:
		r.at = now.Add(max(survivorTime, 2*pt.rtt.smoothed))
	case remote && code == codeStale && !wasUp && c.to != 0 && c.to == p.far:
		p.farLeftLocked()
		r.at = now
	case remote && code == codeStale && !wasUp && c.to == 0:
		p.renewLocked()
		r.at = now
	case remote && code == codeLeft:
		r.reason = "peer has left"
		if wasUp {
			p.farLeftLocked()
		}
		p.backOffLocked(r, now)
	case errors.As(err, &unsupported):
		r.reason = "peer does not speak this protocol"
		r.refusals = 5
		p.backOffLocked(r, now)
	default:
		r.reason = refusal(code, remote)
		if answer == codeMalformed {
			r.reason = "the peer broke the protocol"
		}
		p.backOffLocked(r, now)
	}
	p.dirty.Store(true)
	p.wakeUp()
}

// backOffLocked sets the time of the next attempt. A peer that opened a stream
// itself while ours was refused is joined by now: then there is nothing to wait
// for.
func (p *pair) backOffLocked(r *retrying, now time.Time) {
	if r.crossed {
		r.crossed = false
		r.at = now
		return
	}
	d := min(retryFirst<<min(r.refusals, 5), retryMost)
	r.refusals++
	r.at = now.Add(d*4/5 + rand.N(d*2/5))
}

// refusal says in words what a reset code means.
func refusal(code network.StreamErrorCode, remote bool) string {
	if !remote {
		return "the connection failed"
	}
	switch code { //nolint:exhaustive // the rest is libp2p's, and one to the reader
	case codeNotAnnounced:
		return "refused: peer has not joined us"
	case codeNoSession, codeShutdown:
		return "refused: peer has no such session open"
	case codeVersion:
		return "refused: peer speaks another version"
	case codeTooMany, network.StreamResourceLimitExceeded:
		return "refused: peer has reached a limit"
	case network.StreamProtocolNegotiationFailed:
		return "peer does not speak this protocol"
	}
	return "the stream was reset"
}

// keepControlLocked opens a control stream if there is none and it is time, and
// returns when to look again.
func (p *pair) keepControlLocked(pt *path, now time.Time) time.Time {
	if pt.cur != nil {
		return now.Add(time.Hour)
	}
	if c := pt.pending; c != nil {
		late := c.opened.Add(pendingMost)
		if c.stream == nil || now.Before(late) {
			return now.Add(pendingMost)
		}
		p.controlFailedLocked(c, errIncomplete, now)
	}
	if now.Before(pt.retry.at) {
		return pt.retry.at
	}
	c := newControl(p, pt.conn, true)
	c.pt = pt
	if !p.farLeft {
		c.to = p.far
	}
	pt.pending = c
	p.wg.Go(c.runOpen)
	return now.Add(pendingMost)
}
