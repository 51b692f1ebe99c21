package audio

import "time"

// Processor changes what the microphone recorded before it is gated, measured
// and encoded: an echo canceller, a noise suppressor, an automatic gain.
//
// Process is called for every block of 10 ms, in order, from one goroutine at a
// time, and must return well within 10 ms. It may change mic in place, and must
// not change or keep mix or keep mic. mix is what was played: mono, after gain,
// pan and limiter, at the time at which mic was recorded by what the devices say
// of their latency, smoothed over a second, and MixLead ahead of that. That is
// right to some milliseconds, and steady: where the clocks of speaker and
// microphone differ, a block of mix leaves out or repeats one sample now and then.
// It jumps only when a device does. The way through the air, and what devices
// don't say, comes on top. While nothing is played mix is silence, never nil.
type Processor interface {
	Process(mic *Block, mix *Block)
}

// MixLead is by how much the mix that a Processor gets is ahead of the microphone,
// where both are devices and together as late as that: an echo can't be cancelled
// before what it is of is known, and devices may say too much of their latency.
const MixLead = 5 * time.Millisecond

// Delayer is implemented by a Processor that holds audio back. Delay is for how
// long; it changes only if the application asks for something else, and is safe for
// concurrent use. Statistics of delay count on it.
type Delayer interface {
	Delay() time.Duration
}

// Chain is processors in the order in which they see the microphone; each gets
// what the one before it made. It is itself a Processor. An empty chain changes
// nothing.
type Chain []Processor

// Process runs the chain on one block.
func (c Chain) Process(mic *Block, mix *Block) {
	for _, p := range c {
		p.Process(mic, mix)
	}
}

// Delay is for how long the chain holds audio back: the sum of its Delayers.
func (c Chain) Delay() time.Duration {
	sum := time.Duration(0)
	for _, p := range c {
		if d, ok := p.(Delayer); ok {
			sum += d.Delay()
		}
	}
	return sum
}
