package pipe

import (
	"encoding/binary"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// The kinds of message, as the first byte has them in its low half.
const (
	kindHello byte = iota + 1
	kindInitiation
	kindResponse
	kindConfirmation
	kindData
)

// The high half of the first byte.
const (
	sealedMode byte = 0x10
	openMode   byte = 0x20
)

const (
	helloSize  = 1 + 8
	keyHeader  = 1 + 4     // before a handshake message
	dataHeader = 1 + 4 + 4 // before the sealed part
	tagSize    = 16        // of Poly1305
	ackSize    = 15
	maxPlain   = 1 + ackSize + 4 + link.MaxMessage
)

// What a data message carries.
const (
	bodyNothing byte = iota
	bodyVoice
	bodyControl
	bodyEnd
	bodyPing
	bodyBye

	withAck byte = 0x80
)

// ack is an acknowledgement.
type ack struct {
	top       uint32        // low bits of the highest counter received
	delay     time.Duration // since then
	received  uint32        // low bits of the sequence number up to which no control is missing
	mask      uint32        // bit i: received+2+i is there
	undeliver uint8         // of those up to received, how many the Handler hasn't taken
}

// ackUnit is the unit of ack.delay on the wire.
const ackUnit = 100 * time.Microsecond

func (a ack) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, a.top)
	b = binary.BigEndian.AppendUint16(b, uint16(min(max(a.delay, 0)/ackUnit, 0xffff)))
	b = binary.BigEndian.AppendUint32(b, a.received)
	b = binary.BigEndian.AppendUint32(b, a.mask)
	return append(b, a.undeliver)
}

func parseAck(b []byte) ack {
	return ack{
		top:       binary.BigEndian.Uint32(b),
		delay:     time.Duration(binary.BigEndian.Uint16(b[4:])) * ackUnit,
		received:  binary.BigEndian.Uint32(b[6:]),
		mask:      binary.BigEndian.Uint32(b[10:]),
		undeliver: b[14],
	}
}

// frame is the inside of a data message.
type frame struct {
	body byte
	acks bool
	ack  ack
	seq  uint32 // of control and end
	data []byte // of voice and control; part of what was parsed
}

func (f *frame) appendTo(b []byte) []byte {
	if !f.acks {
		b = append(b, f.body)
	} else {
		b = f.ack.appendTo(append(b, f.body|withAck))
	}
	if f.body == bodyControl || f.body == bodyEnd {
		b = binary.BigEndian.AppendUint32(b, f.seq)
	}
	return append(b, f.data...)
}

// parseFrame reads the inside of a data message; ok is false if it makes no
// sense.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) == 0 {
		return f, false
	}
	f.body, f.acks = b[0]&^withAck, b[0]&withAck != 0
	b = b[1:]
	if f.acks {
		if len(b) < ackSize {
			return f, false
		}
		f.ack, b = parseAck(b), b[ackSize:]
	}
	switch f.body {
	case bodyControl, bodyEnd:
		if len(b) < 4 {
			return f, false
		}
		f.seq, b = binary.BigEndian.Uint32(b), b[4:]
	case bodyNothing, bodyVoice, bodyPing, bodyBye:
	default:
		return f, false
	}
	if f.body == bodyVoice || f.body == bodyControl {
		f.data = b
		return f, len(b) <= link.MaxMessage
	}
	return f, len(b) == 0
}

// unwrap returns the number with these low 32 bits that is next to near.
func unwrap(near uint64, low uint32) uint64 {
	n := near&^0xffffffff | uint64(low)
	const half = 1 << 31
	switch {
	case n+half < near:
		n += 1 << 32
	case n > near+half && n >= 1<<32:
		n -= 1 << 32
	}
	return n
}
