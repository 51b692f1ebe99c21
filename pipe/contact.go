package pipe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"
)

const (
	firstRetry  = 250 * time.Millisecond // of a hello or an initiation; doubled each time
	maxRetry    = 2 * time.Second
	offerLife   = 10 * time.Second // of an initiation; then another one is made
	rekeyAfter  = 2 * time.Minute
	keyLimit    = 6 * time.Minute
	answerLife  = 2 * offerLife
	keyOverlap  = 10 * time.Second // for which old keys open what is late
	confirmWait = 100 * time.Millisecond
	maxConfirms = 6

	// What handshakes may cost: about 0.2 ms of work each, so many at once for
	// each joined peer, and one more in this time.
	maxHandshakes = 32
	perHandshake  = 125 * time.Millisecond
)

// contact is how a pair gets its keys.
type contact struct {
	initiator bool // the side with the smaller ID
	greeted   bool // the far end said hello in an epoch that isn't known
	tries     int  // hellos or initiations since the path was lost
	tryAt     time.Time
	triedAt   time.Time

	offer   *offer  // the initiator's handshake under way
	answer  *answer // the responder's
	respond bool    // the response is to be sent, again perhaps

	confirmation []byte // sent until the far end shows that it has the keys; nil if it has
	confirms     int
	confirmAt    time.Time

	current, next, previous *keys // next: the far end may not have them yet
	previousUntil           time.Time

	budget   int // handshakes that may be worked on
	budgetAt time.Time
}

type offer struct {
	handshake  *handshake
	initiation []byte
	made       time.Time
}

type answer struct {
	handshake            *handshake
	initiation, response []byte
	made                 time.Time
}

// spend takes one handshake off the budget, if there is one.
func (c *contact) spend(now time.Time) bool {
	if n := int(now.Sub(c.budgetAt) / perHandshake); n > 0 {
		if c.budget = min(c.budget+n, maxHandshakes); n > maxHandshakes {
			c.budgetAt = now
		} else {
			c.budgetAt = c.budgetAt.Add(time.Duration(n) * perHandshake)
		}
	}
	if c.budget == 0 {
		return false
	}
	c.budget--
	return true
}

// keys returns the keys of an ID, or nil.
func (c *contact) keys(id uint32) *keys {
	for _, k := range [...]*keys{c.current, c.next, c.previous} {
		if k != nil && k.id == id {
			return k
		}
	}
	return nil
}

func backOff(tries int) time.Duration { return min(firstRetry<<min(tries, 8), maxRetry) }

// tryLocked notes that a hello or an initiation is sent.
func (p *pair) tryLocked(now time.Time) {
	p.triedAt, p.tryAt = now, now.Add(backOff(p.tries))
	p.tries++
}

// contactRefused notes that the pipe didn't take a message of these: sooner again
// than if it had.
func (c *contact) contactRefused(now time.Time) {
	if again := now.Add(retrySend << min(c.tries, 8)); again.Before(c.tryAt) {
		c.tryAt = again
	}
	if again := now.Add(retrySend << min(c.confirms, 8)); again.Before(c.confirmAt) {
		c.confirmAt = again
	}
}

// greetedLocked: the far end, which is no initiator, said hello.
func (p *pair) greetedLocked(epoch uint64, now time.Time) {
	if p.up && epoch == p.far {
		return // late: it was met meanwhile
	}
	p.greeted = true
	if now.Sub(p.triedAt) >= firstRetry/2 {
		p.tries, p.tryAt = 0, now
	}
	p.wakeLocked()
}

