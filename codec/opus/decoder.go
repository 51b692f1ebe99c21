package opus

import (
	"errors"
	"fmt"
	"slices"

	libopus "github.com/hraban/opus"

	"github.com/parley-voice/parley/codec"
)

// quantum is 2.5 ms in samples, the shortest stretch that Opus codes.
const quantum = 120

// peak is the largest sample that a decoder gives. Speech at full scale comes
// out at most a little above 1; a hostile packet can ask for 100,000.
const peak = 1.5

type decoder struct {
	opus *libopus.Decoder
}

// NewDecoder makes a decoder. A DecoderComplexity out of range is an error that
// wraps codec.ErrConfig.
func (c Codec) NewDecoder() (codec.Decoder, error) {
	if c.DecoderComplexity < 0 || c.DecoderComplexity > codec.MaxComplexity {
		return nil, fmt.Errorf("%w: decoder complexity %d, want 0 to %d", codec.ErrConfig, c.DecoderComplexity, codec.MaxComplexity)
	}
	o, err := libopus.NewDecoder(codec.SampleRate, 1)
	if err != nil {
		return nil, fmt.Errorf("opus: new decoder: %w", err)
	}
	if c.DecoderComplexity > 0 {
		// Before 1.5 libopus doesn't know the setting.
		if err := o.SetComplexity(c.DecoderComplexity); err != nil && !errors.Is(err, libopus.ErrUnimplemented) {
			return nil, fmt.Errorf("opus: set up decoder: %w", err)
		}
	}
	return &decoder{opus: o}, nil
}

// Decode decodes a packet that Inspect accepts; stereo is mixed down. The
// samples are within ±1.5 whatever the packet holds. It allocates nothing
// unless it fails.
func (d *decoder) Decode(dst []float32, packet []byte) (int, error) {
	if len(dst) < codec.MaxPacketSamples {
		return 0, fmt.Errorf("%w: room for %d samples, want %d", codec.ErrFrame, len(dst), codec.MaxPacketSamples)
	}
	content, err := inspect(packet)
	if err != nil {
		return 0, err
	}
	// The binding writes up to cap, not len: here and below cap is len.
	n, err := d.opus.DecodeFloat32(packet, dst[:content.Samples:content.Samples])
	if err != nil {
		return 0, fmt.Errorf("%w: %s", codec.ErrPacket, err.Error())
	}
	if n != content.Samples {
		return 0, fmt.Errorf("%w: %d samples, its header says %d", codec.ErrPacket, n, content.Samples)
	}
	limit(dst[:n])
	return n, nil
}

// Recover fills dst, whose length is a multiple of 2.5 ms up to 60 ms, from
// the in-band FEC of the packet after it. What the FEC doesn't cover is
// concealed: all of dst if next carries none, or if dst is shorter than its
// frames; the older part if dst is longer.
func (d *decoder) Recover(dst []float32, next []byte) error {
	if err := checkLost(dst); err != nil {
		return err
	}
	if _, err := inspect(next); err != nil {
		return err
	}
	if err := d.opus.DecodeFECFloat32(next, slices.Clip(dst)); err != nil {
		return fmt.Errorf("%w: %s", codec.ErrPacket, err.Error())
	}
	limit(dst)
	return nil
}

// Conceal fills dst with a continuation of what was decoded last, which fades
// out when called again and again.
func (d *decoder) Conceal(dst []float32) error {
	if err := checkLost(dst); err != nil {
		return err
	}
	if err := d.opus.DecodePLCFloat32(slices.Clip(dst)); err != nil {
		return fmt.Errorf("opus: conceal: %w", err)
	}
	limit(dst)
	return nil
}

func checkLost(dst []float32) error {
	if len(dst) == 0 || len(dst) > codec.MaxPacketSamples || len(dst)%quantum != 0 {
		return fmt.Errorf("%w: %d samples, want a multiple of %d up to %d", codec.ErrFrame, len(dst), quantum, codec.MaxPacketSamples)
	}
	return nil
}

// limit makes samples harmless: within ±peak, and zero if they are no numbers.
func limit(pcm []float32) {
	for i, s := range pcm {
		switch {
		case s >= -peak && s <= peak:
		case s > peak:
			pcm[i] = peak
		case s < -peak:
			pcm[i] = -peak
		default:
			pcm[i] = 0
		}
	}
}
