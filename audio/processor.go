package audio

// Processor changes what the microphone recorded before it is gated, measured
// and encoded: an echo canceller, a noise suppressor, an automatic gain.
//
// Process is called for every block of 10 ms, in order, from one goroutine at a
// time, and must return well within 10 ms. It may change mic in place, and must
// not change or keep mix or keep mic. mix is what was played: mono, after gain,
// pan and limiter, of the block that the speaker was given when mic was
// recorded, aligned as well as is known; the way through the speaker, the air
// and the microphone comes on top of that. While nothing is played mix is
// silence, never nil.
type Processor interface {
	Process(mic *Block, mix *Block)
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
