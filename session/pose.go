package session

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/identity"
)

// space is where everybody is and how distance is heard, as far as the application
// says; where peers are is in their settings.
type space struct {
	marks atomic.Bool // this side has marked a channel as positional

	mu    sync.Mutex // guards what follows
	known bool
	pose  spatial.Pose
	model spatial.Model
}

// viewpoint is what space holds at a moment.
type viewpoint struct {
	known bool
	pose  spatial.Pose
	model spatial.Model
	marks bool
}

func (s *space) now() viewpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return viewpoint{s.known, s.pose, s.model, s.marks.Load()}
}

// SetPose says where we are and which way we face. From then on a peer whose pose is
// known too is heard from there, as SetDistance says; other peers are heard in the
// centre, as loud as they are, and so are all until the first call. A pose that
// moves, or jumps, is followed within about 100 ms, without a step in the sound. Call
// it as often as you draw, from any goroutine; it sends nothing to anybody. It holds
// across Stop and Start. It fails with spatial.ErrPose, and then the former pose
// holds.
//
// If the application says of channels that they are positional (see
// Channel.SetPositional), only what comes through such is heard from somewhere:
// what a peer says through several at once if all of them are. That is so once this
// side has marked a channel, or else, for the voice of one peer, once that peer has.
// Where nobody marks any, all voices whose pose is known are placed, whatever they
// come through, Everyone and whispers too.
//
// Channels that reach only so far (Target.Within) follow poses as well.
func (s *Session) SetPose(p spatial.Pose) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.known, s.space.pose = true, p
	return nil
}

// ClearPose takes SetPose back: where we are isn't known any more.
func (s *Session) ClearPose() {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.known, s.space.pose = false, spatial.Pose{}
}

// Pose is the pose as set, and whether there is one.
func (s *Session) Pose() (p spatial.Pose, ok bool) {
	v := s.space.now()
	return v.pose, v.known
}

// SetPeerPose says where a peer is: see SetPose. Which way it faces doesn't matter.
// It may be said before PeerJoined, and holds until PeerLeft, Stop or ClearPeerPose.
// It fails with spatial.ErrPose, and then the former pose holds.
func (s *Session) SetPeerPose(id identity.PeerID, p spatial.Pose) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	s.change(id, func(set *peerSettings) { set.placed, set.pose = true, p })
	return nil
}

// ClearPeerPose takes SetPeerPose back: where the peer is isn't known any more.
func (s *Session) ClearPeerPose(id identity.PeerID) {
	s.change(id, func(set *peerSettings) { set.placed, set.pose = false, spatial.Pose{} })
}

// PeerPose is the pose of a peer as set, or else the position that it tells (see
// Config.SharePose), and whether there is one.
func (s *Session) PeerPose(id identity.PeerID) (p spatial.Pose, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settings[id]
	if set == nil {
		return spatial.Pose{}, false
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	if !set.placed {
		return spatial.Pose{Position: set.told.at}, set.told.known
	}
	return set.pose, true
}

// SetDistance changes how distance is heard, from the next 10 ms on and across Stop
// and Start: see Config.Distance. It fails with spatial.ErrModel.
func (s *Session) SetDistance(m spatial.Model) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.model = m
	return nil
}

// centred is how a voice is heard that comes from nowhere.
var centred = spatial.Place{Gain: 1}

// place is how the peer's voice is to be heard.
func (h *hearing) place(v *viewpoint, wish *playWish) spatial.Place {
	to := centred
	if v.known && wish.placed && h.positional(v.marks) {
		to = v.model.Place(v.pose, wish.position)
	}
	if t := h.through.Load(); t != nil {
		to.Gain *= t.gain
	}
	return to
}

// positional tells whether the voice comes from where its peer is: see SetPose.
func (h *hearing) positional(marks bool) bool {
	t := h.through.Load()
	return t != nil && t.positional || !marks && !h.marks.Load()
}

// move is how the voice is heard in the next 10 ms, on its way to a place.
func (h *hearing) move(to spatial.Place, audible bool) spatial.Place {
	switch {
	case h.motion.Settled(to):
		return to
	case !audible:
		return h.motion.Jump(to)
	}
	return h.motion.Step(to)
}
