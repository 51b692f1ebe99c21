package sessiontest

import (
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/codec"
)

// Codec is a [codec.Codec] without C for tests of sessions: mu-law (ITU-T
// G.711) of what a box filter leaves of the frame. It sounds like a bad
// telephone; levels and frequencies up to 1 kHz survive. It is deterministic,
// has no delay, sends nothing through digital silence (DTX), follows
// SetBitrate and Constant with the sizes of its packets, and carries in-band
// FEC when it is asked to. Concealment repeats the last 10 ms and fades.
//
// A packet looks like an Opus packet to codec.Parse, with the same duration
// and FEC, but isn't one. It carries the number of its frame, so that a test
// can ask each decoder what it did with which frame.
//
// The zero value is ready. Codec is safe for concurrent use; what it makes is
// used as package codec says.
type Codec struct {
	// Record makes every decoder remember its frames, for Decoder.Frames.
	Record bool

	mu       sync.Mutex
	decoders []*Decoder
}

var _ codec.Codec = (*Codec)(nil)

// Name implements codec.Codec: "test".
func (*Codec) Name() string { return "test" }

// Delay implements codec.Codec: nothing.
func (*Codec) Delay(codec.Config) time.Duration { return 0 }

// Inspect implements codec.Codec.
func (*Codec) Inspect(packet []byte) (codec.Content, error) {
	h, err := parsePacket(packet)
	if err != nil {
		return codec.Content{}, err
	}
	return codec.Content{Samples: h.samples, FEC: h.fec != nil}, nil
}

// NewEncoder implements codec.Codec.
func (*Codec) NewEncoder(cfg codec.Config) (codec.Encoder, error) {
	cfg, err := cfg.Resolve()
	if err != nil {
		return nil, err
	}
	samples := int(cfg.FrameDuration * codec.SampleRate / time.Second)
	return &encoder{cfg: cfg, bitrate: cfg.Bitrate, samples: samples, before: make([]float32, samples)}, nil
}

// NewDecoder implements codec.Codec. The decoder is a *Decoder.
func (c *Codec) NewDecoder() (codec.Decoder, error) {
	d := &Decoder{record: c.Record}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decoders = append(c.decoders, d)
	return d, nil
}

// Decoders returns every decoder that was made, in that order.
func (c *Codec) Decoders() []*Decoder {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Decoder(nil), c.decoders...)
}

type encoder struct {
	cfg     codec.Config
	bitrate int
	fec     bool
	samples int
	number  uint16    // of the next frame; frames of silence count
	before  []float32 // the frame before, for FEC
	started bool      // there was one
}

// FrameSamples implements codec.Encoder.
func (e *encoder) FrameSamples() int { return e.samples }

// Encode implements codec.Encoder. A frame is digital silence, and not sent
// unless Config.NoDTX, if no sample is beyond -90 dBFS.
func (e *encoder) Encode(dst []byte, pcm []float32) ([]byte, error) {
	if len(pcm) != e.samples {
		return nil, fmt.Errorf("%w: %d samples, want %d", codec.ErrFrame, len(pcm), e.samples)
	}
	if len(dst) < codec.MaxPacketBytes {
		return nil, fmt.Errorf("%w: room for %d bytes, want %d", codec.ErrFrame, len(dst), codec.MaxPacketBytes)
	}
	number := e.number
	e.number++
	size := 0
	if e.cfg.NoDTX || !silent(pcm) {
		var fec []float32
		if e.fec && e.started && !e.cfg.LowDelay {
			fec = e.before
		}
		size = writePacket(dst, pcm, fec, number, e.bitrate)
	}
	copy(e.before, pcm)
	e.started = true
	return dst[:size], nil
}

// SetBitrate implements codec.Encoder.
func (e *encoder) SetBitrate(bps int) error {
	if err := codec.CheckBitrate(bps); err != nil {
		return err
	}
	e.bitrate = bps
	return nil
}

// SetExpectedLoss implements codec.Encoder. Only fec changes anything.
func (e *encoder) SetExpectedLoss(share float64, fec bool) error {
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("%w: expected loss %v, want 0 to 1", codec.ErrConfig, share)
	}
	e.fec = fec
	return nil
}

func silent(pcm []float32) bool {
	const limit = 1.0 / 32768
	for _, s := range pcm {
		if s > limit || s < -limit {
			return false
		}
	}
	return true
}
