package p2p

import (
	"encoding/binary"
	"errors"
)

// Errors of the parsers. errIncomplete asks for more bytes; after any other
// the stream is useless.
var (
	errIncomplete = errors.New("p2p: incomplete")
	errMalformed  = errors.New("p2p: malformed")
	errVersion    = errors.New("p2p: unknown version or kind")
)

const (
	wireVersion = 1

	kindControl = 1
	kindLane    = 2

	preambleTail = 1 + 8 + 8 // lane, sender's epoch, receiver's epoch
	preambleMax  = 3 + MaxSessionName + preambleTail
)

// preamble is what every stream begins with.
type preamble struct {
	kind    byte
	session string
	lane    byte   // number of the lane, 0 on a control stream
	from    uint64 // the sender's epoch, never 0
	to      uint64 // the receiver's epoch as the sender knows it; 0 if it doesn't, never on a lane
}

func appendPreamble(dst []byte, p preamble) []byte {
	dst = append(dst, wireVersion, p.kind, byte(len(p.session)))
	dst = append(dst, p.session...)
	dst = append(dst, p.lane)
	dst = binary.BigEndian.AppendUint64(dst, p.from)
	return binary.BigEndian.AppendUint64(dst, p.to)
}

// parsePreamble reads a preamble at the start of b and returns how many bytes
// it takes. The version is judged as soon as its byte is there, so that a
// later version may change everything behind it.
func parsePreamble(b []byte) (p preamble, n int, err error) {
	if len(b) < 1 {
		return p, 0, errIncomplete
	}
	if b[0] != wireVersion {
		return p, 0, errVersion
	}
	if len(b) < 2 {
		return p, 0, errIncomplete
	}
	p.kind = b[1]
	if p.kind != kindControl && p.kind != kindLane {
		return p, 0, errVersion
	}
	size, k, err := uvarint(b[2:])
	if err != nil {
		return p, 0, err
	}
	if size > MaxSessionName {
		return p, 0, errMalformed
	}
	b, n = b[2+k:], 2+k+int(size)+preambleTail
	if len(b) < int(size)+preambleTail {
		return p, 0, errIncomplete
	}
	p.session = string(b[:size])
	b = b[size:]
	p.lane = b[0]
	p.from = binary.BigEndian.Uint64(b[1:])
	p.to = binary.BigEndian.Uint64(b[9:])
	switch {
	case p.from == 0,
		p.kind == kindLane && p.to == 0,
		p.kind == kindControl && p.lane != 0:
		return p, 0, errMalformed
	}
	return p, n, nil
}

// uvarint reads an unsigned LEB128 number of at most 64 bits in its shortest
// form.
func uvarint(b []byte) (v uint64, n int, err error) {
	v, n = binary.Uvarint(b)
	switch {
	case n == 0 && len(b) < binary.MaxVarintLen64:
		return 0, 0, errIncomplete
	case n <= 0:
		return 0, 0, errMalformed
	case n > 1 && b[n-1] == 0:
		return 0, 0, errMalformed
	}
	return v, n, nil
}
