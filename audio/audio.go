// Package audio moves and shapes PCM: sources and sinks, files, levels, gain
// and the mix. Everything is 48 kHz float32 in blocks of 10 ms, nominally in
// -1..1. It starts no goroutines and reads no clock; devices live in
// audio/portaudio.
package audio

import (
	"errors"
	"time"
)

// The shape of all audio between a microphone and a speaker.
const (
	SampleRate    = 48000                 // samples per second and channel
	BlockSamples  = 480                   // samples per channel in a block
	BlockDuration = 10 * time.Millisecond // duration of a block
)

// Block is 10 ms of mono PCM.
type Block [BlockSamples]float32

// StereoBlock is 10 ms of stereo PCM, left and right interleaved.
type StereoBlock [2 * BlockSamples]float32

// Errors of sources and sinks. They are wrapped, so compare with errors.Is.
// A Source that has nothing more to give returns io.EOF.
var (
	ErrClosed = errors.New("audio: endpoint is closed")
	ErrFormat = errors.New("audio: unsupported format")
)

// Source gives audio, a microphone for example. ReadBlock fills the whole
// block. It returns within 100 ms whatever a device does: with an error, or
// with silence, counted. io.EOF means that the source has ended for good.
// ReadBlock is called from one goroutine at a time; Close may be called while
// ReadBlock runs, and is idempotent.
type Source interface {
	ReadBlock(*Block) error
	Close() error
}

// Sink takes audio, a speaker for example. WriteBlock copies what it keeps. It
// returns within 100 ms whatever a device does. WriteBlock is called from one
// goroutine at a time; Close may be called while WriteBlock runs, and is
// idempotent.
type Sink interface {
	WriteBlock(*StereoBlock) error
	Close() error
}

// Device is implemented by a Source or Sink that is its own clock: ReadBlock
// returns when the device has recorded a block, WriteBlock when it has room
// for another. An endpoint that is no Device is unpaced (files, tones, null
// endpoints), and who uses it keeps the time.
type Device interface {
	// Latency is how long ago the first sample of a block that ReadBlock just
	// returned was spoken, less the block's own 10 ms; or how long from now
	// the first sample of a block that WriteBlock just took will be heard. It
	// changes while the device runs. Safe for concurrent use.
	Latency() time.Duration

	// Faults counts what the device did wrong since it was opened. Safe for
	// concurrent use.
	Faults() Faults
}

// Faults counts what a device did wrong. An underrun is 10 ms or less of
// silence that nobody asked for, an overrun a loss of recorded audio.
type Faults struct {
	Underruns uint64
	Overruns  uint64
	Losses    uint64 // times the device went away
	Lost      bool   // the device is away now: silence is read, what is written goes nowhere; without a loss there never was one
	Reason    string // why it is away; empty if it isn't
}
