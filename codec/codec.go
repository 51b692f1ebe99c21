// Package codec is the contract between a conversation and a speech codec, and
// what can be said of an Opus packet without decoding it.
//
// Everything here is 48 kHz mono. A frame is PCM, a packet its coded form.
package codec

import (
	"errors"
	"time"
)

// SampleRate is the rate of all PCM in samples per second.
const SampleRate = 48000

// Limits of a packet.
const (
	MaxPacketBytes   = 960  // largest packet that is sent or accepted, in bytes: it fits a link message with its headers
	MaxPacketSamples = 2880 // 60 ms, the longest packet that is sent or accepted
)

// Errors of the codecs. They are wrapped, so compare with errors.Is.
var (
	ErrPacket = errors.New("codec: malformed packet")
	ErrFrame  = errors.New("codec: frame of a length that the codec doesn't take")
	ErrConfig = errors.New("codec: setting out of range")
)

// Config says how to encode. The zero value is the default.
type Config struct {
	FrameDuration time.Duration // 10, 20, 40 or 60 ms; 0 means 20 ms
	Bitrate       int           // bits per second, 6000 to 128000; 0 means 26000
	Constant      bool          // constant bitrate: sizes tell a listener on the wire nothing, at some cost in quality
	Complexity    int           // 1 to 10, effort of the encoder; 0 means 9
	NoDTX         bool          // send packets through silence too; by default silence costs nothing
	LowDelay      bool          // the codec's own delay is 2.5 ms instead of 6.4 ms; no in-band FEC, speech at low bitrates is worse
}

// Encoder turns frames into packets. It is not safe for concurrent use.
type Encoder interface {
	// FrameSamples is the length of the frames that Encode takes.
	FrameSamples() int

	// Encode codes one frame of FrameSamples samples in -1..1 into dst, whose
	// length must be at least MaxPacketBytes, and returns the part of dst it
	// used. An empty packet is legal: there is nothing to send (DTX).
	Encode(dst []byte, pcm []float32) ([]byte, error)

	// SetBitrate changes the bitrate in bits per second.
	SetBitrate(bps int) error

	// SetExpectedLoss tells the share of packets, 0 to 1, that the far end
	// loses; fec says whether packets should carry a coarse copy of the
	// frame before (in-band FEC).
	SetExpectedLoss(share float64, fec bool) error
}

// Decoder turns packets into frames; every method fills the whole of dst, whose
// length must be that of the frame, or fails and leaves dst undefined. The
// samples are in -1..1, or slightly outside. It is not safe for concurrent use.
type Decoder interface {
	// Decode decodes a packet and returns the number of samples written to
	// dst, which must have room for MaxPacketSamples. The packet may come
	// from a hostile peer.
	Decode(dst []float32, packet []byte) (int, error)

	// Recover fills dst with what the packet after the lost one says of it
	// (in-band FEC). len(dst) is the length of the lost frame.
	Recover(dst []float32, next []byte) error

	// Conceal fills dst with a guess at what was lost. len(dst) is a multiple
	// of 2.5 ms (120 samples), at most MaxPacketSamples.
	Conceal(dst []float32) error
}

// Codec makes encoders and decoders; both have no resources to give back.
type Codec interface {
	// Name is how a hello names the codec, e.g. "opus".
	Name() string

	// Delay is how much later a sample comes out of encoder and decoder than
	// it went in, beside the duration of the frame itself.
	Delay(Config) time.Duration

	// Inspect says how long a packet is and what it carries, without decoding
	// it. The packet may come from a hostile peer: a packet that a Decoder
	// should not see is an error that wraps ErrPacket. It allocates nothing.
	Inspect(packet []byte) (Content, error)

	NewEncoder(Config) (Encoder, error)
	NewDecoder() (Decoder, error)
}

// Content is what Inspect finds in a packet.
type Content struct {
	Samples int  // duration in samples, 1 to MaxPacketSamples
	FEC     bool // carries in-band FEC for the packet before it
}
