package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// knockRest is the shortest time between two Knocks of one peer.
const knockRest = time.Second

// knock is a peer that isn't joined and whose control streams are held.
// Transport.mu guards it, except deliver.
type knock struct {
	id      peer.ID
	deliver gate // held during Handler.Knock; becomes the pair's delivery lock
	streams []*heldStream
	told    bool // Knock was called
	seen    time.Time
}

// heldStream is a control stream of a peer that isn't joined. Its goroutine
// reads on, to see the opener give up.
type heldStream struct {
	k      *knock
	s      network.Stream
	r      *streamReader
	pre    preamble
	c      *control // set when a Join adopted the stream
	expiry *time.Timer
}

// holdLocked holds a stream, or returns nil if the session holds too many
// already. The newest streams of a peer are kept.
func (t *Transport) holdLocked(id peer.ID, s network.Stream, r *streamReader, pre preamble) *heldStream {
	k := t.knocks[id]
	if k == nil {
		t.pruneKnocksLocked()
		if t.held >= t.node.cfg.MaxHeld {
			return nil
		}
		k = &knock{id: id, deliver: t.gateLocked(id)}
		t.knocks[id] = k
	} else if len(k.streams) >= maxHeldPerPeer {
		old := k.streams[0]
		t.releaseLocked(old)
		t.node.reset(old.s, codeSuperseded)
	} else if t.held >= t.node.cfg.MaxHeld {
		return nil
	}
	hs := &heldStream{k: k, s: s, r: r, pre: pre}
	k.streams = append(k.streams, hs)
	t.held++
	hs.expiry = time.AfterFunc(t.node.cfg.HoldTime, func() { t.expire(hs) })
	return hs
}

// gateLocked returns the delivery lock of a peer that isn't joined: while its
// last stay isn't over, that one's.
func (t *Transport) gateLocked(id peer.ID) gate {
	for pr := range t.leaving {
		if pr.id == id {
			return pr.deliver
		}
	}
	return newGate()
}

// pruneKnocksLocked forgets peers that gave up. They are remembered for a
// while, so that opening and resetting in a loop doesn't knock in a loop.
func (t *Transport) pruneKnocksLocked() {
	now := time.Now()
	for id, k := range t.knocks {
		if len(k.streams) == 0 && (now.Sub(k.seen) > knockRest || len(t.knocks) > 4*t.node.cfg.MaxHeld) {
			delete(t.knocks, id)
		}
	}
}

// releaseLocked takes a stream out of its knock; false if it was taken out or
// adopted before.
func (t *Transport) releaseLocked(hs *heldStream) bool {
	for i, other := range hs.k.streams {
		if other != hs {
			continue
		}
		hs.k.streams = append(hs.k.streams[:i:i], hs.k.streams[i+1:]...)
		hs.k.seen = time.Now()
		t.held--
		hs.expiry.Stop()
		return true
	}
	return false
}

func (t *Transport) release(hs *heldStream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.releaseLocked(hs)
}

// expire ends the wait of a stream for a Join; its goroutine does the rest.
func (t *Transport) expire(hs *heldStream) {
	if t.release(hs) {
		t.node.counts.expired.Add(1)
		_ = hs.s.SetReadDeadline(time.Unix(1, 0)) // without deadlines it stays until it ends by itself
	}
}

// runHeld is the body of a held stream's goroutine, until the stream ends. What
// is held and what a Join adopted is decided under Transport.mu.
func (t *Transport) runHeld(hs *heldStream) {
	t.tellKnock(hs.k)
	for {
		var err error
		if len(hs.r.pending()) <= maxHeldBytes {
			_, err = hs.r.fill()
		}
		code := network.StreamErrorCode(0)
		switch {
		case err != nil:
			code = codeNotAnnounced
		case len(hs.r.pending()) > maxHeldBytes:
			code = codeTooMany
		}
		t.mu.Lock()
		c := hs.c
		if c == nil && code != 0 {
			t.releaseLocked(hs)
		}
		t.mu.Unlock()
		switch {
		case c != nil:
			if err != nil {
				c.failed(err)
			}
			c.runFrames(hs.r)
			c.p.wg.Done()
			return
		case code != 0:
			t.node.refuse(hs.s, code)
			return
		}
	}
}

// tellKnock calls Handler.Knock once for a held peer, in the goroutine of a
// held stream.
func (t *Transport) tellKnock(k *knock) {
	k.deliver.Lock()
	defer k.deliver.Unlock()
	t.mu.Lock()
	h := t.handler
	now := time.Now()
	if !k.told || now.Sub(k.seen) > knockRest && len(k.streams) == 1 {
		k.told = true
	} else {
		h = nil
	}
	if t.knocks[k.id] != k {
		h = nil
	}
	t.mu.Unlock()
	if h != nil {
		h.Knock(k.id)
	}
}

// adoptLocked gives the newest held stream of a peer to its new pair and
// refuses the others.
func (t *Transport) adoptLocked(pr *pair) {
	k := t.knocks[pr.id]
	if k == nil {
		return
	}
	delete(t.knocks, pr.id)
	pr.deliver = k.deliver
	for len(k.streams) > 0 {
		hs := k.streams[len(k.streams)-1]
		t.releaseLocked(hs)
		if pr.inbox != nil || !pr.enter() {
			t.node.reset(hs.s, codeSuperseded)
			continue
		}
		c := newControl(pr, hs.s.Conn(), false)
		c.stream, c.out = hs.s, hs.s
		hs.c = c
		pr.inbox = &acceptance{c: c, pre: hs.pre}
	}
}

// dropKnocksLocked refuses every held stream.
func (t *Transport) dropKnocksLocked() []*knock {
	all := make([]*knock, 0, len(t.knocks))
	for id, k := range t.knocks {
		all = append(all, k)
		for len(k.streams) > 0 {
			hs := k.streams[0]
			t.releaseLocked(hs)
			t.node.reset(hs.s, codeNoSession)
		}
		delete(t.knocks, id)
	}
	return all
}
