package clean

import (
	"math"

	"github.com/parley-voice/parley/audio"
)

// What AutoGain aims at.
const (
	GainTarget = -20.0 // dBFS (RMS) of speech without its pauses
	MaxGain    = 20.0  // dB by which it raises at most
	MinGain    = -20.0 // dB by which it lowers at most
)

const (
	gainUp       = 4.0 * blockSeconds  // dB a block of speech by which the gain rises at most ...
	gainDown     = 15.0 * blockSeconds // ... and falls
	gainDeadband = 1.0                 // dB off the target that nobody hears
	gainAbove    = 10.0                // dB over the background that speech is
	gainLeast    = -60.0               // dBFS that speech has at least
	gainMix      = -50.0               // dBFS of the mix from which on what is heard may be its echo
	gainMemory   = 200                 // blocks of speech over which its level is averaged
	blockSeconds = 0.01
)

// AutoGain brings speech to the same loudness, whoever speaks into whatever: the
// gain rises by 4 dB and falls by 15 dB in each second of speech, and stays as it
// is when nobody speaks. What is quieter than 10 dB over the background isn't
// speech; while the mix is heard the gain doesn't rise, since it may be what is
// recorded. A Limiter belongs behind it. It delays nothing.
type AutoGain struct {
	noise audio.NoiseFloor
	power float64 // of speech before the gain, mean square
	heard int     // blocks of speech, up to gainMemory
	gain  float64 // dB
}

// Process applies the gain to mic.
func (g *AutoGain) Process(mic, mix *audio.Block) {
	audio.Repair(mic[:])
	before := g.gain
	level := audio.Measure(mic[:]).RMS
	if noise := g.noise.Push(level); level >= max(noise+gainAbove, gainLeast) {
		g.follow(level, audio.Measure(mix[:]).RMS < gainMix)
	}
	ramp(mic, factor(before), factor(g.gain))
}

// follow takes a block of speech.
func (g *AutoGain) follow(level float64, mayRise bool) {
	g.heard = min(g.heard+1, gainMemory)
	amplitude := audio.Amplitude(level)
	g.power += (amplitude*amplitude - g.power) / float64(g.heard)
	wanted := min(max(GainTarget-audio.DBFS(math.Sqrt(g.power)), MinGain), MaxGain)
	switch off := wanted - g.gain; {
	case off < -gainDeadband:
		g.gain = max(g.gain-gainDown, wanted)
	case off > gainDeadband && mayRise:
		g.gain = min(g.gain+gainUp, wanted)
	}
}

// Gain is the present gain in dB.
func (g *AutoGain) Gain() float64 { return g.gain }

func factor(db float64) float64 { return math.Pow(10, db/20) }
