package clean

import "github.com/parley-voice/parley/audio"

// background follows the level of what is there when nobody speaks: the lowest
// level, smoothed over some blocks, of the last seconds. Speech of that length has
// pauses.
type background struct {
	smooth  float64 // dBFS
	lowest  [backgroundParts]float64
	at      int // part that is under way
	blocks  int // of it that are over
	started bool
}

const (
	backgroundParts  = 4
	backgroundPart   = 75 // blocks: 3 s in all
	backgroundSmooth = 0.2
)

// push takes the level of the next block in dBFS and returns that of the
// background.
func (b *background) push(level float64) float64 {
	if !b.started {
		b.started, b.smooth = true, level
		for i := range b.lowest {
			b.lowest[i] = level
		}
	}
	b.smooth += backgroundSmooth * (level - b.smooth)
	if b.blocks++; b.blocks > backgroundPart {
		b.blocks = 1
		b.at = (b.at + 1) % backgroundParts
		b.lowest[b.at] = b.smooth
	}
	b.lowest[b.at] = min(b.lowest[b.at], b.smooth)
	lowest := b.lowest[0]
	for _, l := range b.lowest[1:] {
		lowest = min(lowest, l)
	}
	return lowest
}

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
