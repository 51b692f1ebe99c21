package audio

import "sync/atomic"

// MixerDelay is by how many samples what comes out of a Mixer is later than
// what went in: the limiter's look-ahead of 1 ms.
const MixerDelay = limiterDelay

// Mixer sums voices into stereo and keeps the sum within -1..1. For each block
// of 10 ms call Add once for every voice that has something to play, then Mix
// once. The zero value is ready. Nothing is allocated. It is not safe for
// concurrent use, but for Repaired.
//
// A voice in the centre at gain 1 is unchanged on both sides, later by
// MixerDelay, as long as the mix stays below LimiterThreshold: bit by bit. See
// Input for gain and pan. When either changes it moves in a straight line over
// one block; while the voice has nothing to play, at once.
type Mixer struct {
	sum      StereoBlock
	blocks   uint64 // mixed
	mono     Block
	limiter  limiter
	repaired atomic.Uint64
}

// Add adds the next 10 ms of a voice to the block that Mix will return. pcm is
// not changed and not kept. Samples that aren't finite, or are beyond MaxSample,
// are repaired and counted. Adding a voice twice before Mix is adding two blocks
// on top of each other, not after each other.
func (m *Mixer) Add(in *Input, pcm *Block) {
	fromL, fromR, toL, toR := in.advance(m.blocks)
	if fromL == toL && fromR == toR {
		m.addSteady(pcm, toL, toR)
		return
	}
	stepL := (toL - fromL) / BlockSamples
	stepR := (toR - fromR) / BlockSamples
	for i, x := range pcm {
		if !(x >= -MaxSample && x <= MaxSample) {
			x = m.repair(x)
		}
		k := float32(i + 1)
		m.sum[2*i] += x * (fromL + k*stepL)
		m.sum[2*i+1] += x * (fromR + k*stepR)
	}
}

// addSteady adds a block with gains that don't change.
func (m *Mixer) addSteady(pcm *Block, left, right float32) {
	for i, x := range pcm {
		if !(x >= -MaxSample && x <= MaxSample) {
			x = m.repair(x)
		}
		m.sum[2*i] += x * left
		m.sum[2*i+1] += x * right
	}
}

// repair mends a broken sample and counts it.
func (m *Mixer) repair(x float32) float32 {
	m.repaired.Add(1)
	return repaired(x)
}

// Mix writes the sum of what was added since the last Mix to dst, through the
// limiter, and starts the next block. No sample is beyond -1..1. If nothing was
// added that is silence, after what the limiter still held.
func (m *Mixer) Mix(dst *StereoBlock) {
	*dst = m.sum
	m.sum = StereoBlock{}
	m.blocks++
	m.limiter.Process(dst)
	Downmix(&m.mono, dst)
}

// Mono writes to dst what the last Mix returned, in mono: what a Processor gets
// as the mix.
func (m *Mixer) Mono(dst *Block) { *dst = m.mono }

// Repaired is the number of samples that were broken. It is safe for concurrent
// use.
func (m *Mixer) Repaired() uint64 { return m.repaired.Load() }
