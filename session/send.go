package session

import (
	"sync/atomic"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// listener is a peer as one who hears us. runCapture reads it, what the peer
// says of itself sets it.
type listener struct {
	wants  atomic.Int32 // one of the constants below
	copies atomic.Int32 // how many packets back a copy is added, 0 for none
	stream stream       // runCapture's

	sent    atomic.Uint64 // packets given to the link
	dropped atomic.Uint64 // packets that the link refused
	copied  atomic.Uint64 // copies sent along
	bytes   atomic.Uint64 // of voice packets sent, headers and copies included
}

// What a listener is sent.
const (
	wantsNothing int32 = iota // it hasn't greeted us, doesn't understand us, or there is no way to it
	wantsEnd                  // it is deafened: of a spurt under way the end only
	wantsVoice
)

// stream numbers what one listener is sent: what it isn't sent leaves no gap
// there, so that it isn't taken for loss. Who missed a part of a talk spurt
// gets the rest as another one.
type stream struct {
	seq   int64 // of the last packet
	spurt int64
	of    int64 // the talker's spurt that this one is of; 0 for none
	from  int64 // number, at the talker, of the spurt's first packet
	ended int64 // timestamp of the end
	ends  int   // how often it is still to be said
}

// next numbers a packet that the listener is to get. It reports false for the
// end of a spurt of which the listener got nothing.
func (s *stream) next(said *spoken) bool {
	if s.of != said.spurt {
		if said.end {
			return false
		}
		s.spurt++
		s.of, s.from = said.spurt, said.seq
	}
	s.seq++
	return true
}

// cut ends the spurt in which the listener is, at a packet that it doesn't
// get.
func (s *stream) cut(said *spoken) {
	if s.of != 0 {
		s.of = 0
		s.ended, s.ends = said.timestamp, 1+endRepeats
	}
}

// send gives a packet of our voice to everyone who listens. What the link
// can't send at once is lost: the next packet is more worth than this one.
func (c *conversation) send(said *spoken) {
	for _, p := range c.roster.list() {
		s := &p.listener.stream
		switch p.listener.wants.Load() {
		case wantsVoice:
			if s.next(said) {
				c.sendTo(p, said)
			}
		case wantsEnd:
			if s.cut(said); s.ends > 0 {
				s.ends--
				s.seq++
				c.sendTo(p, &spoken{timestamp: s.ended, end: true})
			}
		default:
			s.of, s.ends = 0, 0
		}
	}
}

// sendTo sends a packet under the number that it has for this listener.
func (c *conversation) sendTo(p *peer, said *spoken) {
	s := &p.listener.stream
	v := wire.Voice{
		Sequence:  uint16(s.seq),
		Timestamp: uint32(said.timestamp/wire.TickSamples) & (1<<wire.TimestampBits - 1),
		Spurt:     uint8(s.spurt),
		End:       said.end,
		Payload:   said.payload,
	}
	if offset := int(p.listener.copies.Load()); offset > 0 {
		addCopies(&v, said, offset, s.from)
	}
	b, err := v.AppendTo(c.capture.wire[:0])
	if err == nil {
		err = c.transport.SendVoice(p.id, b)
	}
	if err != nil {
		p.listener.dropped.Add(1)
		return
	}
	p.listener.sent.Add(1)
	p.listener.copied.Add(uint64(v.NumCopies))
	p.listener.bytes.Add(uint64(len(b)))
}

// addCopies adds a copy of the packet sent offset packets earlier, if the
// listener got that one, whose spurt began with the packet from. The end of a
// talk spurt, after which nothing follows, carries all up to that one; of four
// there is room for three, and the last packet goes without: beside its own
// copy it would be lost with it most often, and people end quietly.
func addCopies(v *wire.Voice, said *spoken, offset int, from int64) {
	nearest := offset
	if said.end {
		nearest = 1
	}
	for o := offset; o >= nearest && v.NumCopies < wire.MaxCopies; o-- {
		h := said.before(o)
		if h == nil || h.seq < from {
			continue
		}
		v.Copies[v.NumCopies] = wire.Copy{Offset: o, Payload: h.payload}
		v.NumCopies++
		if v.Size() > link.MaxMessage {
			v.NumCopies--
		}
	}
}
