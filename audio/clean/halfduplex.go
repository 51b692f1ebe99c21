package clean

import (
	"slices"

	"github.com/parley-voice/parley/audio"
)

// By how many dB a HalfDuplex turns the microphone down at most.
const (
	DefaultDepth  = 36.0 // alone
	GuardingDepth = 15.0 // behind an echo canceller: who speaks at the same time before anything is known is still heard
)

const (
	duplexHold     = 25    // blocks in which an echo of the mix may come: 250 ms
	duplexFar      = -55.0 // dBFS of the mix from which on its echo matters
	duplexResidual = -60.0 // dBFS to which an echo is turned down
	duplexUnknown  = 10.0  // dB from the mix to its echo before anything is known
	duplexMargin   = 6.0   // dB over the echo that is a voice
	duplexOpen     = 30    // blocks for which the microphone stays open after that: 300 ms
	duplexWindow   = 40    // blocks of the mix of which the loudest is compared with what follows in the microphone
	duplexWindows  = 8     // that are remembered: 5 s of what is heard
	duplexPatience = 8     // windows in a row in which somebody seems to speak here before that is taken for echo
)

// HalfDuplex turns the microphone down while it hears nothing but the echo of the
// mix, by as much as makes the echo inaudible. A voice that is louder than the echo
// gets through. How loud the echo is beside the mix it learns: for the first
// second it takes it to be louder. It delays nothing.
//
// Alone, for where there is no echo canceller, it makes of speakers and
// microphone a line on which one at a time is heard well. Behind an echo canceller
// it keeps back what that has not learned yet, and then, since hardly anything is
// left, does nothing any more; GuardingDepth is enough there, and Echoes keeps it from
// turning down somebody with headphones.
type HalfDuplex struct {
	// Both are not to be changed once it runs.
	Depth  float64     // dB by which it turns down at most; 0 means DefaultDepth
	Echoes func() bool // whether there is an echo at all, which a canceller knows; nil means that there may be

	far  [duplexHold]float64 // dB of the mix in the last blocks above audio.FloorDBFS: the zero value is silence
	at   int
	open int     // blocks for which a voice keeps the microphone open
	gain float64 // of the last block, in dB: 0 or less

	coupling          float64 // dB from the mix to its echo in the microphone; valid if windows were compared
	loudFar, loudNear float64 // the loudest of the window, dB above audio.FloorDBFS
	seen              int     // blocks of the window
	windows           [duplexWindows]float64
	compared          int  // windows
	voiced            bool // somebody seems to speak in the window
	voicedWindows     int  // in a row
}

// Process turns mic down.
func (h *HalfDuplex) Process(mic, mix *audio.Block) {
	audio.Repair(mic[:])
	now, near := audio.Measure(mix[:]).RMS, audio.Measure(mic[:]).RMS
	h.far[h.at] = now - audio.FloorDBFS
	h.at = (h.at + 1) % duplexHold
	far := slices.Max(h.far[:]) + audio.FloorDBFS
	if far >= duplexFar {
		h.learn(now, near)
	}
	before := h.gain
	h.gain = -h.depth(far, near)
	ramp(mic, factor(before), factor(h.gain))
}

// depth is by how many dB a block is to be turned down.
func (h *HalfDuplex) depth(far, near float64) float64 {
	if far < duplexFar {
		h.open = 0
		return 0
	}
	if near > far+h.Coupling()+duplexMargin {
		h.open, h.voiced = duplexOpen, true
	}
	if h.open > 0 {
		h.open--
		return 0
	}
	if h.Echoes != nil && !h.Echoes() {
		return 0
	}
	most := h.Depth
	if most == 0 {
		most = DefaultDepth
	}
	return min(max(far+h.Coupling()-duplexResidual, 0), most)
}

// learn takes the levels of a block in which there may be echo. How loud
// the echo is beside the mix differs between sounds, so it is the median of the
// last windows in which nobody seems to have spoken here.
func (h *HalfDuplex) learn(far, near float64) {
	if h.seen < duplexWindow {
		h.loudFar = max(h.loudFar, far-audio.FloorDBFS)
	}
	h.loudNear = max(h.loudNear, near-audio.FloorDBFS)
	if h.seen++; h.seen < duplexWindow+duplexHold {
		return
	}
	ratio, telling := h.loudNear-h.loudFar, h.loudFar+audio.FloorDBFS >= duplexFar
	if h.voicedWindows++; !h.voiced {
		h.voicedWindows = 0
	}
	h.seen, h.loudFar, h.loudNear, h.voiced = 0, 0, 0, false
	if !telling || h.voicedWindows > 0 && h.voicedWindows <= duplexPatience {
		return
	}
	h.windows[h.compared%duplexWindows] = ratio
	h.compared++
	last := h.windows
	known := last[:min(h.compared, duplexWindows)]
	slices.Sort(known)
	h.coupling = known[len(known)/2]
}

// Coupling is how much louder the echo is in the microphone than the mix, in dB,
// as far as is known.
func (h *HalfDuplex) Coupling() float64 {
	if h.compared == 0 {
		return duplexUnknown
	}
	return h.coupling
}
