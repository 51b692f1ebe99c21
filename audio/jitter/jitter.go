// Package jitter is the jitter buffer of one listener for one talker. Packets
// go in as they arrive, in any order; what to play comes out when it is asked
// for. The buffer alone decides what is late and what is lost, how long speech
// waits before it is played, and when the PCM should be stretched to change
// that.
//
// It holds packets, not PCM: decoding, concealing and stretching are done by
// whoever asks, as the [Decision] says. Time comes in as an argument, nothing
// runs on its own, and a [Buffer] is not safe for concurrent use.
//
// All audio is 48 kHz. The method is that of WebRTC's NetEQ (relative delay
// against the fastest packet of the last two seconds, a histogram of it with
// forgetting, stretching towards a target delay) with finer buckets, and a
// target that is chosen by what delay and what a late frame cost a listener
// (ITU-T G.107).
package jitter

import "time"

// SampleRate is the rate of all timestamps and counts in samples per second.
const SampleRate = 48000

// Limits of what a buffer holds. Whatever a peer sends, memory stays below
// MaxPackets times MaxPayload bytes and some kilobytes.
const (
	MaxPackets = 200  // packets held at once, as in NetEQ
	MaxPayload = 960  // largest payload in bytes
	MaxSamples = 2880 // longest packet, 60 ms
)

// Config sets the bounds of the delay. The zero value is the default. Values
// that contradict each other are moved to the nearest that don't.
type Config struct {
	// MinDelay is the smallest target: how long the fastest packet waits at
	// least, beside up to 10 ms until the next Pop. 0 means 5 ms, which is
	// also the least that is possible.
	MinDelay time.Duration

	// StartDelay is the target before anything is known of the network. 0
	// means 40 ms.
	StartDelay time.Duration

	// MaxDelay bounds the target, and the delay: speech that would be played
	// later than this is skipped ("drop to live"). 0 means 400 ms, and 40 ms
	// to 2 s are possible.
	MaxDelay time.Duration

	// PathDelay is the delay from mouth to ear without what the buffer adds, until
	// SetPathDelay says better. The target is what delay and late speech cost a
	// listener least together by ITU-T G.107, which depends on it. 0 means 65 ms.
	PathDelay time.Duration
}

// Packet is a coded frame as it came from the network.
type Packet struct {
	Seq       int64  // unwrapped; counts sent packets only: a gap is loss, silence is not
	Timestamp int64  // 48 kHz sample index of its first sample; runs on through silence
	Samples   int    // its duration, 1 to MaxSamples; 0 for an end mark that carries no audio
	Spurt     int64  // talk spurt, only grows
	End       bool   // the talk spurt ends after this packet
	Copy      bool   // came as a copy carried by a later packet
	Twin      bool   // travelled with the next one: that it waited for it is no jitter
	FEC       bool   // the payload also carries in-band FEC for the packet before it
	Payload   []byte // at most MaxPayload bytes, copied by Push
}

// Result says what became of a pushed packet.
type Result uint8

// Results of Push.
const (
	Accepted  Result = iota // held until it is played
	Duplicate               // it is held already, or was played
	Late                    // its time has passed; the target learns from it
	Rejected                // absurd: malformed, too far from what is expected, contradicting its neighbours, or the buffer is full
)

// Action says how to produce the next PCM.
type Action uint8

// Actions of a Decision.
const (
	Wait    Action = iota // nothing to play: silence for the rest of this block
	Play                  // decode Payload
	Recover               // decode the in-band FEC of Payload, which is the packet after the missing one
	Conceal               // guess at what is missing
)

// Stretch is what should be done to the PCM queue after a Decision was
// carried out.
type Stretch uint8

// Values of Stretch.
const (
	None           Stretch = iota
	Accelerate             // shorten by one pitch period, if a good match is found
	AccelerateFast         // shorten by one pitch period, with a poorer match too
	Expand                 // lengthen by one pitch period
	ExpandFast             // lengthen by one pitch period, with a poorer match too
)

// Decision is the answer of Pop.
type Decision struct {
	Action    Action
	Payload   []byte  // for Play and Recover; valid until the next call of any method of the buffer
	Samples   int     // how many samples to produce: the packet's duration, for Conceal at most 480 and a multiple of 120 where the peer's packets are; 0 for Wait
	Timestamp int64   // of the first sample to produce
	Start     bool    // the first audio after silence: fade in, nothing before it to join to
	Copied    bool    // Play of a payload that came as a copy
	Concealed int     // samples concealed in a row up to here: fade out by it on Conceal, join by cross-fade on Play if not 0, unless the codec does after so little
	Stretch   Stretch // what to do with the PCM afterwards
	Most      int     // samples that may be removed for Accelerate and AccelerateFast
	Skipped   bool    // speech was dropped right before this to come back to live, or to the target: cross-fade
}
