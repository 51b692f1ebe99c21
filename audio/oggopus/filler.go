package oggopus

import "github.com/parley-voice/parley/codec"

// Grain is the shortest duration of an Opus packet in samples, 2.5 ms: RFC 6716
// section 2.1.4. All durations are multiples of it.
const Grain = 120

// Frames of silence, longest first. Configurations 28 to 31 of RFC 6716 section
// 3.1 are full band CELT of 2.5 to 20 ms; its frame begins with the flag for
// silence (section 4.3), which two bytes hold.
var silences = [...]struct {
	samples int64
	toc     byte
}{{960, 31 << 3}, {480, 30 << 3}, {240, 29 << 3}, {120, 28 << 3}}

const (
	silentFrame   = "\xff\xfe"
	severalFrames = 3 // the code in a TOC for a counted number of frames: RFC 6716 section 3.2.5
	mostFrames    = 6 // of 20 ms in a packet: 120 ms
	mostSamples   = 960 * mostFrames
)

// appendSilence appends to b a packet of silence that lasts at most samples, and
// returns how long it lasts.
func appendSilence(b []byte, samples int64) ([]byte, int64) {
	for _, s := range silences {
		n := min(samples/s.samples, mostFrames)
		switch n {
		case 0:
			continue
		case 1:
			b = append(b, s.toc)
		default:
			b = append(b, s.toc|severalFrames, byte(n))
		}
		for range n {
			b = append(b, silentFrame...)
		}
		return b, n * s.samples
	}
	return b, 0
}

// appendLoss appends a packet without any content, which a decoder takes for one
// that was lost (RFC 7845 section 4.1): a frame, or several, of no bytes, as long
// as those of the packet before. It lasts at most samples; 0 says that there is
// no such packet.
func appendLoss(b []byte, toc byte, samples int64) ([]byte, int64) {
	toc &^= severalFrames
	info, err := codec.Parse([]byte{toc})
	if err != nil {
		return b, 0
	}
	frame := int64(info.FrameSamples)
	n := min(samples, mostSamples) / frame
	switch n {
	case 0:
		return b, 0
	case 1:
		return append(b, toc), frame
	}
	return append(b, toc|severalFrames, byte(n)), n * frame
}
