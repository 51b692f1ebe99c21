package spatial

import (
	"math"
	"time"
)

const (
	// Step is the time from one Place of a Motion to the next: a block.
	Step = 10 * time.Millisecond

	// motionTime is the time constant of each of the two low-passes. An application
	// that says ten times a second where somebody is gives stairs; these are
	// followed 60 ms late, as a line that hardly bends.
	motionTime = 30 * time.Millisecond

	// settled is a difference that nobody hears, and that isn't followed further.
	settled = 1e-4
)

var motionShare = 1 - math.Exp(-float64(Step)/float64(motionTime))

// Motion follows a Place that moves in steps, or jumps, without a step of its own: by
// two low-passes of the first order in a row, so that neither loudness nor its speed
// jumps. The zero value is in the centre, with gain 0. It is not safe for concurrent
// use, and allocates nothing.
type Motion struct {
	gain, pan follower
	at        Place
}

// follower is two low-passes in a row.
type follower struct{ first, second float64 }

// step goes on towards a value.
func (f *follower) step(to float64) {
	f.first += (to - f.first) * motionShare
	f.second += (f.first - f.second) * motionShare
	if math.Abs(to-f.first) < settled && math.Abs(to-f.second) < settled {
		f.first, f.second = to, to
	}
}

// At is where the motion is.
func (m *Motion) At() Place { return m.at }

// Settled tells whether the motion is over, and at a place.
func (m *Motion) Settled(at Place) bool {
	return m.at == at && m.gain == (follower{float64(at.Gain), float64(at.Gain)}) && m.pan == (follower{float64(at.Pan), float64(at.Pan)})
}

// Step moves on for 10 ms towards a place, and returns where it is then. It arrives
// exactly.
func (m *Motion) Step(to Place) Place {
	m.gain.step(float64(to.Gain))
	m.pan.step(float64(to.Pan))
	m.at = Place{Gain: float32(m.gain.second), Pan: float32(m.pan.second)}
	return m.at
}

// Jump goes to a place at once: while nothing is heard.
func (m *Motion) Jump(to Place) Place {
	g, p := float64(to.Gain), float64(to.Pan)
	m.gain, m.pan, m.at = follower{g, g}, follower{p, p}, to
	return to
}
