package pipe

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// held is what somebody said who isn't announced. It isn't worked on before Join.
type held struct {
	initiation []byte // the newest one; nil if it said hello
	until      time.Time
}

// Receive takes a message that arrived from a peer, as Config.Send of the peer's
// side was given it. It keeps nothing of b, never blocks, and may be called by many
// goroutines. Who sent b is what the pipe says; only what is proved to be by that
// peer is delivered. The error says why b was dropped: [link.ErrClosed],
// [link.ErrNotJoined] or one of this package's; nothing needs to be done about it.
func (t *Transport) Receive(from identity.PeerID, b []byte) error {
	if !validID(from) || from == t.cfg.Self || len(b) == 0 || len(b) > MaxMessage {
		return ErrMalformed
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == stateClosed {
		return link.ErrClosed
	}
	p := t.pairs[from]
	err := t.receiveLocked(from, p, b, now)
	if p == nil {
		return err
	}
	switch {
	case err == nil:
		p.stats.BytesReceived += uint64(len(b))
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrForged), errors.Is(err, ErrSecurity):
		p.stats.Malformed++
	case errors.Is(err, ErrReplayed):
		p.stats.VoiceDuplicate++
	}
	return err
}

func (t *Transport) receiveLocked(from identity.PeerID, p *pair, b []byte, now time.Time) error {
	mode, kind := b[0]&0xf0, b[0]&0x0f
	other := sealedMode + openMode - t.own.mode()
	switch {
	case mode == other && kind >= kindHello && kind <= kindData:
		t.mismatchLocked(p, now)
		return ErrSecurity
	case mode != t.own.mode() || !t.wellFormed(kind, len(b)):
		return ErrMalformed
	}
	if kind == kindData {
		return t.receiveDataLocked(from, p, b, now)
	}
	initiator := t.cfg.Self < from // by the ID, whoever joins first
	if p == nil {
		if t.state != stateOpen {
			return link.ErrClosed
		}
		if kind == kindHello && initiator || kind == kindInitiation && !initiator {
			return t.holdLocked(from, kind, b, now)
		}
		return link.ErrNotJoined
	}
	switch {
	case kind == kindHello && initiator:
		p.greetedLocked(binary.BigEndian.Uint64(b[1:]), now)
		return nil
	case kind == kindInitiation && !initiator:
		return p.respondLocked(b, now)
	case kind == kindResponse && initiator:
		return p.respondedLocked(b, now)
	case kind == kindConfirmation && !initiator:
		return p.confirmedLocked(b, now)
	}
	return ErrMalformed // that role is ours
}

// wellFormed reports whether a message of a kind can have a length.
func (t *Transport) wellFormed(kind byte, n int) bool {
	const ephemeral, static = 32, 32 + tagSize
	first, second, third := keyHeader+ephemeral, keyHeader+ephemeral+static+tagSize, keyHeader+static+tagSize
	sealed := dataHeader + 1 + tagSize
	if t.cfg.Insecure {
		first, second, third, sealed = keyHeader+checkSize, keyHeader+checkSize, keyHeader+checkSize, dataHeader+1
	}
	switch kind {
	case kindHello:
		return n == helloSize
	case kindInitiation:
		return n == first
	case kindResponse:
		return n >= second
	case kindConfirmation:
		return n >= third
	case kindData:
		return n >= sealed && n <= sealed-1+maxPlain
	}
	return false
}

// mismatchLocked says in the path that one side encrypts and the other doesn't.
func (t *Transport) mismatchLocked(p *pair, now time.Time) {
	if p == nil || p.up {
		return
	}
	if t.cfg.Insecure {
		p.downLocked("the peer encrypts, and this side doesn't", now)
	} else {
		p.downLocked("the peer doesn't encrypt, and this side does", now)
	}
}

// holdLocked keeps what somebody said who isn't announced, and tells of it.
func (t *Transport) holdLocked(from identity.PeerID, kind byte, b []byte, now time.Time) error {
	h := t.held[from]
	if h != nil && now.After(h.until) {
		delete(t.held, from)
		h = nil
	}
	if h == nil {
		if len(t.held) >= maxHeld {
			for id, other := range t.held {
				if now.After(other.until) {
					delete(t.held, id)
				}
			}
		}
		if len(t.held) >= maxHeld || len(t.inboxes) > len(t.pairs)+2*maxHeld {
			return ErrFlood
		}
		h = &held{until: now.Add(holdTime)}
		t.held[from] = h
		t.inboxLocked(from).putLocked(delivery{what: tellKnock})
	}
	if kind == kindInitiation {
		h.initiation = append(h.initiation[:0], b...)
	}
	return nil
}

