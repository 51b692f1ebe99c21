package pipe

import (
	"encoding/binary"
	"time"
)

const (
	voiceAck   = 60 * time.Millisecond // voice is acknowledged within this time
	controlAck = 10 * time.Millisecond
	earlyAck   = 20 * time.Millisecond // an acknowledgement that is due so soon goes with what is sent anyway

	silence     = time.Second            // without a sign of life: ask for one
	pingAgain   = 250 * time.Millisecond // and again
	pingLost    = 500 * time.Millisecond // while there is no path
	measureTime = 2 * time.Second        // the round trip is measured at least so often
)

// schedule is when a pair sends what isn't voice or control.
type schedule struct {
	ackAt     time.Time // an acknowledgement is due; zero: none
	pingedAt  time.Time
	pauseTill time.Time // for control, after the pipe refused some
	voiceSent bool      // the last message was voice: others first
	wakeAt    time.Time // the earliest time at which something may be due
	over      bool      // nothing more will be sent
}

// message is a message to send: the first size bytes of pair.wire.
type message struct {
	size     int // 0: none
	reliable bool
	contact  bool   // a hello or a part of a handshake
	body     byte   // else: bodyVoice, bodyControl, or another one
	first    bool   // control that was not sent before
	seq      uint64 // of control
}

// at reports whether something is due that is at a time; zero is never. If not, it
// notes when it will be.
func (s *schedule) at(due, now time.Time) bool {
	if due.IsZero() || !due.After(now) {
		return !due.IsZero()
	}
	if s.wakeAt.IsZero() || due.Before(s.wakeAt) {
		s.wakeAt = due
	}
	return false
}

