package clean

import "github.com/parley-voice/parley/audio"

// ramp multiplies a block by a gain that goes from one value to another in a
// straight line.
func ramp(b *audio.Block, from, to float64) {
	if from == 1 && to == 1 {
		return
	}
	step := (to - from) / audio.BlockSamples
	for i := range b {
		b[i] *= float32(from + float64(i+1)*step)
	}
}
