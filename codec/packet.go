package codec

import "fmt"

// Mode is which of the two coders inside Opus made a packet.
type Mode uint8

// The modes of RFC 6716 section 3.1.
const (
	ModeSILK   Mode = iota + 1 // linear prediction: speech up to 8 kHz
	ModeHybrid                 // SILK below 8 kHz and CELT above
	ModeCELT                   // transform coding: music, and all low delay speech
)

// String is "SILK", "hybrid" or "CELT".
func (m Mode) String() string {
	switch m {
	case ModeSILK:
		return "SILK"
	case ModeHybrid:
		return "hybrid"
	case ModeCELT:
		return "CELT"
	}
	return "none"
}

// Bandwidth is how much of the spectrum a packet codes.
type Bandwidth uint8

// The bandwidths of RFC 6716 section 2.
const (
	Narrowband    Bandwidth = iota + 1 // 4 kHz
	Mediumband                         // 6 kHz
	Wideband                           // 8 kHz
	SuperWideband                      // 12 kHz
	Fullband                           // 20 kHz
)

// String is the abbreviation of RFC 6716: "NB", "MB", "WB", "SWB" or "FB".
func (b Bandwidth) String() string {
	switch b {
	case Narrowband:
		return "NB"
	case Mediumband:
		return "MB"
	case Wideband:
		return "WB"
	case SuperWideband:
		return "SWB"
	case Fullband:
		return "FB"
	}
	return "none"
}

// Info is what the headers of an Opus packet say.
type Info struct {
	Samples      int       // duration in samples at 48 kHz, 120 to 5760
	Frames       int       // Opus frames in the packet, 1 to 48
	FrameSamples int       // duration of each of them in samples at 48 kHz
	Mode         Mode      //
	Bandwidth    Bandwidth //
	Stereo       bool      // two channels; a mono decoder mixes them down
	CodedBytes   int       // bytes of the frames themselves, without headers and padding; 0 if there was nothing to code
	FEC          bool      // the first frame holds a coarse copy of what came before the packet (LBRR)
}

// The broken rules of RFC 6716 section 3.4, made once so that a flood of
// malformed packets costs no memory.
var (
	errEmpty        = fmt.Errorf("%w: no TOC byte (RFC 6716 R1)", ErrPacket)
	errFrameTooLong = fmt.Errorf("%w: frame of more than 1275 bytes (RFC 6716 R2)", ErrPacket)
	errOddHalves    = fmt.Errorf("%w: two equal frames in an odd number of bytes (RFC 6716 R3)", ErrPacket)
	errFirstLength  = fmt.Errorf("%w: length of the first frame is cut or too long (RFC 6716 R4)", ErrPacket)
	errFrameCount   = fmt.Errorf("%w: no frames, or more than 120 ms of them (RFC 6716 R5)", ErrPacket)
	errEqualShares  = fmt.Errorf("%w: padding or equal frames don't fit (RFC 6716 R6)", ErrPacket)
	errLengths      = fmt.Errorf("%w: padding or frame lengths don't fit (RFC 6716 R7)", ErrPacket)
)

const (
	maxFrameBytes      = 1275 // RFC 6716 section 3.2.1
	maxDurationSamples = 5760 // 120 ms, RFC 6716 section 3.4 R5
)

// Parse reads the headers of an Opus packet: the TOC byte and the frame
// lengths. It checks the rules R1 to R7 of RFC 6716 section 3.4; a packet that
// breaks one is an error that wraps ErrPacket. It accepts all that the RFC
// does, so the limits of this package (MaxPacketBytes, MaxPacketSamples) are
// for the caller to check. It neither allocates nor keeps the packet.
func Parse(packet []byte) (Info, error) {
	if len(packet) == 0 {
		return Info{}, errEmpty
	}
	toc, rest := packet[0], packet[1:]
	info := parseTOC(toc)
	// What remains of rest are the frames, first the length of the first one.
	var first int
	var err error
	switch toc & 3 {
	case 0:
		info.Frames, first = 1, len(rest)
	case 1:
		if len(rest)%2 != 0 {
			return Info{}, errOddHalves
		}
		info.Frames, first = 2, len(rest)/2
	case 2:
		info.Frames = 2
		first, rest, err = twoFrames(rest)
	case 3:
		info.Frames, first, rest, err = manyFrames(rest, info.FrameSamples)
	}
	if err != nil {
		return Info{}, err
	}
	if first > maxFrameBytes {
		return Info{}, errFrameTooLong
	}
	info.Samples = info.Frames * info.FrameSamples
	info.CodedBytes = len(rest)
	info.FEC = info.hasLBRR(rest[:first])
	return info, nil
}

