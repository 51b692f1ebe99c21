package p2p

import (
	"encoding/binary"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// Flags of a lane message. Every other bit is malformed: a later version says
// so in its preamble.
const (
	flagVoice = 1 << 0
	flagAck   = 1 << 1
)

const (
	ackSize        = 2 + 4 + 1
	maxLaneBody    = 1 + ackSize + 2 + link.MaxMessage
	maxLaneMessage = 2 + maxLaneBody
)

// ackInfo acknowledges voice: the largest number that arrived, which of the 32
// before it did (bit i stands for largest-1-i), and for how long the largest
// had been there when this was written.
type ackInfo struct {
	largest uint16
	bitmap  uint32
	delay   time.Duration // whole ms; 255 ms means 255 ms or more
}

// laneMessage is one message on a lane.
type laneMessage struct {
	hasVoice, hasAck bool
	ack              ackInfo
	number           uint16 // the lower 16 bits of the packet number
	payload          []byte
}

const maxAckDelay = 255 * time.Millisecond

func appendLaneMessage(dst []byte, m *laneMessage) []byte {
	size, flags := 1, byte(0)
	if m.hasAck {
		size += ackSize
		flags |= flagAck
	}
	if m.hasVoice {
		size += 2 + len(m.payload)
		flags |= flagVoice
	}
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, flags)
	if m.hasAck {
		dst = binary.BigEndian.AppendUint16(dst, m.ack.largest)
		dst = binary.BigEndian.AppendUint32(dst, m.ack.bitmap)
		dst = append(dst, byte(min(max(m.ack.delay, 0), maxAckDelay)/time.Millisecond))
	}
	if m.hasVoice {
		dst = binary.BigEndian.AppendUint16(dst, m.number)
		dst = append(dst, m.payload...)
	}
	return dst
}

// parseLaneMessage reads the message at the start of b and returns how many
// bytes it takes. payload is a part of b.
func parseLaneMessage(b []byte) (m laneMessage, n int, err error) {
	size, k, err := uvarint(b)
	if err != nil {
		return m, 0, err
	}
	if size == 0 || size > maxLaneBody {
		return m, 0, errMalformed
	}
	n = k + int(size)
	if len(b) < n {
		return m, 0, errIncomplete
	}
	flags, body := b[k], b[k+1:n]
	if flags == 0 || flags&^(flagVoice|flagAck) != 0 {
		return m, 0, errMalformed
	}
	if flags&flagAck != 0 {
		if len(body) < ackSize {
			return m, 0, errMalformed
		}
		m.hasAck = true
		m.ack.largest = binary.BigEndian.Uint16(body)
		m.ack.bitmap = binary.BigEndian.Uint32(body[2:])
		m.ack.delay = time.Duration(body[6]) * time.Millisecond
		body = body[ackSize:]
	}
	if flags&flagVoice == 0 {
		if len(body) > 0 {
			return m, 0, errMalformed
		}
		return m, n, nil
	}
	if len(body) < 2 || len(body) > 2+link.MaxMessage {
		return m, 0, errMalformed
	}
	m.hasVoice = true
	m.number = binary.BigEndian.Uint16(body)
	m.payload = body[2:]
	return m, n, nil
}
