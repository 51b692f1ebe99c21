package session

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// How VoiceActivation opens and closes, and PushToTalk closes.
const (
	gateHangover   = 300 * time.Millisecond // stays open after the last loud block: the ends of words are quiet
	gateHysteresis = 6                      // dB below the threshold down to which it stays open, and
	gateShare      = 0.5                    // share of the margin
	gatePreRoll    = 8                      // blocks that audio is held back: an f begins so long before it reaches the threshold
	releaseTail    = 100 * time.Millisecond // PushToTalk: people let go of the key too early
)

// gate decides, block by block, whether what was recorded is said. It is pure:
// its clock is the number of blocks that it has seen.
type gate struct {
	mode   Mode
	open   bool
	quiet  int  // blocks since the reason to be open was last there
	voiced bool // the newest block is of a voice

	noise audio.NoiseFloor
	held  [gatePreRoll]audio.Block // VoiceActivation: audio on its way
	at    int
	empty int // blocks of held that nothing was put into yet
}

type gateInput struct {
	Mode      Mode
	Level     float64 // dBFS of this block
	Threshold float64 // dBFS that a voice has
	Margin    float64 // dB that it is above the background
	Muted     bool
	Talking   bool // the key of PushToTalk is down
}

// input is what a gate is told of the newest block.
func (t *talking) input(level float64) gateInput {
	return gateInput{
		Mode:      Mode(t.mode.Load()),
		Level:     level,
		Threshold: t.threshold.load(),
		Margin:    t.margin.load(),
		Talking:   t.key.Load(),
	}
}

// gateDelay is how long the gate holds audio back in a mode.
func gateDelay(mode Mode) time.Duration {
	if mode == VoiceActivation {
		return gatePreRoll * audio.BlockDuration
	}
	return 0
}

// push takes the newest block, replaces it by the one that is due now, and
// reports whether that one is said. A muted block is silenced.
func (g *gate) push(b *audio.Block, in gateInput) bool {
	noise := g.noise.Push(in.Level)
	g.voiced = in.Level >= max(in.Threshold, noise+in.Margin)
	switch {
	case in.Muted:
		*b = audio.Block{}
		g.begin(in.Mode)
		return false
	case in.Mode != g.mode:
		// In one mode audio comes later than in the other: what is said ends
		// here, with a fade, and goes on with the next block.
		if g.mode == VoiceActivation {
			*b = g.held[g.at]
		}
		g.begin(in.Mode)
		return false
	}
	switch g.mode {
	case VoiceActivation:
		voiced := g.voiced
		if g.open {
			voiced = in.Level >= max(in.Threshold-gateHysteresis, noise+gateShare*in.Margin)
		}
		g.hold(voiced, gateHangover+gateDelay(g.mode))
		g.held[g.at], *b = *b, g.held[g.at]
		g.at = (g.at + 1) % gatePreRoll
		if g.empty > 0 {
			g.empty--
			return false // or there would be an edge where the sound begins
		}
	case PushToTalk:
		g.hold(in.Talking, releaseTail)
	case Open:
		g.open = true
	}
	return g.open
}

// begin closes the gate and forgets what it held.
func (g *gate) begin(mode Mode) {
	g.mode, g.open = mode, false
	g.held, g.at, g.empty = [gatePreRoll]audio.Block{}, 0, gatePreRoll
}

// hold keeps the gate open for a while after the reason is gone.
func (g *gate) hold(reason bool, tail time.Duration) {
	if reason {
		g.open, g.quiet = true, 0
		return
	}
	g.quiet++
	if time.Duration(g.quiet)*audio.BlockDuration > tail {
		g.open = false
	}
}
