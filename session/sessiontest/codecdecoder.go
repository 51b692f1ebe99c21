package sessiontest

import (
	"fmt"
	"sync"

	"github.com/parley-voice/parley/codec"
)

// FrameKind says where the samples of a frame came from.
type FrameKind uint8

// The kinds of frame.
const (
	Decoded   FrameKind = iota // the frame's own packet
	Recovered                  // the in-band FEC of the packet after it
	Concealed                  // a guess
)

// String returns decoded, recovered or concealed.
func (k FrameKind) String() string {
	switch k {
	case Recovered:
		return "recovered"
	case Concealed:
		return "concealed"
	case Decoded:
	}
	return "decoded"
}

// Frame is something that a decoder did.
type Frame struct {
	Kind    FrameKind
	Number  uint16 // of the frame at its encoder, which counts from 0 and counts silence; 0 if Concealed
	Samples int
}

// Decoder is the decoder of [Codec].
type Decoder struct {
	record bool
	last   [480]float32 // the last 10 ms
	at     int          // where in last concealment goes on
	gain   float32      // of what is concealed next

	mu     sync.Mutex
	frames []Frame
}

var _ codec.Decoder = (*Decoder)(nil)

// concealGain is the gain of each 10 ms that are concealed over the 10 ms before:
// -3 dB, so that 60 ms end 18 dB down.
const concealGain = 0.7

// Decode implements codec.Decoder.
func (d *Decoder) Decode(dst []float32, packet []byte) (int, error) {
	p, err := parsePacket(packet)
	if err != nil {
		return 0, err
	}
	if len(dst) < codec.MaxPacketSamples {
		return 0, fmt.Errorf("%w: room for %d samples, want %d", codec.ErrFrame, len(dst), codec.MaxPacketSamples)
	}
	grow(dst[:p.samples], p.body)
	d.keep(dst[:p.samples])
	d.note(Frame{Decoded, p.number, p.samples})
	return p.samples, nil
}

// Recover implements codec.Decoder. What the FEC doesn't cover is concealed:
// all of dst if next carries none or dst is shorter than its frame; the older
// part if dst is longer.
func (d *Decoder) Recover(dst []float32, next []byte) error {
	if err := checkLost(dst); err != nil {
		return err
	}
	p, err := parsePacket(next)
	if err != nil {
		return err
	}
	if p.fec == nil || len(dst) < p.samples {
		return d.Conceal(dst)
	}
	if older := len(dst) - p.samples; older > 0 {
		if err := d.Conceal(dst[:older]); err != nil {
			return err
		}
		dst = dst[older:]
	}
	grow(dst, p.fec)
	d.keep(dst)
	d.note(Frame{Recovered, p.number - 1, len(dst)})
	return nil
}

// Conceal implements codec.Decoder.
func (d *Decoder) Conceal(dst []float32) error {
	if err := checkLost(dst); err != nil {
		return err
	}
	for i := range dst {
		if d.at == 0 {
			d.gain *= concealGain
		}
		dst[i] = d.last[d.at] * d.gain
		d.at = (d.at + 1) % len(d.last)
	}
	d.note(Frame{Kind: Concealed, Samples: len(dst)})
	return nil
}

func checkLost(dst []float32) error {
	if len(dst) == 0 || len(dst) > codec.MaxPacketSamples || len(dst)%120 != 0 {
		return fmt.Errorf("%w: %d samples lost, want a multiple of 120 up to %d", codec.ErrFrame, len(dst), codec.MaxPacketSamples)
	}
	return nil
}

// keep remembers the end of what is heard.
func (d *Decoder) keep(pcm []float32) {
	copy(d.last[:], pcm[len(pcm)-len(d.last):])
	d.at, d.gain = 0, 1
}

func (d *Decoder) note(f Frame) {
	if !d.record {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frames = append(d.frames, f)
}

// Frames returns what the decoder did so far, if Codec.Record was set when it
// was made. Unlike the other methods it is safe for concurrent use.
func (d *Decoder) Frames() []Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Frame(nil), d.frames...)
}
