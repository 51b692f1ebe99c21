package audio

import (
	"encoding/binary"
	"fmt"
	"math"
)

// WAVFormat says how a WAV file holds its samples.
type WAVFormat struct {
	Rate     int  // samples per second and channel
	Channels int  // interleaved
	Bits     int  // bits that a sample uses
	Float    bool // IEEE 754 instead of integers

	container int // bytes that a sample takes
}

const (
	tagPCM        = 1
	tagFloat      = 3
	tagExtensible = 0xFFFE

	maxWAVChannels = 256
	wavFmtBytes    = 40 // as much of a fmt chunk as is looked at
)

// subFormatTail is what follows the format tag in the GUID of
// WAVE_FORMAT_EXTENSIBLE (Microsoft, ksmedia.h: KSDATAFORMAT_SUBTYPE_PCM and
// KSDATAFORMAT_SUBTYPE_IEEE_FLOAT).
const subFormatTail = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

// parseWAVFormat reads the content of a fmt chunk.
func parseWAVFormat(b []byte) (WAVFormat, error) {
	if len(b) < 16 {
		return WAVFormat{}, fmt.Errorf("%w: fmt chunk of %d bytes", ErrFormat, len(b))
	}
	le := binary.LittleEndian
	tag := le.Uint16(b)
	channels, align := int(le.Uint16(b[2:])), int(le.Uint16(b[12:]))
	rate := le.Uint32(b[4:])
	f := WAVFormat{Rate: int(min(rate, math.MaxInt32)), Channels: channels, Bits: int(le.Uint16(b[14:]))}
	f.container = container(f.Bits, channels, align)
	if tag == tagExtensible {
		if len(b) < 40 || string(b[26:40]) != subFormatTail {
			return WAVFormat{}, fmt.Errorf("%w: unknown WAVE_FORMAT_EXTENSIBLE", ErrFormat)
		}
		tag = le.Uint16(b[24:])
		if valid := int(le.Uint16(b[18:])); valid > 0 && valid < f.Bits && tag == tagPCM {
			f.Bits = valid
		}
	}
	if channels < 1 || channels > maxWAVChannels {
		return WAVFormat{}, fmt.Errorf("%w: %d channels", ErrFormat, channels)
	}
	if f.Rate < MinRate || f.Rate > MaxRate {
		return WAVFormat{}, fmt.Errorf("%w: rate of %d Hz, want %d to %d", ErrFormat, rate, MinRate, MaxRate)
	}
	f.Float = tag == tagFloat
	if !f.supported(tag) {
		return WAVFormat{}, fmt.Errorf("%w: format tag %#x with %d bits in %d bytes", ErrFormat, tag, f.Bits, f.container)
	}
	return f, nil
}

// container is how many bytes a sample takes: as many as its bits need, whatever
// the size of a frame is said to be, which is often wrong in a file; but three
// bytes may lie in four.
func container(bits, channels, align int) int {
	if align == 4*channels && bits >= 24 && bits <= 32 {
		return 4
	}
	return (bits + 7) / 8
}

// supported tells whether decode knows the coding of the samples.
func (f WAVFormat) supported(tag uint16) bool {
	switch tag {
	case tagPCM:
		return f.container <= 4 && f.Bits >= 1 && f.Bits <= 8*f.container
	case tagFloat:
		return (f.container == 4 || f.container == 8) && f.Bits == 8*f.container
	}
	return false
}

// frameBytes is the size of one sample of all channels.
func (f WAVFormat) frameBytes() int { return f.container * f.Channels }

// decode turns whole frames into mono, the mean of the channels, with broken
// samples repaired. dst must have room for them.
func (f WAVFormat) decode(dst []float32, frames []byte) int {
	size := f.frameBytes()
	n := len(frames) / size
	for i := range n {
		frame := frames[i*size : (i+1)*size]
		var sum float32
		for at := 0; at < size; at += f.container {
			sum += f.sample(frame[at : at+f.container])
		}
		dst[i] = sum / float32(f.Channels)
	}
	return n
}

// sample decodes one sample. Integers are left-justified in their container and
// scaled so that the most negative is -1; one byte is unsigned.
func (f WAVFormat) sample(b []byte) float32 {
	le := binary.LittleEndian
	switch {
	case f.Float && f.container == 4:
		return repaired(math.Float32frombits(le.Uint32(b)))
	case f.Float:
		return repaired(float32(math.Float64frombits(le.Uint64(b))))
	case f.container == 1:
		return float32(int(b[0])-128) / (1 << 7)
	case f.container == 2:
		return float32(int16(le.Uint16(b))) / (1 << 15)
	case f.container == 3:
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	default:
		return float32(int32(le.Uint32(b))) / (1 << 31)
	}
}
