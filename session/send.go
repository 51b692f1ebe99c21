package session

import (
	"slices"
	"sync/atomic"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// listener is a peer as one who hears us. runCapture reads it, what the peer
// says of itself sets it.
type listener struct {
	wants  atomic.Int32  // one of the constants below
	plan   atomic.Uint32 // a packed plan: how the voice comes
	route  atomic.Pointer[route]
	stream stream // runCapture's

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
	held  int   // frames right before that weren't sent: they go with the next
	route *route
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

// address says how the listener is reached from a packet on. What reaches it in
// other ways is another spurt: copies don't reach back to what it was sent, or
// not sent, in the former ones. The end of a spurt belongs to what was before.
func (s *stream) address(r *route, said *spoken) {
	if said.end {
		return
	}
	if !r.sameTargets(s.route) {
		s.of = 0
		s.seq -= int64(s.held) // they may not go with this one
		s.held = 0
	}
	s.route = r
}

// cut ends the spurt in which the listener is, at a packet that it doesn't
// get.
func (s *stream) cut(said *spoken) {
	if s.of != 0 {
		s.of = 0
		s.ended, s.ends = said.timestamp, 1+endRepeats
	}
}

// send gives a packet of our voice to everyone who listens, and returns which
// encodings they want. What the link can't send at once is lost: the next packet
// is more worth than this one.
func (c *conversation) send(said *spoken) (wanted encodings) {
	for _, p := range c.roster.list() {
		s := &p.listener.stream
		switch p.listener.wants.Load() {
		case wantsVoice:
			pl := unpackPlan(p.listener.plan.Load())
			wanted[pl.encoding] = true
			wanted[spare] = wanted[spare] || pl.light
			s.address(p.listener.route.Load(), said)
			if s.next(said) && !s.holds(said, pl) {
				c.sendTo(p, said, pl)
			}
		case wantsEnd:
			s.held = 0
			if s.cut(said); s.ends > 0 {
				s.ends--
				s.seq++
				c.sendTo(p, &spoken{timestamp: s.ended, end: true}, plan{})
			}
		default:
			s.of, s.ends, s.held = 0, 0, 0
		}
	}
	return wanted
}

// holds says whether a frame waits for the one after it, with which it travels.
func (s *stream) holds(said *spoken, pl plan) bool {
	if s.held >= pl.twins || said.end {
		return false
	}
	s.held++
	return true
}

// sendTo sends a packet under the number that it has for this listener.
func (c *conversation) sendTo(p *peer, said *spoken, pl plan) {
	s := &p.listener.stream
	v := wire.Voice{
		Sequence:  uint16(s.seq),
		Timestamp: uint32(said.timestamp/wire.TickSamples) & (1<<wire.TimestampBits - 1),
		Spurt:     uint8(s.spurt),
		End:       said.end,
		Channels:  s.route.channels(),
		Payload:   said.payloads.in(pl.encoding),
	}
	addTwins(&v, said, s.held, s.from, pl.encoding)
	p.listener.dropped.Add(uint64(s.held - v.Twins))
	s.held = 0
	addCopies(&v, said, pl, s.from)
	b, err := v.AppendTo(c.capture.wire[:0])
	if err == nil {
		err = c.transport.SendVoice(p.id, b)
	}
	if err != nil {
		p.listener.dropped.Add(1)
		return
	}
	p.listener.sent.Add(1)
	p.listener.copied.Add(uint64(v.NumCopies - v.Twins))
	p.listener.bytes.Add(uint64(len(b)))
}

// addTwins adds the frames that waited for this one, the farthest first. A part of the
// recording may be missing between them: what is before that isn't sent.
func addTwins(v *wire.Voice, said *spoken, held int, from int64, e encoding) {
	for v.Twins < held && addCopy(v, said, v.Twins+1, from, e) {
		v.Twins++
	}
	slices.Reverse(v.Copies[:v.Twins])
}

// addCopies adds copies of the packets that the plan names, the farthest first,
// as far as the listener got them. The end of a talk spurt, after which nothing
// follows, carries all up to the farthest; of four there is room for three, and
// the last packet goes without: beside its own copy it would be lost with it most
// often, and people end quietly.
func addCopies(v *wire.Voice, said *spoken, pl plan, from int64) {
	due := false
	for o := wire.MaxOffset; o >= 1 && v.NumCopies < wire.MaxCopies; o-- {
		due = due || pl.copies.has(o)
		if pl.copies.has(o) || said.end && due {
			addCopy(v, said, o, from, pl.copyIn(o))
		}
	}
}

// addCopy adds the packet that was sent so many packets earlier, if the listener
// was sent it and there is room, and reports whether it did.
func addCopy(v *wire.Voice, said *spoken, offset int, from int64, e encoding) bool {
	h := said.before(offset)
	if h == nil || h.seq < from || v.NumCopies == wire.MaxCopies || offset <= v.Twins {
		return false
	}
	v.Copies[v.NumCopies] = wire.Copy{Offset: offset, Payload: h.payloads.in(e)}
	v.NumCopies++
	if v.Size() > link.MaxMessage {
		v.NumCopies--
		return false
	}
	return true
}
