package session

import (
	"errors"
	"sync"

	"github.com/parley-voice/parley/session/wire"
)

// outbox is what waits to be sent to a peer, in order. Parts are given to the link
// only as far as the peer said that it takes them, so that the link's queue, which
// hellos and reports go through too, is never filled by messages.
type outbox struct {
	sending sync.Mutex // held while parts are given to the link: puts those who send in order

	// What follows is guarded by peer.mu.
	queue []*outMessage
	bytes int    // of the queue
	begun int    // bytes of the first message that the link has
	head  bool   // and whether it has its head
	parts uint64 // that the link took in this epoch
	taken uint64 // of these, those that the peer said it took
	turn  uint64 // counts what ended the message that was begun

	sent, dropped uint64
}

// partsUnderWay is how many parts are under way to a peer: fewer than it takes, since
// on a thin or far link voice waits behind them. TestDataLeaveRoomForVoice shows what
// becomes of voice when there are more.
const partsUnderWay = 1

// besideVoice is how long a part is while this side speaks: a word waits for it on a
// link of 100 kb/s for less than 50 ms.
const besideVoice = 400

// sendMessages gives the link what of a peer's messages can be sent now.
func (c *conversation) sendMessages(p *peer) {
	o := &p.outbox
	o.sending.Lock()
	defer o.sending.Unlock()
	for {
		p.mu.Lock()
		part, turn := p.nextPartLocked(c), o.turn
		p.mu.Unlock()
		if part == nil || !c.sendControl(p, &wire.Control{Kind: &wire.Control_Part{Part: part}}) {
			return
		}
		p.mu.Lock()
		if o.turn == turn {
			o.advanceLocked(len(part.GetBody()))
		}
		p.mu.Unlock()
	}
}

// nextPartLocked is what is to be sent next; nil if nothing can be now.
func (p *peer) nextPartLocked(c *conversation) *wire.Part {
	o := &p.outbox
	if !p.upLocked() {
		return nil
	}
	size := wire.MaxPart
	if c.capture.speaking.Load() {
		size = besideVoice
	}
	for len(o.queue) > 0 && o.parts-min(o.taken, o.parts) < partsUnderWay {
		m := o.queue[0]
		if o.head {
			return &wire.Part{Body: m.piece(o.begun, size)}
		}
		err := p.mayGetLocked(c, m)
		switch {
		case errors.Is(err, errUndecided):
			return nil
		case err == nil && p.remote.messages:
			return &wire.Part{Head: m.head(), Body: m.piece(0, size)}
		case m.to.kind == toPeer || err == nil:
			o.dropped++
		}
		o.popLocked()
	}
	return nil
}

func (o *outbox) advanceLocked(n int) {
	o.parts++
	o.head = true
	o.begun += n
	if o.begun == len(o.queue[0].body) {
		o.sent++
		o.popLocked()
	}
}

func (o *outbox) popLocked() {
	o.bytes -= len(o.queue[0].body)
	o.queue[0] = nil
	o.queue = o.queue[1:]
	o.begun, o.head = 0, false
}

// resetLocked begins anew with a new stay of the peer: what was begun is lost.
func (o *outbox) resetLocked() {
	if o.head {
		o.dropped++
		o.popLocked()
	}
	o.parts, o.taken = 0, 0
	o.turn++
}

// piece is the part of a message that begins at a byte.
func (m *outMessage) piece(from, size int) []byte {
	return m.body[from:min(from+size, len(m.body))]
}

func (m *outMessage) head() *wire.Head {
	h := &wire.Head{Data: m.data, Topic: m.topic, Length: uint32(len(m.body))}
	switch m.to.kind {
	case toRoom:
		h.Target, h.Room = wire.HeadRoom, m.to.room
	case toEveryone:
		h.Target = wire.HeadEveryone
	case toPeer, toNobody:
		h.Target = wire.HeadAlone
	}
	return h
}

// heardTaken makes room for more parts. The link delivers a part before it says that
// it took it, so one more than we have counted may be taken already.
func (c *conversation) heardTaken(p *peer, t *wire.Taken) {
	p.mu.Lock()
	o := &p.outbox
	ok := t.GetParts() <= o.parts+1
	if ok {
		o.taken = max(o.taken, t.GetParts())
	}
	p.mu.Unlock()
	if !ok {
		c.control.malformed.Add(1)
		return
	}
	c.wakeControl()
}