// runSend sends what there is to send to one peer, until the pair was left and has
// taken leave.
func (p *pair) runSend() {
	defer close(p.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	t := p.t
	for {
		t.mu.Lock()
		now := time.Now()
		m := p.nextLocked(now)
		over, wait := p.over && m.size == 0, time.Hour
		if !p.wakeAt.IsZero() {
			wait = p.wakeAt.Sub(now)
		}
		if over {
			p.overLocked()
		}
		t.mu.Unlock()
		switch {
		case over:
			return
		case m.size > 0:
			err := t.cfg.Send(p.id, p.wire[:m.size], m.reliable)
			t.mu.Lock()
			p.sentLocked(m, err, time.Now())
			t.mu.Unlock()
			continue
		}
		timer.Reset(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// sentLocked takes account of a message that the pipe took, or didn't.
func (p *pair) sentLocked(m message, err error, now time.Time) {
	switch {
	case err != nil && m.body == bodyVoice:
		p.flight.unsend()
		p.stats.VoiceDropped++
	case err != nil && m.body == bodyControl:
		p.pauseTill = now.Add(retrySend)
		p.out.refused(m.seq, p.pauseTill)
	case err != nil && m.contact:
		p.contactRefused(now)
	case err != nil:
	case m.body == bodyVoice:
		p.stats.VoiceSent++
	case m.first:
		p.stats.ControlSent++
	}
	if err == nil {
		p.stats.BytesSent += uint64(m.size)
	}
}

// nextLocked writes the next message into p.wire, if one is due, and p.wakeAt.
func (p *pair) nextLocked(now time.Time) message {
	p.wakeAt = time.Time{}
	p.watchLocked(now)
	if p.left {
		return p.nextLeftLocked(now)
	}
	if b := p.nextContactLocked(now); b != nil {
		return message{size: copy(p.wire[:], b), reliable: p.reliably(true), contact: true}
	}
	if p.current == nil {
		return message{}
	}
	if !p.voiceSent {
		if m := p.nextVoiceLocked(now); m.size > 0 {
			return m
		}
	}
	p.voiceSent = false
	if p.up {
		if m := p.nextControlLocked(now); m.size > 0 {
			return m
		}
	}
	if p.at(p.ackAt, now) {
		return p.sealLocked(frame{body: bodyNothing}, now)
	}
	if p.at(p.pingDue(), now) {
		p.pingedAt = now
		return p.sealLocked(frame{body: bodyPing}, now)
	}
	return p.nextVoiceLocked(now)
}

// watchLocked sees what time alone changes.
func (p *pair) watchLocked(now time.Time) {
	if p.previous != nil && p.at(p.previousUntil, now) {
		p.previous = nil
	}
	if p.next != nil && p.at(p.next.made.Add(keyOverlap), now) {
		p.next, p.confirmation = nil, nil // nobody uses them: try again
	}
	if p.current != nil && p.at(p.current.made.Add(keyLimit), now) {
		p.current, p.next, p.previous, p.confirmation = nil, nil, nil, nil
		p.downLocked(reasonKeys, now)
	}
	if p.up && p.at(p.heard.Add(unreachableAfter), now) {
		p.downLocked(reasonSilent, now)
	}
}

// nextContactLocked returns the hello or handshake message that is due, or nil.
func (p *pair) nextContactLocked(now time.Time) []byte {
	switch {
	case p.respond:
		p.respond = false
		return p.answer.response
	case p.confirmation != nil && p.at(p.confirmAt, now):
		b := p.confirmation
		p.confirmAt = now.Add(confirmWait << p.confirms)
		if p.confirms++; p.confirms == maxConfirms {
			p.confirmation = nil
		}
		return b
	case !p.initiator && !p.up && p.at(p.tryAtOr(now), now):
		p.tryLocked(now)
		p.at(p.tryAt, now)
		b := append(make([]byte, 0, helloSize), p.t.own.mode()|kindHello)
		return binary.BigEndian.AppendUint64(b, p.mine)
	case p.initiator:
		return p.nextInitiationLocked(now)
	}
	return nil
}

func (p *pair) nextInitiationLocked(now time.Time) []byte {
	renew := p.up && p.current != nil && p.at(p.current.made.Add(rekeyAfter), now) && p.next == nil
	if p.up && !p.greeted && !renew {
		p.tries, p.tryAt = 0, time.Time{} // the next one goes at once
		return nil
	}
	if !p.at(p.tryAtOr(now), now) {
		return nil
	}
	p.tryLocked(now)
	p.at(p.tryAt, now)
	return p.offerLocked(now)
}

func (p *pair) tryAtOr(now time.Time) time.Time {
	if p.tryAt.IsZero() {
		return now
	}
	return p.tryAt
}

func (p *pair) nextVoiceLocked(now time.Time) message {
	if !p.up {
		return message{}
	}
	v, late := p.voice.pop(now)
	p.stats.VoiceDropped += uint64(late)
	if v == nil {
		return message{}
	}
	p.voiceSent = true
	return p.sealLocked(frame{body: bodyVoice, data: v.bytes[:v.size]}, now)
}

func (p *pair) nextControlLocked(now time.Time) message {
	if now.Before(p.pauseTill) {
		p.at(p.pauseTill, now)
		return message{}
	}
	i, due := p.out.next(now)
	if p.at(due, now); i < 0 {
		return message{}
	}
	it := &p.out.items[i]
	first := it.tries == 0 && !it.end
	f := frame{body: bodyControl, seq: uint32(p.out.sequence(i)), data: it.data}
	if it.end {
		f.body = bodyEnd
	}
	resend := max(p.flight.timeout()+controlAck, minResend)
	if p.t.cfg.Ways != UnreliableOnly {
		resend = max(resend, slowResend)
	}
	p.out.sent(i, now, resend, !p.left)
	m := p.sealLocked(f, now)
	m.body, m.first, m.seq = bodyControl, first, p.out.sequence(i)
	return m
}

// nextLeftLocked is nextLocked after Leave or Close.
func (p *pair) nextLeftLocked(now time.Time) message {
	if p.over || p.current == nil || p.ended || p.out.flushed() {
		p.over = true
		return message{}
	}
	if p.up && !p.at(p.flushBy, now) {
		if p.confirmation != nil {
			if b := p.nextContactLocked(now); b != nil {
				return message{size: copy(p.wire[:], b), reliable: p.reliably(true), contact: true}
			}
		}
		return p.nextControlLocked(now)
	}
	p.over = true
	return p.sealLocked(frame{body: bodyBye}, now)
}

// pingDue is when to ask for a sign of life, or for the time of a round trip.
func (p *pair) pingDue() time.Time {
	switch {
	case p.ended:
		return time.Time{}
	case !p.up:
		return p.pingedAt.Add(pingLost)
	}
	alive, measured := p.heard.Add(silence), p.flight.measured.Add(measureTime)
	if again := p.pingedAt.Add(pingAgain); alive.Before(again) {
		alive = again
	}
	if again := p.pingedAt.Add(silence); measured.Before(again) {
		measured = again
	}
	due := alive
	if measured.Before(due) {
		due = measured
	}
	// An acknowledgement of voice was lost: don't find out with the next word.
	if lost := p.flight.overdue(); !lost.IsZero() && lost.Before(due) {
		if again := p.pingedAt.Add(pingAgain); lost.Before(again) {
			lost = again
		}
		due = lost
	}
	return due
}

// sealLocked seals a frame into p.wire, with an acknowledgement if one is due.
func (p *pair) sealLocked(f frame, now time.Time) message {
	if !p.ackAt.IsZero() && !p.ackAt.After(now.Add(earlyAck)) {
		f.acks, f.ack, p.ackAt = true, p.ackLocked(now), time.Time{}
	}
	counter := p.flight.send(now, f.body == bodyVoice)
	k := p.current
	header := append(p.wire[:0], p.t.own.mode()|kindData)
	header = binary.BigEndian.AppendUint32(header, k.id)
	header = binary.BigEndian.AppendUint32(header, uint32(counter))
	b := k.seal(header, counter, f.appendTo(p.plain[:0]))
	return message{size: len(b), reliable: p.reliably(f.body == bodyControl || f.body == bodyEnd), body: f.body}
}

func (p *pair) ackLocked(now time.Time) ack {
	return ack{
		top:       uint32(p.seen.top),
		delay:     now.Sub(p.seenAt),
		received:  uint32(p.in.received),
		mask:      p.in.mask(),
		undeliver: uint8(p.in.received - p.in.delivered),
	}
}

// reliably says which way a message goes that would like to be reliable or not.
func (p *pair) reliably(wish bool) bool {
	switch p.t.cfg.Ways {
	case UnreliableOnly:
		return false
	case ReliableOnly:
		return true
	case BothWays:
	}
	return wish
}