func (t *Transport) receiveDataLocked(from identity.PeerID, p *pair, b []byte, now time.Time) error {
	id := binary.BigEndian.Uint32(b[1:])
	var k *keys
	if p != nil {
		k = p.keys(id)
	}
	if k == nil {
		known := p != nil
		p = nil
		for _, left := range t.leaving[from] {
			if k = left.keys(id); k != nil {
				p = left
				break
			}
		}
		switch {
		case p == nil && known:
			return ErrLate
		case p == nil:
			return link.ErrNotJoined
		}
	}
	return p.openLocked(k, b, now)
}

// openLocked opens a data message and does what it says.
func (p *pair) openLocked(k *keys, b []byte, now time.Time) error {
	counter := unwrap(p.seen.top, binary.BigEndian.Uint32(b[5:]))
	if !p.seen.fresh(counter) {
		return ErrReplayed
	}
	buf := p.t.bufferLocked()
	plain, ok := k.open(buf.bytes[:0], counter, b[:dataHeader], b[dataHeader:])
	if !ok {
		p.t.recycleLocked(buf)
		return ErrForged
	}
	if p.seen.mark(counter); counter == p.seen.top {
		p.seenAt = now
	}
	p.usedLocked(k, now)
	p.heard = now
	f, ok := parseFrame(plain)
	if !ok || f.acks && !p.ackedLocked(f.ack, now) {
		p.t.recycleLocked(buf)
		return ErrMalformed
	}
	if !p.left && !p.up && !p.ended {
		p.upLocked(now)
	}
	if kept := p.actLocked(f, buf, now); !kept {
		p.t.recycleLocked(buf)
	}
	return nil
}

func (p *pair) ackedLocked(a ack, now time.Time) bool {
	top := unwrap(p.flight.last, a.top)
	if !p.flight.ack(top, a.delay, now) || !p.out.ack(a) {
		return false
	}
	p.wakeLocked()
	return true
}

// actLocked does what a frame says. It reports whether the buffer that holds it is
// kept.
func (p *pair) actLocked(f frame, buf *buffer, now time.Time) (kept bool) {
	if p.left {
		return false // only acknowledgements count any more
	}
	switch f.body {
	case bodyVoice:
		p.owe(now.Add(voiceAck))
		if !p.up || p.inbox.voices >= maxVoiceWaiting {
			return false
		}
		buf.data = f.data
		p.inbox.putLocked(delivery{what: tellVoice, pair: p, epoch: p.far, buffer: buf, at: now})
		return true
	case bodyControl, bodyEnd:
		p.owe(now.Add(controlAck))
		if p.ended {
			return false
		}
		buf.data, buf.end = f.data, f.body == bodyEnd
		kept = p.in.push(f.seq, buf)
		p.deliverLocked(now)
		return kept
	case bodyPing:
		p.owe(now)
	case bodyBye:
		p.endLocked(now)
	}
	return false
}

// owe notes that something is to be acknowledged by a time.
func (p *pair) owe(by time.Time) {
	if p.ackAt.IsZero() || by.Before(p.ackAt) {
		p.ackAt = by
		p.wakeLocked()
	}
}

// deliverLocked has the Handler called with the control that is there in order.
func (p *pair) deliverLocked(now time.Time) {
	for !p.ended {
		b := p.in.pop()
		if b == nil {
			return
		}
		if b.end {
			p.t.recycleLocked(b)
			p.in.delivered++
			p.endLocked(now)
			p.owe(now)
			return
		}
		p.inbox.putLocked(delivery{what: tellControl, pair: p, epoch: p.far, buffer: b})
	}
}

// endLocked: the far end has left this epoch.
func (p *pair) endLocked(now time.Time) {
	if !p.ended {
		p.ended = true
		p.downLocked(reasonLeft, now)
	}
}
