package sessiontest

import (
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// kind tells the messages between two transports apart.
type kind uint8

const (
	kindHello   kind = iota // I am here with epoch src, and know you as epoch dst (0: not at all)
	kindRefuse              // epoch dst isn't welcome, for a reason
	kindLeave               // epoch src has left
	kindControl             // a control message
	kindAck                 // a control message was delivered
	kindVoice               // a voice message
)

// packet is one message between two transports. Its buffer is used again, so
// a Handler that keeps the bytes of a call sees them change.
type packet struct {
	header
	length int
	buf    [link.MaxMessage]byte
}

type header struct {
	kind     kind
	from, to identity.PeerID
	src, dst uint64 // epochs of both ends
	number   uint64 // of a voice message
	reason   string // of a refusal
	pair     *pair  // the sender's; nil if it has none
	at       time.Time
}

func (p *packet) payload() []byte { return p.buf[:p.length] }

// spoiled is what a Handler finds that keeps bytes after a call.
const spoiled = 0xDB

func (n *Network) newPacketLocked(k kind, from, to identity.PeerID) *packet {
	var p *packet
	if last := len(n.free) - 1; last >= 0 {
		p, n.free = n.free[last], n.free[:last]
	} else {
		p = new(packet)
	}
	p.kind, p.from, p.to = k, from, to
	return p
}

func (n *Network) recycleLocked(p *packet) {
	for i := range p.payload() {
		p.buf[i] = spoiled
	}
	p.header, p.length = header{}, 0
	n.free = append(n.free, p)
}