// HasFEC reports whether the packet carries a coarse copy of the frame before
// it (in-band FEC, LBRR in RFC 6716). A malformed packet carries none.
func HasFEC(packet []byte) bool {
	info, err := Parse(packet)
	return err == nil && info.FEC
}

// parseTOC reads mode, bandwidth, frame size and channels: RFC 6716 section
// 3.1, table 2.
func parseTOC(toc byte) Info {
	config := toc >> 3
	info := Info{Stereo: toc&4 != 0}
	switch {
	case config < 12:
		info.Mode = ModeSILK
		info.Bandwidth = Narrowband + Bandwidth(config/4)
		info.FrameSamples = [4]int{480, 960, 1920, 2880}[config%4]
	case config < 16:
		info.Mode = ModeHybrid
		info.Bandwidth = SuperWideband + Bandwidth((config-12)/2)
		info.FrameSamples = [2]int{480, 960}[config%2]
	default:
		info.Mode = ModeCELT
		info.Bandwidth = [4]Bandwidth{Narrowband, Wideband, SuperWideband, Fullband}[(config-16)/4]
		info.FrameSamples = [4]int{120, 240, 480, 960}[config%4]
	}
	return info
}

// hasLBRR looks for the low bit-rate redundancy flags of the SILK layer. They
// follow one voice activity flag per 20 ms, for each channel, and being the
// first symbols of the range coder, each of probability 1/2, they are plainly
// the top bits of the frame: RFC 6716 sections 4.2.3 and 4.2.4. A frame of one
// byte or none is not coded at all (DTX).
func (i Info) hasLBRR(frame []byte) bool {
	if i.Mode == ModeCELT || len(frame) < 2 {
		return false
	}
	activity := max(1, i.FrameSamples/960)
	flags := byte(0x80) >> activity
	if i.Stereo {
		flags |= flags >> (activity + 1)
	}
	return frame[0]&flags != 0
}

// twoFrames reads the length of the first of two frames, which follow: RFC 6716
// section 3.2.4.
func twoFrames(b []byte) (first int, frames []byte, err error) {
	first, n := frameLength(b)
	if n == 0 || first > len(b)-n {
		return 0, nil, errFirstLength
	}
	if len(b)-n-first > maxFrameBytes {
		return 0, nil, errFrameTooLong
	}
	return first, b[n:], nil
}

// manyFrames reads the frame count and all that stands between it and the
// frames, and takes the padding away: RFC 6716 section 3.2.5.
func manyFrames(b []byte, frameSamples int) (count, first int, frames []byte, err error) {
	if len(b) == 0 {
		return 0, 0, nil, errFrameCount
	}
	head, b := b[0], b[1:]
	vbr, padded, count := head&0x80 != 0, head&0x40 != 0, int(head&0x3f)
	if count == 0 || count*frameSamples > maxDurationSamples {
		return 0, 0, nil, errFrameCount
	}
	broken := errEqualShares
	if vbr {
		broken = errLengths
	}
	if padded {
		var ok bool
		if b, ok = cutPadding(b); !ok {
			return 0, 0, nil, broken
		}
	}
	if vbr {
		first, b, err = variousFrames(b, count)
		return count, first, b, err
	}
	if len(b)%count != 0 {
		return 0, 0, nil, broken
	}
	return count, len(b) / count, b, nil
}

// variousFrames reads the lengths of all frames but the last, which stand
// together ahead of the frames.
func variousFrames(b []byte, count int) (first int, frames []byte, err error) {
	sum := 0
	for i := range count - 1 {
		length, n := frameLength(b)
		if n == 0 {
			return 0, nil, errLengths
		}
		if i == 0 {
			first = length
		}
		sum += length
		b = b[n:]
	}
	last := len(b) - sum
	if last < 0 {
		return 0, nil, errLengths
	}
	if last > maxFrameBytes {
		return 0, nil, errFrameTooLong
	}
	if count == 1 {
		first = last
	}
	return first, b, nil
}

// cutPadding takes the padding's length from the front of b and the padding
// from its end. A byte of 255 stands for 254 and goes on.
func cutPadding(b []byte) ([]byte, bool) {
	padding := 0
	for {
		if len(b) == 0 {
			return nil, false
		}
		n := int(b[0])
		b = b[1:]
		if n < 255 {
			padding += n
			break
		}
		padding += 254
	}
	if padding > len(b) {
		return nil, false
	}
	return b[:len(b)-padding], true
}

// frameLength reads a length of one or two bytes: RFC 6716 section 3.2.1. It
// returns how many bytes it took, none if b is cut.
func frameLength(b []byte) (length, n int) {
	switch {
	case len(b) == 0:
		return 0, 0
	case b[0] < 252:
		return int(b[0]), 1
	case len(b) == 1:
		return 0, 0
	}
	return int(b[0]) + 4*int(b[1]), 2
}
