package session

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/parley-voice/parley/session/wire"
)

// What texts and data may be, and how much of them waits for one peer.
const (
	MaxText         = wire.MaxText  // bytes of a text in UTF-8
	MaxData         = wire.MaxData  // bytes of an application's data
	MaxTopic        = wire.MaxTopic // bytes of its topic
	MaxWaiting      = 64            // messages that wait for a peer
	MaxWaitingBytes = 64 << 10      // and bytes of them together
)

// MessageStats counts texts and data of one peer, since it joined.
type MessageStats struct {
	Sent     uint64 // given to the link whole
	Waiting  int    // not yet
	Dropped  uint64 // never given to it whole: too many waited, the peer came anew in the middle of one, or is blocked, or of a version without them
	Received uint64 // told the application by an event
	Refused  uint64 // not told: the peer is blocked or may not speak, or we don't listen to the room
	Flooded  uint64 // parts that came faster than we take them, which costs the peer the message
}

// outMessage is a text or data on its way out. It is never changed.
type outMessage struct {
	to    Target
	data  bool
	topic string
	body  []byte
}

// SendText sends a text, 1 to MaxText bytes of UTF-8, to who listens to a room, to
// one peer, or to Everyone, whatever channels are open; with Target.Within to those
// of them who are near now. It arrives once, in the
// order of the calls, as TextReceived, where Config.Authorize lets it be heard, and
// isn't sent to who is blocked or may not listen. It doesn't wait.
//
// For a peer that has joined and can't be reached now it waits, up to MaxWaiting
// messages and MaxWaitingBytes, and for one that takes no more now, since its
// application doesn't read or too much comes at once. An interruption loses and
// doubles nothing. What was under way when the peer leaves or comes anew may be lost;
// what had not begun is sent when it is back.
//
// It fails with ErrMessage for what is too long, empty or no UTF-8, ErrTarget for
// what is no room's name, for ourselves, and for a peer that is blocked or of a
// version that takes no texts; with ErrUnknownPeer for one that has not joined,
// ErrTooMany if too much waits for it, ErrNotStarted or ErrClosed. To a room or
// everyone it is sent to those for whom there is room; those who miss it are
// counted in MessageStats.Dropped.
func (s *Session) SendText(to Target, text string) error {
	switch {
	case text == "" || len(text) > MaxText:
		return fmt.Errorf("%w: a text has 1 to %d bytes, not %d", ErrMessage, MaxText, len(text))
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: the text is no UTF-8", ErrMessage)
	}
	return s.sendMessage(&outMessage{to: to, body: []byte(text)})
}

// SendData sends data of the application's own, up to MaxData bytes, none
// included, as SendText does texts and in one order with them. The topic, up to
// MaxTopic bytes of UTF-8, is for the application; it may be empty. data is copied.
// Data makes way for voice: 800 bytes at a time are under way to a peer, 400 while this
// side speaks, and the next follow when it took them. That makes up to 16 KB/s, and on a
// link that is far and lossy less than 1.
func (s *Session) SendData(to Target, topic string, data []byte) error {
	switch {
	case len(data) > MaxData:
		return fmt.Errorf("%w: data has at most %d bytes, not %d", ErrMessage, MaxData, len(data))
	case len(topic) > MaxTopic || !utf8.ValidString(topic):
		return fmt.Errorf("%w: a topic is at most %d bytes of UTF-8", ErrMessage, MaxTopic)
	}
	return s.sendMessage(&outMessage{to: to, data: true, topic: topic, body: slices.Clone(data)})
}

func (s *Session) sendMessage(m *outMessage) error {
	if err := errors.Join(m.to.checkRadius(), s.checkTarget(m.to)); err != nil {
		return err
	}
	c, err := s.running()
	if err != nil {
		return err
	}
	limit := m.to
	m.to = m.to.anywhere()
	if m.to.kind == toPeer {
		p := c.roster.get(m.to.peer)
		if p == nil {
			return fmt.Errorf("%w: there is nobody to send a message to", ErrUnknownPeer)
		}
		if !c.isNear(p, limit) {
			return fmt.Errorf("%w: the peer isn't known to be near enough", ErrTarget)
		}
		return c.post(p, m)
	}
	for _, p := range c.roster.list() {
		if !c.isNear(p, limit) {
			continue
		}
		if err := c.post(p, m); err != nil {
			c.log.Debug("a peer misses a message", "peer", p.id, "error", err)
		}
	}
	return nil
}

// post takes a message for a peer, and sends what can be sent.
func (c *conversation) post(p *peer, m *outMessage) error {
	p.mu.Lock()
	err := p.postLocked(m)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	c.sendMessages(p)
	if c.cfg.Authorize != nil {
		c.wakeControl() // which asks whether it may
	}
	return nil
}

func (p *peer) postLocked(m *outMessage) error {
	o := &p.outbox
	switch {
	case p.settings.blocked.Load() && m.to.kind == toPeer:
		return fmt.Errorf("%w: we have blocked the peer", ErrTarget)
	case p.settings.blocked.Load():
		return nil
	case p.greeting.received && !p.remote.messages:
		o.dropped++
		return fmt.Errorf("%w: the peer is of a version that takes no texts", ErrTarget)
	case len(o.queue) >= MaxWaiting || o.bytes+len(m.body) > MaxWaitingBytes:
		o.dropped++
		return fmt.Errorf("%w: %d messages of %d bytes wait for the peer", ErrTooMany, len(o.queue), o.bytes)
	}
	o.queue = append(o.queue, m)
	o.bytes += len(m.body)
	p.verdicts.due = true
	return nil
}

var errNotReached = errors.New("session: it doesn't listen there")

// mayGetLocked returns nil if a message is for a peer, errUndecided if that can't be
// said yet, or why it is not.
func (p *peer) mayGetLocked(c *conversation, m *outMessage) error {
	switch {
	case p.settings.blocked.Load():
		return ErrTarget
	case m.to.kind == toPeer:
		return nil
	case m.to.kind == toRoom && p.rooms.follows && !p.rooms.heard:
		return errUndecided
	}
	if _, reached := p.rooms.reaches(p, m.to); !reached {
		return errNotReached
	}
	return p.allowedLocked(c, ToListen, m.to)
}

// mayTellLocked is the same of a message of the peer's and our application.
func (p *peer) mayTellLocked(c *conversation, to Target) error {
	w := c.s.wishes()
	switch {
	case p.settings.blocked.Load():
		return ErrTarget
	case to.kind == toRoom && w.namedOnly && !slices.ContainsFunc(w.rooms, func(r ownRoom) bool { return r.name == to.room }):
		return errNotReached
	}
	return p.allowedLocked(c, ToSpeak, to)
}

func (p *peer) messageStatsLocked() MessageStats {
	return MessageStats{
		Sent:     p.outbox.sent,
		Waiting:  len(p.outbox.queue),
		Dropped:  p.outbox.dropped,
		Received: p.letters.received,
		Refused:  p.letters.refused,
		Flooded:  p.letters.flooded,
	}
}
