package speex

import "github.com/parley-voice/parley/audio"

const (
	evidenceFollow = 0.02 // share by which the means follow a block: half a second
	evidenceFar    = 1e-6 // mean square of a mix that may be heard in the microphone: -60 dBFS
	evidenceFrom   = 0.40 // share of what was recorded that is echo if there is any: what the canceller changes of a voice alone is a fifth, ...
	evidenceUntil  = 0.25 // ... and that isn't any more
)

// evidence tells from what the canceller takes away whether there is an echo.
type evidence struct {
	heard, taken float64 // means of energy in blocks in which the mix is heard
	echoes       bool
}

// push takes the energy of a block of the microphone and of the mix, and of what
// was taken away.
func (e *evidence) push(heard, far, taken float64) bool {
	if far < evidenceFar*fullScale*fullScale*audio.BlockSamples {
		return e.echoes
	}
	e.heard += evidenceFollow * (heard - e.heard)
	e.taken += evidenceFollow * (taken - e.taken)
	share := evidenceFrom
	if e.echoes {
		share = evidenceUntil
	}
	e.echoes = e.taken > share*e.heard
	return e.echoes
}

func energy(pcm *[audio.BlockSamples]int16) (sum float64) {
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return sum
}
