package opus

import (
	"fmt"
	"math"

	libopus "github.com/hraban/opus"

	"github.com/parley-voice/parley/codec"
)

type encoder struct {
	opus  *libopus.Encoder
	frame []float32 // of the length that Encode takes: the frame, made harmless
	dtx   bool
	pause pause
}

// NewEncoder makes an encoder. A setting out of range is an error that wraps
// codec.ErrConfig. With LowDelay the encoder is libopus's restricted low-delay
// mode: it has no in-band FEC, and SetExpectedLoss only makes it predict less
// from frame to frame.
func (Codec) NewEncoder(c codec.Config) (codec.Encoder, error) {
	c, err := c.Resolve()
	if err != nil {
		return nil, err
	}
	application := libopus.AppVoIP
	if c.LowDelay {
		application = libopus.AppRestrictedLowdelay
	}
	o, err := libopus.NewEncoder(codec.SampleRate, 1, application)
	if err != nil {
		return nil, fmt.Errorf("opus: new encoder: %w", err)
	}
	for _, set := range []func() error{
		func() error { return o.SetBitrate(c.Bitrate) },
		func() error { return o.SetVBR(!c.Constant) },
		func() error { return o.SetComplexity(c.Complexity) },
		func() error { return o.SetDTX(!c.NoDTX) },
	} {
		if err := set(); err != nil {
			return nil, fmt.Errorf("opus: set up encoder: %w", err)
		}
	}
	samples := int(c.FrameDuration.Milliseconds()) * codec.SampleRate / 1000
	return &encoder{opus: o, frame: make([]float32, samples), dtx: !c.NoDTX, pause: newPause()}, nil
}

// FrameSamples is the length of the frames that Encode takes.
func (e *encoder) FrameSamples() int { return len(e.frame) }

// Encode codes one frame. Samples that are no numbers count as silence. In a
// pause, 200 to 500 ms after speech, or after 1.5 s of nothing but steady noise,
// the packet is empty until there is speech again: the comfort noise that
// libopus would send every 400 ms is left out too. Digital silence before the
// first word is a pause. It allocates nothing, but for a few bytes when speech
// begins and every 400 ms in a pause.
func (e *encoder) Encode(dst []byte, pcm []float32) ([]byte, error) {
	if len(pcm) != len(e.frame) {
		return nil, fmt.Errorf("%w: %d samples, want %d", codec.ErrFrame, len(pcm), len(e.frame))
	}
	if len(dst) < codec.MaxPacketBytes {
		return nil, fmt.Errorf("%w: room for a packet of %d bytes, want %d", codec.ErrFrame, len(dst), codec.MaxPacketBytes)
	}
	copy(e.frame, pcm)
	limit(e.frame)
	// The binding writes up to cap, not len.
	dst = dst[:codec.MaxPacketBytes:codec.MaxPacketBytes]
	n, err := e.encode(dst)
	if err != nil {
		return nil, fmt.Errorf("opus: encode: %w", err)
	}
	return dst[:n], nil
}

// encode codes e.frame and returns the size of the packet: 0 in a pause.
func (e *encoder) encode(dst []byte) (int, error) {
	if !e.dtx {
		return e.opus.EncodeFloat32(e.frame, dst)
	}
	if e.pause.hear(e.frame) {
		e.pause.settle(false)
		return e.encodeOnset(dst)
	}
	n, err := e.opus.EncodeFloat32(e.frame, dst)
	if err != nil {
		return 0, err
	}
	silence := e.pause.silent() || empty(dst[:n])
	if !silence && e.pause.open {
		// Speech, or comfort noise? That occurs only here.
		if silence, err = e.opus.InDTX(); err != nil {
			return 0, err
		}
	}
	e.pause.settle(silence)
	if silence {
		return 0, nil
	}
	return n, nil
}

// empty reports whether libopus means by a packet that there is nothing to
// send: at most two bytes (opus_encode in opus.h), or, at constant bitrate and
// more than 20 ms, frames of no bytes and padding.
func empty(packet []byte) bool {
	if len(packet) <= 2 {
		return true
	}
	info, err := codec.Parse(packet)
	return err == nil && info.CodedBytes == 0
}

// encodeOnset codes e.frame even if libopus takes it for noise. Without DTX
// libopus forgets that it was in a pause, so it waits anew for the next one.
func (e *encoder) encodeOnset(dst []byte) (int, error) {
	if err := e.opus.SetDTX(false); err != nil {
		return 0, err
	}
	n, err := e.opus.EncodeFloat32(e.frame, dst)
	if err != nil {
		return 0, err
	}
	return n, e.opus.SetDTX(true)
}

// SetBitrate changes the bitrate from the next frame on. Out of range it
// changes nothing and returns an error that wraps codec.ErrConfig.
func (e *encoder) SetBitrate(bps int) error {
	if err := codec.CheckBitrate(bps); err != nil {
		return err
	}
	if err := e.opus.SetBitrate(bps); err != nil {
		return fmt.Errorf("opus: set bitrate: %w", err)
	}
	return nil
}

// SetExpectedLoss changes expected loss and in-band FEC from the next frame
// on. libopus spends no bits on FEC if no loss is expected, so with fec at
// least 1 % is. Below 32 kb/s FEC costs bandwidth, below about 16 kb/s there
// is none.
func (e *encoder) SetExpectedLoss(share float64, fec bool) error {
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("%w: expected loss %v, want 0 to 1", codec.ErrConfig, share)
	}
	percent := int(math.Ceil(share * 100))
	if fec {
		percent = max(percent, 1)
	}
	if err := e.opus.SetPacketLossPerc(percent); err != nil {
		return fmt.Errorf("opus: set expected loss: %w", err)
	}
	if err := e.opus.SetInBandFEC(fec); err != nil {
		return fmt.Errorf("opus: set FEC: %w", err)
	}
	return nil
}
