package pipe

import (
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

const (
	maxControl      = 64       // control messages that the far end's Handler hasn't taken; more are link.ErrCongested
	maxControlBytes = 32 << 10 // the same in bytes
	maxUnderWay     = 16       // of those, how many are sent before the first is known to have arrived
	minResend       = 50 * time.Millisecond
	maxResend       = time.Second
	slowResend      = 2 * time.Second       // on a way that calls itself reliable
	retrySend       = 20 * time.Millisecond // after the pipe didn't take a message
)

// outgoing are the control messages to one peer that its Handler hasn't taken,
// in order. The zero value is empty; sequence numbers begin with 1.
type outgoing struct {
	items []outItem
	taken uint64 // the sequence number before that of items[0]
	bytes int
}

type outItem struct {
	data    []byte
	end     bool      // not a message, but the end of them
	due     time.Time // when it is sent again; zero: now
	tries   int
	arrived bool
}

// push queues a message, which it keeps.
func (o *outgoing) push(data []byte, end bool) {
	o.items = append(o.items, outItem{data: data, end: end})
	o.bytes += len(data)
}

// full reports whether a message of n bytes has no place.
func (o *outgoing) full(n int) bool {
	return len(o.items) >= maxControl || o.bytes+n > maxControlBytes
}

// next returns the index of an item that is to be sent now, or -1 and when the
// next one is to be; zero if none is.
func (o *outgoing) next(now time.Time) (i int, due time.Time) {
	underWay := 0
	for i := range o.items {
		it := &o.items[i]
		if it.arrived {
			continue
		}
		if underWay++; underWay > maxUnderWay {
			break
		}
		if !it.due.After(now) {
			return i, now
		}
		if due.IsZero() || it.due.Before(due) {
			due = it.due
		}
	}
	return -1, due
}

// sequence returns the sequence number of an item.
func (o *outgoing) sequence(i int) uint64 { return o.taken + 1 + uint64(i) }

// sent notes that an item was sent, and is to be sent again after resend, longer
// each time if backOff.
func (o *outgoing) sent(i int, now time.Time, resend time.Duration, backOff bool) {
	it := &o.items[i]
	if backOff {
		resend = min(resend<<min(it.tries, 5), max(resend, maxResend))
	}
	it.due = now.Add(resend)
	it.tries++
}

// refused notes that the pipe didn't take a message, which is to be sent again at a
// time.
func (o *outgoing) refused(seq uint64, due time.Time) {
	if i := seq - o.taken - 1; i < uint64(len(o.items)) {
		o.items[i].due = due
		o.items[i].tries--
	}
}

// ack notes what arrived at the far end. It reports whether that can be.
func (o *outgoing) ack(a ack) (ok bool) {
	last := o.taken + uint64(len(o.items))
	received := unwrap(o.taken, a.received)
	switch {
	case received < uint64(a.undeliver) || received > last:
		return false
	case received < o.taken:
		return true // late
	}
	for i := range o.items {
		seq := o.sequence(i)
		bit := seq - received - 2
		if seq <= received || seq >= received+2 && bit < 32 && a.mask>>bit&1 != 0 {
			o.items[i].arrived = true
		}
	}
	done := max(received-uint64(a.undeliver), o.taken) - o.taken
	for _, it := range o.items[:done] {
		o.bytes -= len(it.data)
	}
	kept := copy(o.items, o.items[done:])
	clear(o.items[kept:])
	o.items = o.items[:kept]
	o.taken += done
	return true
}

// flushed reports whether everything arrived.
func (o *outgoing) flushed() bool {
	for i := range o.items {
		if !o.items[i].arrived {
			return false
		}
	}
	return true
}

// hurry has everything sent again now that isn't known to have arrived.
func (o *outgoing) hurry() {
	for i := range o.items {
		o.items[i].due, o.items[i].tries = time.Time{}, 0
	}
}

// incoming puts the control messages of one peer in order. The zero value has
// received none.
type incoming struct {
	received  uint64 // up to here none is missing
	delivered uint64 // up to here the Handler has taken them
	early     [maxControl]*buffer
}

// push takes a message. It reports whether the message is kept, which it isn't
// if it came before, or if the sender doesn't wait for the Handler.
func (c *incoming) push(low uint32, b *buffer) bool {
	seq := unwrap(c.received, low)
	if seq <= c.received || seq > c.delivered+maxControl || c.early[seq%maxControl] != nil {
		return false
	}
	c.early[seq%maxControl] = b
	return true
}

// pop returns the next message in order, or nil.
func (c *incoming) pop() *buffer {
	slot := &c.early[(c.received+1)%maxControl]
	b := *slot
	if b != nil {
		*slot = nil
		c.received++
	}
	return b
}

// mask says which of the messages that came early are there, as ack.mask does.
func (c *incoming) mask() (mask uint32) {
	for i := range uint64(32) {
		seq := c.received + 2 + i
		if seq <= c.delivered+maxControl && c.early[seq%maxControl] != nil {
			mask |= 1 << i
		}
	}
	return mask
}

// buffer holds a data message while it is opened and until it was delivered.
type buffer struct {
	bytes [maxPlain]byte
	data  []byte // the voice or control message; part of bytes
	end   bool   // no message, but the end of them
}

// The largest voice message must fit.
var _ [maxPlain - 1 - ackSize - link.MaxMessage]struct{}
