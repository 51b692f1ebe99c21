package session

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// Target is whom a Channel, a text or data is for: a room, one peer, or everyone. Targets can
// be compared with ==.
type Target struct {
	kind targetKind
	room string
	peer identity.PeerID

	limited bool // to peers that are near
	radius  float64
}

type targetKind uint8

const (
	toNobody targetKind = iota // of the zero Target
	toEveryone
	toRoom
	toPeer
)

// Room is the target that everybody hears who listens to the room, and everybody
// who has named no room.
func Room(name string) Target { return Target{kind: toRoom, room: name} }

// Whisper is one peer as target. It hears us whatever it listens to.
func Whisper(id identity.PeerID) Target { return Target{kind: toPeer, peer: id} }

// Everyone is the target that all peers hear, whatever they listen to.
func Everyone() Target { return Target{kind: toEveryone} }

// Room returns the room's name if the target is one.
func (t Target) Room() (name string, ok bool) { return t.room, t.kind == toRoom }

// Peer returns the peer if the target is one.
func (t Target) Peer() (id identity.PeerID, ok bool) { return t.peer, t.kind == toPeer }

// String names the target for logs and people: in room "team", to everyone.
func (t Target) String() string {
	if t.limited {
		return t.anywhere().String() + " within " + strconv.FormatFloat(t.radius, 'g', 3, 64)
	}
	switch t.kind {
	case toEveryone:
		return "to everyone"
	case toRoom:
		return "in room " + strconv.Quote(t.room)
	case toPeer:
		if len(t.peer) > maxNamedID {
			return "to one peer"
		}
		return "to " + t.peer.String() + " alone"
	case toNobody:
	}
	return "to nobody"
}

// Priority says how important what is said in a channel is beside what others
// say. See Config.PriorityAttenuation.
type Priority int8

// The priorities.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
	Urgent Priority = 2
)

// Channel is a way of speaking that is open, from Speak to Close. What is said is
// sent once to each peer that at least one open channel reaches. Where several
// do, the highest priority and gain count, and it is positional if all of them
// are. Its methods are safe for concurrent use. After Close they do nothing.
type Channel struct {
	s  *Session
	to Target

	open       bool // this and what follows is guarded by Session.addressing.mu
	priority   Priority
	gain       float32
	positional bool
}

// Speak opens a channel. Until the first call all that is said goes to everyone;
// from then on only through the channels that are open, so after the last one
// was closed to nobody, until another one is opened, be it to Everyone. Channels
// stay open across Stop and Start; peers that they reach may come and go. There
// may be several to the same target.
//
// A channel opens and closes at the border of a packet: of what was recorded
// before, up to the length of a packet, and 80 ms more with VoiceActivation, is
// said to whom it reaches then. It fails with ErrTarget for what is no room's
// name and no other peer, with ErrTooMany beyond MaxOpenChannels, or ErrClosed.
func (s *Session) Speak(to Target) (*Channel, error) {
	if err := errors.Join(to.checkRadius(), s.checkTarget(to)); err != nil {
		return nil, err
	}
	c := &Channel{s: s, to: to, open: true, gain: 1}
	err := s.address(func(a *addressing) error {
		if len(a.channels) == MaxOpenChannels {
			return fmt.Errorf("%w: %d channels are open", ErrTooMany, MaxOpenChannels)
		}
		a.addressed = true
		a.channels = append(a.channels, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// checkTarget returns nil for what may be spoken to, now or later.
func (s *Session) checkTarget(to Target) error {
	name := to.room
	switch {
	case to.kind == toPeer && (to.peer == "" || len(to.peer) > maxNamedID || to.peer == s.Self()), to.kind == toNobody:
		return fmt.Errorf("%w: nobody else", ErrTarget)
	case to.kind != toRoom:
		name = "any"
	}
	return s.checkRoom(name)
}

// Target is whom the channel speaks to.
func (c *Channel) Target() Target { return c.to }

// SetPriority sets how important what is said is, Low to Urgent; it begins as
// Normal. Peers that know nothing of rooms take it for Normal.
func (c *Channel) SetPriority(p Priority) {
	c.change(func() { c.priority = min(max(p, Low), Urgent) })
}

// SetGain sets how loud the channel is at listeners, 0 to audio.MaxGain; 1, which
// it begins with, is as it was recorded. It is applied there, in steps of 1.5
// dB. Peers that know nothing of rooms take it for 1.
func (c *Channel) SetGain(gain float32) {
	if gain != gain {
		return
	}
	c.change(func() { c.gain = min(max(gain, 0), audio.MaxGain) })
}

// SetPositional says that the voice comes from where we are; it begins otherwise. A
// listener whose application knows both poses hears it from there, and what isn't
// marked in the centre: see Session.SetPose. It sees the mark in Heard.
func (c *Channel) SetPositional(positional bool) {
	if positional {
		c.s.space.marks.Store(true)
	}
	c.change(func() { c.positional = positional })
}

// Close ends the channel: when it returns nothing more is sent through it but
// the packet that may be under way, and the end of a talk spurt. Idempotent.
func (c *Channel) Close() {
	c.change(func() {
		c.open = false
		a := &c.s.addressing
		a.channels = slices.DeleteFunc(slices.Clone(a.channels), func(o *Channel) bool { return o == c })
	})
}

// IsOpen tells that the channel was not closed yet.
func (c *Channel) IsOpen() bool {
	c.s.addressing.mu.Lock()
	defer c.s.addressing.mu.Unlock()
	return c.open
}

// change changes a channel that is open.
func (c *Channel) change(f func()) {
	_ = c.s.address(func(*addressing) error {
		if !c.open {
			return errUnchanged
		}
		f()
		return nil
	})
}

// route is how one listener is reached: what its packets say about it. nil is
// that of what is said to everyone. It is never changed.
type route struct {
	list    []byte // as wire.Voice takes it
	targets []uint32
}

func newRoute(list []wire.Channel) *route {
	r := &route{list: wire.AppendChannels(nil, list)}
	for _, c := range list {
		r.targets = append(r.targets, c.Target)
	}
	return r
}

// channels is what a packet says.
func (r *route) channels() []byte {
	if r == nil {
		return nil
	}
	return r.list
}

// sameTargets tells whether the listener is reached in the same ways, be it
// louder or with another priority.
func (r *route) sameTargets(o *route) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r == o || slices.Equal(r.targets, o.targets)
}
