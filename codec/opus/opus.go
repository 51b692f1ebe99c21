// Package opus implements the codec contract with libopus (RFC 6716). It needs
// cgo and libopus 1.3 or newer.
//
// Whatever comes from the network is checked in Go before C sees it: the rules
// of RFC 6716 section 3.4, the packet's size and its duration.
package opus

import (
	"fmt"
	"time"

	libopus "github.com/hraban/opus"

	"github.com/parley-voice/parley/codec"
)

// Codec makes Opus encoders and decoders. The zero value is the default. It is
// safe for concurrent use; what it makes is not.
type Codec struct {
	// DecoderComplexity, 0 to 10, is how much a decoder may spend to sound
	// better: with libopus 1.5 or newer, built for it, 5 and more conceal
	// losses by a neural network (deep PLC), 6 and more also enhance speech
	// at low bitrates. Other builds of libopus ignore it. The default 0 is
	// libopus's own.
	DecoderComplexity int
}

var _ codec.Codec = Codec{}

// Delays of encoder and decoder together, in samples: measured by
// cross-correlation (see TestDelay), and the same for all frame durations.
const (
	delayVoIP     = 307
	delayLowDelay = 120
)

var (
	errTooLarge = fmt.Errorf("%w: more than %d bytes", codec.ErrPacket, codec.MaxPacketBytes)
	errTooLong  = fmt.Errorf("%w: more than 60 ms", codec.ErrPacket)
)

// Name is "opus".
func (Codec) Name() string { return "opus" }

// Delay is 6.4 ms, or 2.5 ms if c asks for low delay.
func (Codec) Delay(c codec.Config) time.Duration {
	if c.LowDelay {
		return delayLowDelay * time.Second / codec.SampleRate
	}
	return delayVoIP * time.Second / codec.SampleRate
}

// Inspect says how long a packet is and whether it carries in-band FEC. What
// it accepts has passed all checks that can be made without decoding. It
// allocates nothing.
func (Codec) Inspect(packet []byte) (codec.Content, error) {
	return inspect(packet)
}

func inspect(packet []byte) (codec.Content, error) {
	if len(packet) > codec.MaxPacketBytes {
		return codec.Content{}, errTooLarge
	}
	info, err := codec.Parse(packet)
	if err != nil {
		return codec.Content{}, err
	}
	if info.Samples > codec.MaxPacketSamples {
		return codec.Content{}, errTooLong
	}
	return codec.Content{Samples: info.Samples, FEC: info.FEC}, nil
}

// Version is that of the linked libopus, e.g. "libopus 1.3.1".
func Version() string { return libopus.Version() }
