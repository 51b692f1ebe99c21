package sessiontest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/parley-voice/parley/codec"
)

// A packet of Codec: an Opus TOC byte (SILK, narrowband, mono, one frame), the
// flags with which a SILK frame begins (RFC 6716 section 4.2.3: one VAD flag per
// 20 ms, then the LBRR flag), how many samples were averaged into one, the
// frame's number, the samples, and, if the LBRR flag is set, the samples of the
// frame before, coarser.
const (
	packetHeader = 5
	fecFactor    = 24
)

// factors are the numbers of samples that may be averaged into one. Each
// divides 10 ms.
var factors = [...]int{4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32, 40, 48, 60, 80, 96}

var (
	errShort  = fmt.Errorf("%w: shorter than the header", codec.ErrPacket)
	errHeader = fmt.Errorf("%w: not a packet of the test codec", codec.ErrPacket)
	errLength = fmt.Errorf("%w: length doesn't match the header", codec.ErrPacket)
)

// durations by the last two bits of a SILK configuration, RFC 6716 table 2.
var durations = [...]int{480, 960, 1920, 2880}

type parsed struct {
	samples, factor int
	number          uint16
	body, fec       []byte // fec is nil without FEC
}

func parsePacket(b []byte) (parsed, error) {
	if len(b) < packetHeader {
		return parsed{}, errShort
	}
	if b[0]&^0x18 != 0 {
		return parsed{}, errHeader
	}
	config := int(b[0] >> 3)
	p := parsed{samples: durations[config], factor: int(b[2]), number: binary.BigEndian.Uint16(b[3:])}
	vad, lbrr := silkFlags(p.samples)
	if b[1]&^lbrr != vad || p.factor < factors[0] || p.factor > factors[len(factors)-1] || p.samples%p.factor != 0 {
		return parsed{}, errHeader
	}
	body := p.samples / p.factor
	want := packetHeader + body
	if b[1]&lbrr != 0 {
		want += p.samples / fecFactor
	}
	if len(b) != want {
		return parsed{}, errLength
	}
	p.body = b[packetHeader : packetHeader+body]
	if b[1]&lbrr != 0 {
		p.fec = b[packetHeader+body:]
	}
	return p, nil
}

// silkFlags returns the bits of a SILK header: all VAD flags, and LBRR.
func silkFlags(samples int) (vad, lbrr byte) {
	frames := max(1, samples/960)
	return ^byte(0xFF >> frames), 0x80 >> frames
}

// writePacket codes pcm into at most as many bytes as the bitrate allows, and
// returns how many. fec is the frame before, or nil.
func writePacket(dst []byte, pcm, fec []float32, number uint16, bitrate int) int {
	extra := packetHeader
	if fec != nil {
		extra += len(fec) / fecFactor
	}
	room := min(bitrate*len(pcm)/codec.SampleRate/8, codec.MaxPacketBytes)
	factor := factors[len(factors)-1]
	for _, f := range factors {
		if extra+len(pcm)/f <= room {
			factor = f
			break
		}
	}
	var config byte
	for durations[config] != len(pcm) {
		config++
	}
	vad, lbrr := silkFlags(len(pcm))
	dst[0], dst[1], dst[2] = config<<3, vad, byte(factor)
	binary.BigEndian.PutUint16(dst[3:], number)
	size := packetHeader + shrink(dst[packetHeader:], pcm, factor)
	if fec != nil {
		dst[1] |= lbrr
		size += shrink(dst[size:], fec, fecFactor)
	}
	return size
}

// shrink averages every factor samples and codes the mean.
func shrink(dst []byte, pcm []float32, factor int) int {
	n := len(pcm) / factor
	for i := range n {
		sum := float32(0)
		for _, s := range pcm[i*factor : (i+1)*factor] {
			sum += s
		}
		dst[i] = muLaw(sum / float32(factor))
	}
	return n
}

// grow is the reverse: straight lines between the middles of what was averaged.
func grow(dst []float32, body []byte) {
	factor := len(dst) / len(body)
	half := float32(factor-1) / 2
	for i := range dst {
		at := (float32(i) - half) / float32(factor)
		k := int(math.Floor(float64(at)))
		a, b := min(max(k, 0), len(body)-1), min(max(k+1, 0), len(body)-1)
		left, right := linear(body[a]), linear(body[b])
		dst[i] = left + (right-left)*(at-float32(k))
	}
}

// muLaw codes a sample in -1..1: sign and 7 bits of ln(1 + 255|x|) / ln 256, the
// continuous law that G.711's segments follow. What isn't a number is 0.
func muLaw(x float32) byte {
	v := float64(x)
	if math.IsNaN(v) {
		v = 0
	}
	code := byte(math.Round(127 * math.Log1p(255*math.Min(math.Abs(v), 1)) / math.Log(256)))
	if v < 0 {
		code |= 0x80
	}
	return code
}

// linear is the reverse of muLaw.
func linear(code byte) float32 { return expanded[code] }

var expanded = func() (table [256]float32) {
	for i := range table {
		x := float32((math.Pow(256, float64(i&0x7F)/127) - 1) / 255)
		if i >= 0x80 {
			x = -x
		}
		table[i] = x
	}
	return table
}()
