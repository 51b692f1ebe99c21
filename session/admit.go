package session

import (
	"bytes"
	"slices"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session/wire"
)

// admission is through what a peer is heard; nil is through everything. It is
// never changed.
type admission struct {
	everyone, whisper bool
	rooms             []ownRoom
}

// nobody is the admission of who isn't heard at all.
var nobody = &admission{}

// admitLocked works out through what a peer is heard, and ends what is heard now if
// that is not to be any more.
func (p *peer) admitLocked(c *conversation, w *wishes) {
	a, old := p.admissionLocked(c, w), p.hearing.admission.Load()
	if a == old || a != nil && old != nil && a != nobody && old != nobody && a.equal(old) {
		return
	}
	p.hearing.admission.Store(a)
	var list []byte
	if t := p.hearing.through.Load(); t != nil {
		list = t.list
	}
	if _, ok := judgeChannels(a, list); !ok {
		p.player.interrupt()
	}
}

func (p *peer) admissionLocked(c *conversation, w *wishes) *admission {
	switch {
	case p.settings.blocked.Load(), c.s.docket.about(p.id).mutes():
		return nobody
	case !w.namedOnly:
		return nil
	}
	a := &admission{
		everyone: p.allowedLocked(c, ToSpeak, Everyone()) == nil,
		whisper:  p.allowedLocked(c, ToSpeak, Whisper(c.self)) == nil,
	}
	for _, room := range w.rooms {
		if p.allowedLocked(c, ToSpeak, Room(room.name)) == nil {
			a.rooms = append(a.rooms, room)
		}
	}
	return a
}

func (a *admission) equal(o *admission) bool {
	return a.everyone == o.everyone && a.whisper == o.whisper && slices.Equal(a.rooms, o.rooms)
}

// maySpeakLocked tells whether a peer may speak in a room of ours. Who is muted for all
// may send texts there.
func (p *peer) maySpeakLocked(c *conversation, room ownRoom) bool {
	return !p.settings.blocked.Load() && p.allowedLocked(c, ToSpeak, Room(room.name)) == nil
}

// admits tells whether that is one of the channels, and as what the application
// knows it.
func (a *admission) admits(target uint32) (to Target, ok bool) {
	switch target {
	case wire.TargetEveryone:
		return Everyone(), a == nil || a.everyone
	case wire.TargetWhisper:
		return Target{kind: toPeer}, a == nil || a.whisper
	case wire.TargetUnnamed:
		return Target{kind: toRoom}, a == nil
	}
	if a == nil {
		return Target{kind: toRoom}, true // of one that we have left
	}
	i := slices.IndexFunc(a.rooms, func(r ownRoom) bool { return r.number == target-wire.TargetRooms })
	if i < 0 {
		return Target{}, false
	}
	return Room(a.rooms[i].name), true
}

// inbox decides, packet by packet, whether a peer is heard. It is the
// transport's, which calls for one peer serially. It remembers the last decision,
// since one packet is mostly addressed like the one before.
type inbox struct {
	known    bool
	by       *admission
	list     [wire.MaxChannelBytes]byte
	size     int
	ok       bool
	refusing bool // the packet before was refused
}

// through is in which ways a peer is heard. It is never changed.
type through struct {
	by         *admission
	list       []byte
	gain       float32
	priority   Priority
	positional bool // all of them are
	marks      bool // one of them is
}

// admits tells whether a packet of the peer is to be heard. What isn't is looked
// at no further, and ends what is heard now.
func (p *peer) admits(b []byte) bool {
	by := p.hearing.admission.Load()
	var list []byte
	if by != nobody {
		var err error
		if list, err = wire.Channels(b); err != nil {
			return true // to be counted by who parses it
		}
	}
	in := &p.inbox
	if !in.known || in.by != by || !bytes.Equal(in.list[:in.size], list) {
		in.known, in.by, in.size = true, by, copy(in.list[:], list)
		var t *through
		if t, in.ok = judgeChannels(by, list); in.ok {
			p.hearing.through.Store(t)
			if t != nil && t.marks {
				p.hearing.marks.Store(true)
			}
		}
	}
	if in.ok {
		in.refusing = false
		return true
	}
	p.hearing.refused.Add(1)
	if !in.refusing {
		in.refusing = true
		p.player.interrupt()
	}
	return false
}

// interrupt ends what is heard within 10 ms, with a soft end: what follows is not
// to be, nor what is decoded already.
func (p *player) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	if p.queued > audio.BlockSamples {
		p.queued = audio.BlockSamples
		audio.FadeOut(p.pcm[p.queued-edgeSamples : p.queued])
	}
}

// judgeChannels decides about a list of channels, and merges those through which
// the peer is heard; nil is what is said to everyone, and no more.
func judgeChannels(by *admission, list []byte) (t *through, ok bool) {
	if len(list) == 0 {
		_, ok = by.admits(wire.TargetEveryone)
		return nil, ok
	}
	t = &through{by: by, list: bytes.Clone(list), priority: Low, positional: true}
	for c := range channelsOf(list) {
		if _, admitted := by.admits(c.Target); !admitted {
			continue
		}
		ok = true
		t.gain = max(t.gain, c.Gain)
		t.priority = max(t.priority, Priority(c.Priority))
		t.positional = t.positional && c.Positional
		t.marks = t.marks || c.Positional
	}
	if !ok {
		return nil, false
	}
	return t, true
}

// channelsOf goes through a list that was found to be one.
func channelsOf(list []byte) func(yield func(wire.Channel) bool) {
	return func(yield func(wire.Channel) bool) {
		for more := true; more; {
			var (
				c   wire.Channel
				err error
			)
			if c, list, more, err = wire.NextChannel(list); err != nil || !yield(c) {
				return
			}
		}
	}
}

// Heard is how a peer is heard, or was last.
type Heard struct {
	// Through is what it spoke through, of that which is heard here: rooms, this
	// side (Whisper of our own ID), Everyone. A room whose name isn't known is
	// Room(""): who hears all rooms isn't told them.
	Through    []Target
	Gain       float32 // that the peer asked for, on top of what is set here; 1 without
	Priority   Priority
	Positional bool // the voice comes from where the peer is
}

// heard is how the peer is heard, for the application.
func (h *hearing) heard(c *conversation) Heard {
	t := h.through.Load()
	if t == nil {
		return Heard{Through: []Target{Everyone()}, Gain: 1}
	}
	heard := Heard{Gain: t.gain, Priority: t.priority, Positional: t.positional}
	for ch := range channelsOf(t.list) {
		to, ok := t.by.admits(ch.Target)
		if !ok {
			continue
		}
		if to.kind == toPeer {
			to = Whisper(c.self)
		}
		if !slices.Contains(heard.Through, to) { // with a limit and without
			heard.Through = append(heard.Through, to)
		}
	}
	return heard
}
