package session

import (
	"errors"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/parley/session/wire"
)

// How fast messages of one peer are taken: 20 parts a second, 32 at once. A peer
// knows it by what it was told that we took, so who keeps to that loses nothing.
const (
	partRate    = 20.0
	partBurst   = 32.0
	takenPause  = 50 * time.Millisecond // between two times it is told so
	takenAtOnce = wire.PartWindow / 2   // parts for which it is told at once
)

// letters is what a peer sends of messages in this epoch. What is whole waits for
// room among the events; meanwhile no more parts are taken, so that there is never
// more than a message and PartWindow parts of it. It is guarded by peer.mu.
type letters struct {
	came    uint64     // parts
	taken   uint64     // of these, those for which others may come
	told    uint64     // of these, those that the peer knows of
	head    *wire.Head // of the message under way; nil if there is none
	body    []byte
	broken  bool // parts were left out: up to the next head nothing makes sense
	waiting []letter

	allowance float64 // parts that may be taken now
	refilled  time.Time
	toldAt    time.Time

	received, refused, flooded uint64
}

// letter is a message that has come whole.
type letter struct {
	to    Target
	event Event
}

// newEpoch begins anew, but for what is counted and how much may come.
func (l *letters) newEpoch() {
	*l = letters{
		allowance: l.allowance, refilled: l.refilled,
		received: l.received, refused: l.refused, flooded: l.flooded,
	}
}

// heardPart takes a part of a message.
func (c *conversation) heardPart(p *peer, part *wire.Part) {
	p.mu.Lock()
	ok := p.greeting.received && p.letters.takeLocked(c, p, part)
	p.mu.Unlock()
	if !ok {
		c.control.malformed.Add(1)
	}
	c.wakeControl()
}

// takeLocked adds a part to what is under way. It returns false for one that makes
// no sense.
func (l *letters) takeLocked(c *conversation, p *peer, part *wire.Part) bool {
	if l.came-l.told >= wire.PartWindow {
		l.flooded++
		l.head, l.body, l.broken = nil, nil, true
		return true
	}
	l.came++
	if p.settings.blocked.Load() {
		if part.GetHead() != nil {
			l.refused++
		}
		l.head, l.body, l.broken = nil, nil, true
		return true
	}
	sound := true
	switch h := part.GetHead(); {
	case h != nil:
		sound = l.head == nil
		l.head, l.body, l.broken = h, nil, false
	case l.broken:
		return true
	case l.head == nil || len(part.GetBody()) == 0:
		l.head, l.body = nil, nil
		return false
	}
	l.body = append(l.body, part.GetBody()...)
	switch length := int(l.head.GetLength()); {
	case len(l.body) < length:
		return sound
	case len(l.body) > length || !l.head.GetData() && !utf8.Valid(l.body):
		sound = false
	default:
		l.waiting = append(l.waiting, newLetter(c, p, l.head, l.body))
	}
	l.head, l.body = nil, nil
	return sound
}

func newLetter(c *conversation, p *peer, h *wire.Head, body []byte) letter {
	to := Whisper(c.self)
	switch h.GetTarget() {
	case wire.HeadEveryone:
		to = Everyone()
	case wire.HeadRoom:
		to = Room(h.GetRoom())
	}
	if h.GetData() {
		return letter{to, DataReceived{Peer: p.id, To: to, Topic: h.GetTopic(), Data: body}}
	}
	return letter{to, TextReceived{Peer: p.id, To: to, Text: wire.CleanText(string(body))}}
}

// deliverLocked tells the application of what has come whole, in order, as far as it
// reads. The lock of the peer is held meanwhile, which keeps that order.
func (p *peer) deliverLocked(c *conversation) {
	l := &p.letters
	if g := &p.greeting; !g.received || !g.sent || g.incompatible != "" {
		return
	}
	for len(l.waiting) > 0 && !c.isDone() {
		next := l.waiting[0]
		switch err := p.mayTellLocked(c, next.to); {
		case errors.Is(err, errUndecided):
			return
		case err != nil:
			l.refused++
		case !c.s.events.offer(next.event):
			return
		default:
			l.received++
		}
		l.waiting[0] = letter{}
		l.waiting = l.waiting[1:]
	}
}

// grantLocked takes parts, as fast as a peer may send them, and returns how many
// there were if it is time to tell it.
func (l *letters) grantLocked(now time.Time) (parts uint64, due bool) {
	l.allowance = min(partBurst, l.allowance+now.Sub(l.refilled).Seconds()*partRate)
	l.refilled = now
	for len(l.waiting) == 0 && l.taken < l.came && l.allowance >= 1 {
		l.taken++
		l.allowance--
	}
	untold := l.taken - l.told
	return l.taken, untold >= takenAtOnce || untold > 0 && now.Sub(l.toldAt) >= takenPause
}

// lookAtMessages delivers what came of messages, takes more, and sends what waits.
// It is runControl's.
func (c *conversation) lookAtMessages(p *peer, now time.Time) {
	p.mu.Lock()
	l := &p.letters
	p.deliverLocked(c)
	parts, due := l.grantLocked(now)
	before, epoch := l.told, p.epoch
	if due {
		l.told, l.toldAt = parts, now // before it is sent: the answer may be here first
	}
	p.mu.Unlock()
	if due && !c.sendControl(p, &wire.Control{Kind: &wire.Control_Taken{Taken: &wire.Taken{Parts: parts}}}) {
		p.mu.Lock()
		if p.epoch == epoch && l.told == parts {
			l.told = before
		}
		p.mu.Unlock()
	}
	c.sendMessages(p)
}
