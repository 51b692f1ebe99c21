package spatial

import (
	"fmt"
	"math"
)

// Curve is how loudness falls with distance.
type Curve uint8

// The curves are those of OpenAL 1.1 (section 3.4, the clamped ones) and of
// PannerNode in the W3C's Web Audio API 1.0 (DistanceModelType). d is the distance,
// but at least Min and at most Max.
const (
	Inverse     Curve = iota // Min / (Min + Rolloff·(d-Min)): with a Rolloff of 1 as in the open air, 6 dB less for twice the distance
	Linear                   // 1 - Rolloff·(d-Min)/(Max-Min)
	Exponential              // (d/Min)^-Rolloff
)

// Model is how distance is heard. The zero value is a good default for metres.
type Model struct {
	Curve   Curve
	Min     float64 // distance up to which a voice is as loud as without one; 0 means 1
	Max     float64 // distance from which on it isn't heard: over the last fifth before it fades; 0 means 50; +Inf is no limit, not for Linear
	Rolloff float64 // how steep the curve is: for Linear at most 1; 0 means 1

	// Gain is a curve of one's own in place of all of the above but Min, which
	// still counts for the side: the gain for a distance, limited to 0..1; NaN is
	// 0. It is called for each voice every 10 ms and must return at once.
	Gain func(distance float64) float64

	// Width is how far to the side a voice may be, 0 to 1, of one that is right
	// there: at 1 it is heard with one ear only, which is unpleasant with
	// headphones. 0 means 0.8, less than 0 everything in the centre.
	Width float64

	// LeftHanded says that the axes are left-handed, as those of Unity, Unreal and
	// Direct3D. A zero Forward is (0, 0, 1) then.
	LeftHanded bool
}

const (
	defaultMin     = 1
	defaultMax     = 50
	defaultRolloff = 1
	defaultWidth   = 0.8
	edgeFrom       = 0.8 // share of Max from which a voice fades
)

// withDefaults fills in what is zero.
func (m Model) withDefaults() Model {
	if m.Min == 0 {
		m.Min = defaultMin
	}
	if m.Max == 0 {
		m.Max = max(defaultMax, defaultMax*m.Min)
	}
	if m.Rolloff == 0 {
		m.Rolloff = defaultRolloff
	}
	if m.Width == 0 {
		m.Width = defaultWidth
	}
	m.Width = max(m.Width, 0)
	return m
}

// Check returns ErrModel for what makes no sense: an unknown curve, what isn't a
// number, a Min that isn't positive, a Max that isn't more, a Rolloff that isn't
// positive or too steep.
func (m Model) Check() error {
	m = m.withDefaults()
	switch {
	case m.Curve > Exponential:
		return fmt.Errorf("%w: curve %d", ErrModel, m.Curve)
	case !(m.Min > 0 && m.Min <= MaxCoordinate):
		return fmt.Errorf("%w: Min %g", ErrModel, m.Min)
	case !(m.Max > m.Min) || m.Curve == Linear && m.Gain == nil && !(m.Max <= MaxCoordinate):
		return fmt.Errorf("%w: Max %g, Min %g", ErrModel, m.Max, m.Min)
	case !(m.Rolloff > 0 && m.Rolloff <= MaxCoordinate) || m.Curve == Linear && m.Rolloff > 1:
		return fmt.Errorf("%w: Rolloff %g", ErrModel, m.Rolloff)
	case !(m.Width <= 1):
		return fmt.Errorf("%w: Width %g", ErrModel, m.Width)
	}
	return nil
}

// Loudness is the gain of a voice at a distance, 0 to 1. The model must pass Check.
func (m Model) Loudness(distance float64) float64 {
	if m.Gain != nil {
		return unit(m.Gain(distance))
	}
	m = m.withDefaults()
	d := min(max(distance, m.Min), m.Max)
	gain := 0.0
	switch m.Curve {
	case Inverse:
		gain = m.Min / (m.Min + m.Rolloff*(d-m.Min))
	case Linear:
		gain = 1 - m.Rolloff*(d-m.Min)/(m.Max-m.Min)
	case Exponential:
		gain = math.Pow(d/m.Min, -m.Rolloff)
	}
	return unit(gain) * m.edge(d)
}

// edge is the fade before Max, a raised cosine: a voice that ends at a line in the
// air would be heard to be cut there.
func (m Model) edge(d float64) float64 {
	from := max(m.Min, edgeFrom*m.Max)
	if d <= from || math.IsInf(m.Max, 1) {
		return 1
	}
	return Fade((d - from) / (m.Max - from))
}

// Fade is the raised cosine from 1 to 0 as x goes from 0 to 1, and stays there.
func Fade(x float64) float64 {
	return 0.5 + 0.5*math.Cos(math.Pi*unit(x))
}

// unit limits x to 0..1; NaN is 0.
func unit(x float64) float64 {
	if x != x {
		return 0
	}
	return min(max(x, 0), 1)
}

// Place is how a voice is heard: as audio.Input takes it.
type Place struct {
	Gain float32 // linear
	Pan  float32 // -1 (left) to 1 (right)
}

// Place is how a voice from a position is heard by a listener. Model and pose must
// pass Check.
//
// The pan is the sine of the angle between straight ahead and the voice, as seen
// from above the listener's head: the projection of its direction on the line
// through both ears. Nearer than Min it goes to the centre in proportion to the
// distance, so that somebody who walks through the listener doesn't jump from one
// ear to the other. audio.Mixer pans with constant power.
func (m Model) Place(listener Pose, voice Vec) Place {
	to := voice.minus(listener.Position)
	distance := to.length()
	p := Place{Gain: float32(m.Loudness(distance))}
	m = m.withDefaults()
	if distance == 0 || m.Width == 0 {
		return p
	}
	side := to.unit().dot(listener.right(m.LeftHanded)) * min(1, distance/m.Min)
	p.Pan = float32(min(max(side, -1), 1) * m.Width)
	return p
}
