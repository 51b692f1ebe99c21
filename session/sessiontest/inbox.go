package sessiontest

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

type what uint8

const (
	whatKnock what = iota
	whatPath
	whatControl
	whatVoice
)

// delivery is one call of the Handler to come.
type delivery struct {
	what   what
	pair   *pair // nil for a knock
	packet *packet
	path   link.Path
	at     time.Time
}

// inbox calls the Handler for one peer, one call at a time, from one goroutine
// that lives as long as the peer is joined or something is left to tell.
type inbox struct {
	t    *Transport
	peer identity.PeerID
	cond sync.Cond // on the network's mutex, which guards everything below

	queue  []delivery
	voices int // voice messages in queue
	busy   bool
}

// inboxLocked returns the peer's inbox, started if there was none.
func (t *Transport) inboxLocked(peer identity.PeerID) *inbox {
	b := t.inboxes[peer]
	if b == nil {
		b = &inbox{t: t, peer: peer}
		b.cond.L = &t.net.mu
		t.inboxes[peer] = b
		t.wg.Go(b.run)
	}
	return b
}

func (b *inbox) putLocked(d delivery) {
	b.queue = append(b.queue, d)
	if d.what == whatVoice {
		b.voices++
	}
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

// forgetLocked gives back what a delivery holds.
func (b *inbox) forgetLocked(d delivery) {
	if d.what == whatVoice {
		b.voices--
	}
	if d.packet != nil {
		b.t.net.recycleLocked(d.packet)
	}
}

// waitLocked waits for the call that is under way, if one is.
func (b *inbox) waitLocked() {
	for b.busy {
		b.cond.Wait()
	}
}

func (b *inbox) run() {
	mu := &b.t.net.mu
	mu.Lock()
	defer mu.Unlock()
	for {
		d, ok := b.nextLocked()
		if !ok {
			return
		}
		h := b.t.handler
		if d.pair != nil {
			d.pair.countLocked(d)
		}
		b.busy = true
		mu.Unlock()
		b.call(h, d)
		mu.Lock()
		b.busy = false
		if d.what == whatControl {
			b.acknowledgeLocked(d)
		}
		b.forgetLocked(d)
		b.cond.Broadcast()
	}
}

// nextLocked waits for something to tell. ok is false when the inbox is over.
func (b *inbox) nextLocked() (d delivery, ok bool) {
	for {
		if b.t.state != stateOpen || (len(b.queue) == 0 && b.t.pairs[b.peer] == nil) {
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
		copy(b.queue, b.queue[1:])
		b.queue[len(b.queue)-1] = delivery{}
		b.queue = b.queue[:len(b.queue)-1]
		if d.what == whatKnock && b.t.pairs[b.peer] != nil {
			continue // joined meanwhile
		}
		return d, true
	}
}

func (b *inbox) call(h link.Handler, d delivery) {
	switch d.what {
	case whatKnock:
		h.Knock(b.peer)
	case whatPath:
		h.PathChanged(b.peer, d.path)
	case whatControl:
		h.Control(b.peer, d.packet.payload())
	case whatVoice:
		h.Voice(b.peer, d.packet.payload(), d.at)
	}
}

// acknowledgeLocked tells the sender of a control message that the Handler has
// it, so that a slow Handler is felt there.
func (b *inbox) acknowledgeLocked(d delivery) {
	ack := b.t.net.newPacketLocked(kindAck, b.t.self, b.peer)
	ack.src, ack.dst = d.packet.dst, d.packet.src
	b.t.net.sendReliableLocked(ack)
}

func (p *pair) countLocked(d delivery) {
	switch d.what {
	case whatVoice:
		p.stats.VoiceReceived++
	case whatControl:
		p.stats.ControlReceived++
	case whatPath, whatKnock:
	}
}