// offerLocked returns the initiation to send, made if need be; nil if it may not
// be made now.
func (p *pair) offerLocked(now time.Time) []byte {
	if p.offer != nil && now.Sub(p.offer.made) < offerLife {
		return p.offer.initiation
	}
	p.offer = nil
	if !p.spend(now) {
		return nil
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	h, err := p.t.own.begin(binary.BigEndian.Uint32(id[:]), p.t.cfg.Self, p.id, true)
	if err != nil {
		return nil
	}
	initiation, _, err := h.write(p.t.header(kindInitiation, h.id), nil, now)
	if err != nil {
		return nil
	}
	p.offer = &offer{h, initiation, now}
	return initiation
}

// respondLocked takes an initiation. It answers the same one the same way.
func (p *pair) respondLocked(initiation []byte, now time.Time) error {
	id := binary.BigEndian.Uint32(initiation[1:])
	switch {
	case p.keys(id) != nil:
		return ErrLate
	case p.answer != nil && bytes.Equal(p.answer.initiation, initiation) && now.Sub(p.answer.made) <= answerLife:
		p.respond = true
		p.wakeLocked()
		return nil
	case !p.spend(now):
		return ErrFlood
	}
	h, err := p.t.own.begin(id, p.t.cfg.Self, p.id, false)
	if err != nil {
		return err
	}
	if _, _, err = h.read(initiation[keyHeader:], now); err != nil {
		return ErrMalformed
	}
	response, _, err := h.write(p.t.header(kindResponse, id), p.t.own.payload(p.mine), now)
	if err != nil {
		return err
	}
	p.answer = &answer{h, bytes.Clone(initiation), response, now}
	p.respond = true
	p.wakeLocked()
	return nil
}

// respondedLocked takes a response: the far end is there, and both have keys.
func (p *pair) respondedLocked(b []byte, now time.Time) error {
	if p.offer == nil || p.offer.handshake.id != binary.BigEndian.Uint32(b[1:]) {
		return ErrLate
	}
	if !p.spend(now) {
		return ErrFlood
	}
	h := p.offer.handshake
	payload, _, err := h.read(b[keyHeader:], now)
	if err != nil { // anybody may have made it: wait for the right one
		if p.offer.again() != nil {
			p.offer = nil
		}
		return ErrForged
	}
	p.offer = nil // this handshake can't go on but here
	far, err := h.verify(payload)
	if err != nil {
		return p.refuseLocked(err, now)
	}
	confirmation, k, err := h.write(p.t.header(kindConfirmation, h.id), p.t.own.payload(p.mine), now)
	if err != nil || k == nil {
		return ErrForged
	}
	if p.up && far == p.far {
		p.next = k
	} else {
		before := p.current
		if far != p.far {
			before = nil
		}
		p.metLocked(far, now)
		p.previous, p.current, p.next, p.previousUntil = before, k, nil, now.Add(keyOverlap)
	}
	p.greeted = false
	p.confirmation, p.confirms, p.confirmAt = confirmation, 0, now
	p.wakeLocked()
	return nil
}

// again brings the handshake back to where a response is expected.
func (o *offer) again() error {
	if o.handshake.own.insecure {
		return nil
	}
	if err := o.handshake.restart(); err != nil {
		return err
	}
	_, _, err := o.handshake.write(nil, nil, o.made)
	return err
}

// again brings the handshake back to where a confirmation is expected.
func (a *answer) again(payload []byte, now time.Time) error {
	h := a.handshake
	if h.own.insecure {
		return nil
	}
	if err := h.restart(); err != nil {
		return err
	}
	if _, _, err := h.read(a.initiation[keyHeader:], now); err != nil {
		return err
	}
	_, _, err := h.write(nil, payload, now)
	return err
}

// confirmedLocked takes a confirmation: the far end is there, and has the keys.
func (p *pair) confirmedLocked(b []byte, now time.Time) error {
	if p.answer == nil || p.answer.handshake.id != binary.BigEndian.Uint32(b[1:]) || now.Sub(p.answer.made) > answerLife {
		return ErrLate
	}
	h := p.answer.handshake
	payload, k, err := h.read(b[keyHeader:], now)
	if err != nil { // as above, within the budget: only what is nearly right has spoiled anything
		if p.spend(now) && p.answer.again(p.t.own.payload(p.mine), now) != nil {
			p.answer, p.respond = nil, false
		}
		return ErrForged
	}
	p.answer, p.respond = nil, false
	far, err := h.verify(payload)
	if err != nil {
		return p.refuseLocked(err, now)
	}
	if k == nil {
		return ErrForged
	}
	k.confirmed = true
	before := p.current
	if far != p.far {
		before = nil
	}
	p.metLocked(far, now)
	p.previous, p.current, p.next, p.previousUntil = before, k, nil, now.Add(keyOverlap)
	p.ackAt = now // shows that we have the keys
	p.wakeLocked()
	return nil
}

// refuseLocked says why a sound handshake isn't taken.
func (p *pair) refuseLocked(err error, now time.Time) error {
	if errors.Is(err, errPeer) {
		if !p.up {
			p.downLocked("somebody else answers in the peer's place", now)
		}
		return ErrForged
	}
	return err
}

// usedLocked: the far end sealed something with these keys.
func (p *pair) usedLocked(k *keys, now time.Time) {
	if k == p.next {
		p.previous, p.current, p.next, p.previousUntil = p.current, k, nil, now.Add(keyOverlap)
	}
	if k == p.current && !k.confirmed {
		k.confirmed, p.confirmation = true, nil
	}
}

// header begins a handshake message.
func (t *Transport) header(kind byte, id uint32) []byte {
	b := make([]byte, keyHeader, 64)
	b[0] = t.own.mode() | kind
	binary.BigEndian.PutUint32(b[1:], id)
	return b
}

func (c *credentials) mode() byte {
	if c.insecure {
		return openMode
	}
	return sealedMode
}
