package opus

import "github.com/parley-voice/parley/codec"

const (
	// lsb is half the least significant bit of 16-bit audio: what stays below
	// is digital silence.
	lsb = 1.0 / 65536

	// hangover is how much digital silence, in samples, ends with nothing
	// being sent whatever libopus says: 200 ms, as long as libopus takes.
	hangover = codec.SampleRate / 5

	// onsetFloor and rise are above which power (-66 dBFS), and by how much,
	// as a ratio of powers (6 dB), a frame must rise out of the noise of a
	// pause to be sent whatever libopus says.
	onsetFloor = 2.5e-7
	rise       = 4

	// Noise that is below steadyCeiling (-45 dBFS) and whose power stays
	// within rise for steadyFor samples (1.5 s) is a pause: speech is never
	// that even.
	steadyCeiling = 3.2e-5
	steadyFor     = codec.SampleRate * 3 / 2
)

// pause watches power, in support of libopus, which decides by a classifier of
// speech when a pause begins and ends. That takes a soft consonant for noise,
// so that a word after a pause can lose its beginning; noise before the first
// word for speech, as it has nothing to compare with; and it isn't there at
// all in low-delay mode at complexities below 7.
type pause struct {
	open   bool // in a pause: the frame before was not sent
	power  float64
	noise  float64 // mean power in the pause
	quiet  int     // samples of digital silence up to now
	steady int     // samples of steady noise up to now
	low    float64 // power in the steady noise: about its lowest
	high   float64 // and its highest
}

// newPause begins as after a long digital silence: before the first sound there
// is nothing to fade out.
func newPause() pause { return pause{open: true, quiet: hangover} }

// hear takes the next frame, and reports whether it begins a word.
func (p *pause) hear(frame []float32) (onset bool) {
	var sum float64
	var peak float32
	for _, s := range frame {
		sum += float64(s) * float64(s)
		peak = max(peak, s, -s)
	}
	p.power = sum / float64(len(frame))
	if peak < lsb {
		p.quiet = min(p.quiet+len(frame), hangover)
	} else {
		p.quiet = 0
	}
	if p.power > steadyCeiling || p.power > rise*p.low || p.power*rise < p.high {
		p.steady, p.low, p.high = 0, p.power, p.power
	} else {
		p.steady = min(p.steady+len(frame), steadyFor)
		p.low = min(p.power, p.low+(p.power-p.low)/64)
		p.high = max(p.power, p.high+(p.power-p.high)/64)
	}
	return p.open && p.power > onsetFloor && p.power > rise*p.noise
}

// silent reports whether this is a pause whatever libopus says.
func (p *pause) silent() bool { return p.quiet >= hangover || p.steady >= steadyFor }

// settle says whether the frame that was heard last belongs to a pause. The
// noise is followed at once when it falls and slowly when it rises.
func (p *pause) settle(open bool) {
	switch {
	case !open:
	case !p.open || p.power < p.noise:
		p.noise = p.power
	default:
		p.noise += (p.power - p.noise) / 16
	}
	p.open = open
}
