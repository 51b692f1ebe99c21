package wire

import (
	"encoding/binary"
	"errors"
)

// Units and limits of a voice packet.
const (
	TickSamples   = 480 // a timestamp on the wire counts ticks of 10 ms at 48 kHz
	MaxCopies     = 3   // copies of earlier packets that one voice packet carries at most
	MaxOffset     = 4   // how many packets back a copy may reach
	SequenceBits  = 16
	TimestampBits = 24
	SpurtBits     = 8
)

const (
	voiceVersion  = 1 // upper half of the first byte
	withChannels  = 2 // the same, of a packet with channels
	flagTwins     = 0x08
	flagEnd       = 0x04
	copiesMask    = 0x03
	voiceHeader   = 7
	maxCopyHeader = 3
)

// Errors of voice packets. They are wrapped, so compare with errors.Is.
var (
	ErrVoiceVersion = errors.New("wire: voice packet of another version")
	ErrVoiceFormat  = errors.New("wire: malformed voice packet")
	ErrVoiceSize    = errors.New("wire: voice packet doesn't fit")
)

// Copy is an earlier packet that a later voice packet carries once more.
type Copy struct {
	Offset  int    // how many packets before the carrying one, 1 to MaxOffset
	Payload []byte // the codec's packet, not empty
}

// Voice is one voice packet:
//
//	 0               1               2               3
//	 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
//	+-------+-+-+---+-------------------------------+---------------+
//	|version|T|E|cps|            sequence           |               :
//	+-------+-+-+---+-------------------------------+---------------+
//	:     timestamp (10 ms ticks)   |     spurt     | channels ...  :
//	+-------------------------------+---------------+---------------+
//	:               copies ...      |  codec packet ...             :
//	+---------------------------------------------------------------+
//
// Sequence, timestamp and spurt are the low bits of counters that only grow;
// [Unwrap] restores them. A copy is its offset (one byte), its length
// (unsigned varint) and its bytes. If T is set the first copies, of offsets that fall
// to 1, are of the packets right before, and no copies but twins: those were not sent
// by themselves. A packet without copies and payload that has E set ends a talk spurt
// and carries no audio.
//
// Version 1 has no channels and is said to everyone; version 2 has at least one,
// see [Channel].
type Voice struct {
	Sequence  uint16          // counts packets sent: a gap is loss
	Timestamp uint32          // TimestampBits wide; ticks since the talker's clock began, through silence too
	Spurt     uint8           // counts talk spurts
	End       bool            // the talk spurt ends with this packet
	Copies    [MaxCopies]Copy // the first NumCopies are valid
	NumCopies int
	Twins     int    // that many copies, the first ones, are of the packets right before, which are not sent otherwise; the farthest comes first
	Channels  []byte // as AppendChannels makes it; empty for what is said to everyone
	Payload   []byte // the codec's packet; empty only if End is set
}

// Size is the number of bytes that AppendTo will append.
func (v *Voice) Size() int {
	n := voiceHeader + len(v.Channels) + len(v.Payload)
	for _, c := range v.Copies[:v.NumCopies] {
		n += 1 + uvarintLen(uint64(len(c.Payload))) + len(c.Payload)
	}
	return n
}

// AppendTo appends the packet's wire form to b. It fails, returning b as it
// was, if v isn't a valid packet. It allocates only if b has too little room.
func (v *Voice) AppendTo(b []byte) ([]byte, error) {
	if v.NumCopies < 0 || v.NumCopies > MaxCopies || !v.twinsFollow() || v.Timestamp >= 1<<TimestampBits || (len(v.Payload) == 0 && !v.End) {
		return b, ErrVoiceFormat
	}
	start := len(b)
	first := byte(voiceVersion<<4) | byte(v.NumCopies)
	if len(v.Channels) > 0 {
		if list, err := cutChannels(v.Channels); err != nil || len(list) != len(v.Channels) {
			return b, ErrVoiceFormat
		}
		first += (withChannels - voiceVersion) << 4
	}
	if v.End {
		first |= flagEnd
	}
	if v.Twins > 0 {
		first |= flagTwins
	}
	b = append(b, first)
	b = binary.BigEndian.AppendUint16(b, v.Sequence)
	b = append(b, byte(v.Timestamp>>16), byte(v.Timestamp>>8), byte(v.Timestamp), v.Spurt)
	b = append(b, v.Channels...)
	for _, c := range v.Copies[:v.NumCopies] {
		if c.Offset < 1 || c.Offset > MaxOffset || len(c.Payload) == 0 {
			return b[:start], ErrVoiceFormat
		}
		b = append(b, byte(c.Offset))
		b = binary.AppendUvarint(b, uint64(len(c.Payload)))
		b = append(b, c.Payload...)
	}
	return append(b, v.Payload...), nil
}

// Parse reads a voice packet. Payloads of v alias b. A failed Parse leaves v
// undefined.
func (v *Voice) Parse(b []byte) error {
	if len(b) < voiceHeader {
		return ErrVoiceFormat
	}
	version := b[0] >> 4
	if version != voiceVersion && version != withChannels {
		return ErrVoiceVersion
	}
	*v = Voice{
		Sequence:  binary.BigEndian.Uint16(b[1:]),
		Timestamp: uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5]),
		Spurt:     b[6],
		End:       b[0]&flagEnd != 0,
		NumCopies: int(b[0] & copiesMask),
	}
	rest := b[voiceHeader:]
	if version == withChannels {
		list, err := cutChannels(rest)
		if err != nil {
			return err
		}
		v.Channels, rest = list, rest[len(list):]
	}
	rest, err := v.parseCopies(rest)
	if err != nil {
		return err
	}
	if b[0]&flagTwins != 0 {
		v.Twins = max(1, v.Copies[0].Offset)
	}
	if !v.twinsFollow() || len(rest) == 0 && !v.End {
		return ErrVoiceFormat
	}
	v.Payload = rest[:len(rest):len(rest)]
	return nil
}

// twinsFollow tells whether twins are where they belong.
func (v *Voice) twinsFollow() bool {
	if v.Twins < 0 || v.Twins > v.NumCopies {
		return false
	}
	for i, c := range v.Copies[:v.Twins] {
		if c.Offset != v.Twins-i {
			return false
		}
	}
	return true
}

// parseCopies reads the copies and returns what follows them.
func (v *Voice) parseCopies(rest []byte) ([]byte, error) {
	for i := range v.NumCopies {
		if len(rest) < 2 {
			return nil, ErrVoiceFormat
		}
		offset := int(rest[0])
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || n > maxCopyHeader || size == 0 || size > uint64(len(rest)-1-n) || offset < 1 || offset > MaxOffset || n != uvarintLen(size) {
			return nil, ErrVoiceFormat
		}
		end := 1 + n + int(size)
		v.Copies[i] = Copy{Offset: offset, Payload: rest[1+n : end : end]}
		rest = rest[end:]
	}
	return rest, nil
}

// Unwrap returns the number closest to last whose low bits are truncated. Of
// two equally close it returns the larger.
func Unwrap(last int64, truncated uint32, bits int) int64 {
	span := int64(1) << bits
	ahead := (int64(truncated) - last) & (span - 1)
	if ahead > span/2 {
		ahead -= span
	}
	return last + ahead
}

func uvarintLen(n uint64) int {
	size := 1
	for n >= 0x80 {
		n >>= 7
		size++
	}
	return size
}
