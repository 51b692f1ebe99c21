package session

import (
	"fmt"
	"math"
	"slices"

	"github.com/parley-voice/parley/audio/spatial"
)

// How a channel ends that reaches only so far.
const (
	fadesFrom = 0.8 // share of the radius from which on it is quieter; at the radius it is silent
	leavesAt  = 1.1 // times the radius: who was within is sent voice, or silence, up to there
	stepDB    = 1.5 // in which loudness goes over the wire
)

// Within is the target as far as its peers are within a distance of us: who is
// farther away is sent nothing, and hears nothing. Distances are those of SetPose
// and SetPeerPose here, so it reaches nobody before both are said. Speak fails for
// what is no positive number.
//
//	near, err := s.Speak(session.Everyone().Within(20))
//
// makes a room of proximity: who is near hears each other, if the others do the
// same. From four fifths of the radius on a voice becomes quieter, until it is
// silent at the radius; that is told to the listener as gain, in steps of 1.5 dB,
// which it smooths. Who was within the radius is lost only at 1.1 times it, so nobody
// who walks along the border comes and goes. Distances are looked at ten times a
// second. Config.Authorize is asked about the target without the limit.
func (t Target) Within(radius float64) Target {
	t.limited, t.radius = true, radius
	return t
}

// Radius is how far the target reaches, if that is limited.
func (t Target) Radius() (radius float64, limited bool) { return t.radius, t.limited }

// anywhere is the target without its limit.
func (t Target) anywhere() Target {
	t.limited, t.radius = false, 0
	return t
}

func (t Target) checkRadius() error {
	if t.limited && !(t.radius > 0 && t.radius <= spatial.MaxCoordinate) {
		return fmt.Errorf("%w: within %g", ErrTarget, t.radius)
	}
	return nil
}

// distance is how far away a peer is, if that is known.
type distance struct {
	known bool
	is    float64
}

// nearness is where a peer is beside the radii of our channels. It is guarded by
// peer.mu.
type nearness struct {
	distance distance
	around   []radiusState
}

// radiusState is where a peer is beside one radius.
type radiusState struct {
	radius float64
	within bool
	step   int // of the gain, in stepDB
}

// look takes note of where the peer is, and reports whether anything follows.
func (n *nearness) look(d distance, radii []float64) (changed bool) {
	changed = n.distance.known != d.known
	n.distance = d
	around := make([]radiusState, 0, len(radii))
	for _, r := range radii {
		i := slices.IndexFunc(n.around, func(s radiusState) bool { return s.radius == r })
		was, now := radiusState{radius: r}, radiusState{radius: r}
		if i >= 0 {
			was = n.around[i]
		}
		now.within = d.known && (d.is < r || was.within && d.is <= r*leavesAt)
		if now.within {
			now.step = stepOf(fadeAt(d.is, r))
		}
		changed = changed || now != was
		around = append(around, now)
	}
	n.around = around
	return changed
}

// gain is the gain for a target, and whether the peer is near enough for it.
func (n *nearness) gain(to Target) (gain float32, near bool) {
	if !to.limited {
		return 1, true
	}
	for _, s := range n.around {
		if s.radius == to.radius {
			return float32(fadeAt(n.distance.is, s.radius)), s.within
		}
	}
	return 0, false
}

// fadeAt is the gain at a distance.
func fadeAt(distance, radius float64) float64 {
	return spatial.Fade((distance/radius - fadesFrom) / (1 - fadesFrom))
}

// stepOf is a gain of at most 1 in steps of the wire.
func stepOf(gain float64) int {
	const quietest, silent = 27, 28 // steps down; what is quieter than 40 dB less isn't told
	if gain <= 0 {
		return -silent
	}
	return max(-quietest, int(math.Round(20*math.Log10(gain)/stepDB)))
}

// distanceTo is how far away a peer is, if that is known.
func (c *conversation) distanceTo(p *peer) distance {
	v := c.s.space.now()
	at, placed := p.settings.position()
	if !v.known || !placed {
		return distance{}
	}
	return distance{known: true, is: spatial.Distance(v.pose.Position, at)}
}

// isNear tells whether a peer is within the radius of a target now, if it has one.
func (c *conversation) isNear(p *peer, to Target) bool {
	d := c.distanceTo(p)
	return !to.limited || d.known && d.is <= to.radius
}

// lookAround finds out who has come near enough to be spoken to, and who has gone.
// It is runControl's.
func (c *conversation) lookAround() {
	w := c.s.wishes()
	if len(w.radii) == 0 {
		return
	}
	for _, p := range c.roster.list() {
		d := c.distanceTo(p)
		p.mu.Lock()
		if p.near.look(d, w.radii) {
			c.readdressLocked(p)
		}
		p.mu.Unlock()
	}
}

// whyFarLocked says why channels that reach only so far don't reach a peer; empty if
// that isn't the reason.
func (p *peer) whyFarLocked(w *wishes) string {
	farthest, all := 0.0, len(w.targets) > 0
	for _, o := range w.targets {
		farthest, all = max(farthest, o.to.radius), all && o.to.limited
	}
	d := p.near.distance
	switch {
	case !all:
		return ""
	case !d.known:
		return " It doesn't hear us: we speak to who is near, and how far away it is isn't known."
	case d.is > farthest:
		return fmt.Sprintf(" It doesn't hear us: it is %.3g away, and we speak up to %.3g.", d.is, farthest)
	}
	return ""
}
