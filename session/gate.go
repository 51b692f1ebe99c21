package session

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// How VoiceActivation opens and closes.
const (
	gateHangover   = 300 * time.Millisecond // stays open after the last loud block: the ends of words are quiet
	gateHysteresis = 6                      // dB below the threshold at which it may close
	gatePreRoll    = 3                      // blocks that audio is held back, so that the first syllable is heard
	releaseTail    = 100 * time.Millisecond // PushToTalk: people let go of the key too early
)

// gate decides, block by block, whether what was recorded is said. It is pure:
// its clock is the number of blocks that it has seen.
type gate struct {
	mode      Mode
	threshold float64
	open      bool
	quiet     int // blocks since the reason to be open was last there

	held [gatePreRoll]audio.Block // VoiceActivation: audio on its way
	at   int
}

type gateInput struct {
	Level   float64 // dBFS of this block
	Muted   bool
	Talking bool
}

func newGate(mode Mode, threshold float64) gate {
	return gate{mode: mode, threshold: threshold}
}

// delay is how long the gate holds audio back.
func (g *gate) delay() time.Duration {
	if g.mode == VoiceActivation {
		return gatePreRoll * audio.BlockDuration
	}
	return 0
}

// push takes the newest block, replaces it by the one that is due now, and
// reports whether that one is said. A muted block is silenced.
func (g *gate) push(b *audio.Block, in gateInput) bool {
	if in.Muted {
		*b = audio.Block{}
		g.held = [gatePreRoll]audio.Block{}
		g.open = false
		return false
	}
	switch g.mode {
	case VoiceActivation:
		threshold := g.threshold
		if g.open {
			threshold -= gateHysteresis
		}
		g.hold(in.Level >= threshold, gateHangover+g.delay())
		g.held[g.at], *b = *b, g.held[g.at]
		g.at = (g.at + 1) % gatePreRoll
	case PushToTalk:
		g.hold(in.Talking, releaseTail)
	case Open:
		g.open = true
	}
	return g.open
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
