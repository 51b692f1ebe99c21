package session

import (
	"sync/atomic"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// listener is a peer as one who hears us. runCapture reads it, what the peer
// says of itself sets it.
type listener struct {
	ready  atomic.Bool  // both sides greeted, and it wants to hear us
	copies atomic.Int32 // how many packets back a copy is added, 0 for none

	sent    atomic.Uint64 // packets given to the link
	dropped atomic.Uint64 // packets that the link refused
	copied  atomic.Uint64 // copies sent along
	bytes   atomic.Uint64 // of voice packets sent, headers and copies included
}

// send gives a packet of our voice to everyone who listens. What the link
// can't send at once is lost: the next packet is more worth than this one.
func (c *conversation) send(said *spoken) {
	for _, p := range c.roster.list() {
		if p.listener.ready.Load() {
			c.sendTo(p, said)
		}
	}
}

func (c *conversation) sendTo(p *peer, said *spoken) {
	v := wire.Voice{
		Sequence:  uint16(said.seq),
		Timestamp: uint32(said.timestamp/wire.TickSamples) & (1<<wire.TimestampBits - 1),
		Spurt:     uint8(said.spurt),
		End:       said.end,
		Payload:   said.payload,
	}
	if offset := int(p.listener.copies.Load()); offset > 0 {
		addCopies(&v, said, offset)
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

// addCopies adds a copy of the packet sent offset packets earlier; the end of
// a talk spurt, after which nothing follows, carries all up to that one.
func addCopies(v *wire.Voice, said *spoken, offset int) {
	from := offset
	if said.end {
		from = 1
	}
	for o := from; o <= offset && v.NumCopies < wire.MaxCopies; o++ {
		h := said.before(o)
		if h == nil {
			continue
		}
		v.Copies[v.NumCopies] = wire.Copy{Offset: o, Payload: h.payload}
		v.NumCopies++
		if v.Size() > link.MaxMessage {
			v.NumCopies--
		}
	}
}
