package pipe

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

const (
	maxVoiceWaiting = 64 // voice messages that wait for a slow Handler, per peer; newer ones are dropped
	maxPathsWaiting = 4  // changes of path that wait; beyond, the newest takes the place of the one before
)

type what uint8

const (
	tellKnock what = iota
	tellPath
	tellControl
	tellVoice
)

// delivery is one call of the Handler to come.
type delivery struct {
	what   what
	pair   *pair  // nil for a knock
	epoch  uint64 // of the far end when it was queued
	buffer *buffer
	path   link.Path
	at     time.Time
}

// inbox calls the Handler for one peer, one call at a time, from one goroutine
// that lives as long as the peer is joined or something is left to tell. The
// transport's mutex guards it.
type inbox struct {
	t    *Transport
	peer identity.PeerID
	cond sync.Cond // on t.mu

	queue         []delivery
	voices, paths int // in queue
	busy          bool
}

// inboxLocked returns the peer's inbox, started if there was none.
func (t *Transport) inboxLocked(peer identity.PeerID) *inbox {
	b := t.inboxes[peer]
	if b == nil {
		b = &inbox{t: t, peer: peer}
		b.cond.L = &t.mu
		t.inboxes[peer] = b
		t.inboxing.Go(b.run)
	}
	return b
}

func (b *inbox) putLocked(d delivery) {
	switch d.what {
	case tellKnock:
		for i := range b.queue {
			if b.queue[i].what == tellKnock {
				return
			}
		}
	case tellPath:
		if b.paths >= maxPathsWaiting || len(b.queue) > 0 && b.queue[len(b.queue)-1].what == tellPath {
			for i := len(b.queue) - 1; i >= 0; i-- {
				if b.queue[i].what == tellPath {
					b.queue[i] = d
					return
				}
			}
		}
		b.paths++
	case tellVoice:
		b.voices++
	case tellControl:
	}
	b.queue = append(b.queue, d)
	b.cond.Broadcast()
}

// purgeLocked drops what is queued of a pair.
func (b *inbox) purgeLocked(p *pair) {
	kept := b.queue[:0]
	for _, d := range b.queue {
		if d.pair == p {
			b.forgetLocked(d)
			continue
		}
		kept = append(kept, d)
	}
	clear(b.queue[len(kept):])
	b.queue = kept
	b.cond.Broadcast()
}

// forgetLocked takes account of a delivery that isn't in the queue any more.
func (b *inbox) forgetLocked(d delivery) {
	b.uncountLocked(d)
	b.t.recycleLocked(d.buffer)
}

func (b *inbox) uncountLocked(d delivery) {
	switch d.what {
	case tellVoice:
		b.voices--
	case tellPath:
		b.paths--
	case tellControl, tellKnock:
	}
}

// waitLocked waits for the call that is under way, if one is.
func (b *inbox) waitLocked() {
	for b.busy {
		b.cond.Wait()
	}
}

func (b *inbox) run() {
	t := b.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		d, ok := b.nextLocked()
		if !ok {
			return
		}
		h := t.handler
		if d.pair != nil {
			d.pair.tellingLocked(d)
		}
		b.busy = true
		t.mu.Unlock()
		b.call(h, d)
		t.mu.Lock()
		b.busy = false
		if d.what == tellControl {
			d.pair.takenLocked(d)
		}
		t.recycleLocked(d.buffer)
		b.cond.Broadcast()
	}
}

// nextLocked waits for something to tell. ok is false when the inbox is over.
func (b *inbox) nextLocked() (d delivery, ok bool) {
	for {
		if b.t.state != stateOpen || len(b.queue) == 0 && b.t.pairs[b.peer] == nil {
			for _, d := range b.queue {
				b.forgetLocked(d)
			}
			b.queue = nil
			delete(b.t.inboxes, b.peer)
			return delivery{}, false
		}
		if len(b.queue) == 0 {
			b.cond.Wait()
			continue
		}
		d = b.queue[0]
		kept := copy(b.queue, b.queue[1:])
		b.queue[kept] = delivery{}
		b.queue = b.queue[:kept]
		b.uncountLocked(d)
		if d.what == tellKnock && b.t.pairs[b.peer] != nil {
			continue // joined meanwhile
		}
		return d, true
	}
}

func (b *inbox) call(h link.Handler, d delivery) {
	switch d.what {
	case tellKnock:
		h.Knock(b.peer)
	case tellPath:
		b.t.cfg.Logger.Debug("pipe: path", "peer", b.peer, "kind", d.path.Kind, "reason", d.path.Reason)
		h.PathChanged(b.peer, d.path)
	case tellControl:
		h.Control(b.peer, d.buffer.data)
	case tellVoice:
		h.Voice(b.peer, d.buffer.data, d.at)
	}
}
