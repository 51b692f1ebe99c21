package p2p

import (
	"encoding/binary"

	"github.com/parley-voice/parley/p2p/link"
)

// Types of the frames on a control stream. Each frame is its type, the length
// of its body as uvarint, and the body; unknown types are skipped.
const (
	frameData = 1 // number as uvarint, message
	frameAck  = 2 // number of the next message expected, as uvarint
	framePing = 3 // an opaque id, as uvarint
	framePong = 4 // the id of the ping

	frameAddrs = 5 // where the sender can be reached: see whereabouts
	framePunch = 6 // about hole punching: see punchMessage
)

const (
	maxDataBody  = binary.MaxVarintLen64 + link.MaxMessage
	maxFrameBody = 1500                 // of a frame of unknown type
	maxFrame     = 1 + 2 + maxFrameBody // with type and length
)

// frame is one frame of a control stream.
type frame struct {
	kind  byte
	value uint64 // number, next expected or id
	data  []byte // message of frameData; body of an unknown type
}

func appendFrame(dst []byte, f frame) []byte {
	var tmp [binary.MaxVarintLen64]byte
	n := 0
	if f.kind >= frameData && f.kind <= framePong {
		n = binary.PutUvarint(tmp[:], f.value)
	}
	dst = append(dst, f.kind)
	dst = binary.AppendUvarint(dst, uint64(n+len(f.data)))
	dst = append(dst, tmp[:n]...)
	return append(dst, f.data...)
}

// parseFrame reads the frame at the start of b and returns how many bytes it
// takes. data is a part of b.
func parseFrame(b []byte) (f frame, n int, err error) {
	if len(b) < 1 {
		return f, 0, errIncomplete
	}
	f.kind = b[0]
	size, k, err := uvarint(b[1:])
	if err != nil {
		return f, 0, err
	}
	if size > maxFrameBody || f.kind == frameData && size > maxDataBody {
		return f, 0, errMalformed
	}
	n = 1 + k + int(size)
	if len(b) < n {
		return f, 0, errIncomplete
	}
	body := b[1+k : n]
	if f.kind < frameData || f.kind > framePong {
		f.data = body
		return f, n, nil
	}
	f.value, k, err = uvarint(body)
	if err != nil {
		return f, 0, errMalformed
	}
	body = body[k:]
	switch {
	case f.kind == frameData && len(body) <= link.MaxMessage:
		f.data = body
	case len(body) > 0:
		return f, 0, errMalformed
	}
	return f, n, nil
}
