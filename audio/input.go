package audio

import (
	"math"
	"sync/atomic"
)

// MaxGain is the highest gain of an Input, 6 dB.
const MaxGain = 2

// Input is one voice in a Mixer: its gain, its place between left and right,
// and what must be remembered of both from block to block. The zero value has
// gain 1 and is in the centre. Its methods are safe for concurrent use with
// each other and with Mixer.Add; an Input belongs to one Mixer.
type Input struct {
	gain atomic.Uint32 // float32 bits, xor those of 1, so that zero means 1
	pan  atomic.Uint32 // float32 bits

	// What follows is the mixer's.
	used        bool
	block       uint64  // of the mixer's, the last that it was added to
	setGain     float32 // gain and pan that left and right were made of
	setPan      float32
	left, right float32 // gains at the end of the last block
}

var unityBits = math.Float32bits(1)

// SetGain sets the linear gain, limited to 0..MaxGain; 1 leaves the voice as it
// is, NaN changes nothing. It is reached over the next 10 ms, by a voice that
// isn't being added at once.
func (in *Input) SetGain(gain float32) {
	if gain != gain {
		return
	}
	in.gain.Store(math.Float32bits(min(max(gain, 0), MaxGain)) ^ unityBits)
}

// Gain is the gain as set.
func (in *Input) Gain() float32 { return math.Float32frombits(in.gain.Load() ^ unityBits) }

// SetPan places the voice, limited to -1 (left) .. 1 (right); 0 is the centre,
// NaN changes nothing. It is reached as a gain is.
func (in *Input) SetPan(pan float32) {
	if pan != pan {
		return
	}
	in.pan.Store(math.Float32bits(min(max(pan, -1), 1)))
}

// Pan is the place as set.
func (in *Input) Pan() float32 { return math.Float32frombits(in.pan.Load()) }

// advance returns the gains of left and right at the end of the last block and
// at the end of the next, which is a mixer's block-th. A voice that wasn't added
// to the last one moves while nobody hears it.
func (in *Input) advance(block uint64) (fromL, fromR, toL, toR float32) {
	gain, pan := in.Gain(), in.Pan()
	goesOn := in.used && block-in.block <= 1
	in.block = block
	if !goesOn {
		in.used, in.setGain, in.setPan = true, gain, pan
		in.left, in.right = panned(gain, pan)
	}
	fromL, fromR = in.left, in.right
	if gain != in.setGain || pan != in.setPan {
		in.setGain, in.setPan = gain, pan
		in.left, in.right = panned(gain, pan)
	}
	return fromL, fromR, in.left, in.right
}

// panned is the constant-power pan law, scaled so that the centre is unity on
// both sides: gain·√2·cos θ and gain·√2·sin θ with θ from 0 (left) to π/2. A
// voice that is wholly on one side is 3 dB louder there, which keeps the power
// of both sides together the same everywhere.
func panned(gain, pan float32) (left, right float32) {
	switch pan {
	case 0:
		return gain, gain
	case -1:
		return gain * math.Sqrt2, 0
	case 1:
		return 0, gain * math.Sqrt2
	}
	sin, cos := math.Sincos((float64(pan) + 1) * math.Pi / 4)
	return gain * float32(math.Sqrt2*cos), gain * float32(math.Sqrt2*sin)
}
