package session

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// What an application may have at a time.
const (
	MaxRooms        = wire.MaxRooms    // rooms listened to
	MaxOpenChannels = 32               // channels that speak
	MaxRoomName     = wire.MaxRoomName // bytes of a room's name
	MaxToken        = wire.MaxToken    // bytes of a token
)

// addressing is what the application wants to hear and to whom it wants to
// speak, across Stop and Start.
type addressing struct {
	mu        sync.Mutex // guards what follows; now is set under it
	namedOnly bool
	rooms     []ownRoom
	nextRoom  uint32
	addressed bool
	channels  []*Channel
	token     []byte

	now atomic.Pointer[wishes]
}

// ownRoom is a room that we listen to. Its number is never used for another one,
// so that what is on its way when we leave can't be taken for something else.
type ownRoom struct {
	name   string
	number uint32
}

// wishes is what addressing holds at a moment. It is never changed.
type wishes struct {
	used      bool // of all this anything: before, not a byte is said of it
	namedOnly bool // only rooms that are named are heard
	rooms     []ownRoom
	addressed bool // only targets are spoken to
	targets   []outgoing
	radii     []float64 // of targets that reach only so far
	token     []byte
}

// outgoing is all open channels to one target in one.
type outgoing struct {
	to         Target
	priority   Priority
	gain       float32
	positional bool
}

// wishes returns what the application wants now.
func (s *Session) wishes() *wishes { return s.addressing.now.Load() }

// address changes what the application wants and acts on it before it returns.
func (s *Session) address(change func(*addressing) error) error {
	a := &s.addressing
	a.mu.Lock()
	err := change(a)
	if err == nil {
		a.publishLocked(s.cfg.Authorize != nil)
	}
	a.mu.Unlock()
	if conv := s.current(); err == nil && conv != nil {
		conv.readdressAll()
	}
	return err
}

func (a *addressing) publishLocked(authorizes bool) {
	w := &wishes{
		namedOnly: a.namedOnly || authorizes,
		rooms:     slices.Clone(a.rooms),
		addressed: a.addressed,
		token:     a.token,
	}
	w.used = w.namedOnly || w.addressed || len(w.token) > 0 || a.nextRoom > 0
	for _, c := range a.channels {
		w.add(outgoing{to: c.to, priority: c.priority, gain: c.gain, positional: c.positional})
	}
	a.now.Store(w)
}

// add merges channels to the same target: as loud and as important as the most
// of them, and positional if all are.
func (w *wishes) add(o outgoing) {
	i := slices.IndexFunc(w.targets, func(t outgoing) bool { return t.to == o.to })
	if i < 0 {
		w.targets = append(w.targets, o)
		if o.to.limited && !slices.Contains(w.radii, o.to.radius) {
			w.radii = append(w.radii, o.to.radius)
		}
		return
	}
	t := &w.targets[i]
	t.priority = max(t.priority, o.priority)
	t.gain = max(t.gain, o.gain)
	t.positional = t.positional && o.positional
}

// Listen makes what is said in a room heard. A room is a name, 1 to MaxRoomName
// bytes of UTF-8, compared byte by byte; it need not be made before. Any number
// of rooms, up to MaxRooms, may be listened to at once, and what reaches us in
// several ways is heard once.
//
// Until the first call of Listen, all that is said in any room is heard; from
// then on, what is said in the rooms that were named, to everyone, and to us
// alone. Others are told the names of the rooms. All that holds across Stop and
// Start. To listen to a room again changes nothing. It fails with ErrTarget,
// ErrTooMany, or ErrClosed.
func (s *Session) Listen(room string) error {
	if err := s.checkRoom(room); err != nil {
		return err
	}
	return s.address(func(a *addressing) error {
		if a.indexLocked(room) >= 0 {
			return nil
		}
		if len(a.rooms) == MaxRooms || a.nextRoom > wire.MaxRoomNumber {
			return fmt.Errorf("%w: %d rooms are listened to", ErrTooMany, len(a.rooms))
		}
		a.namedOnly = true
		a.rooms = append(a.rooms, ownRoom{name: room, number: a.nextRoom})
		a.nextRoom++
		return nil
	})
}

// Leave ends listening to a room: what is said there is heard no more when it
// returns, but 10 ms in which it is faded out, and a packet that may be under way. Who left the last room hears what
// is said to everyone and to itself; see ListenToAll. To leave a room that isn't
// listened to changes nothing. It fails with ErrTarget or ErrClosed.
func (s *Session) Leave(room string) error {
	if err := s.checkRoom(room); err != nil {
		return err
	}
	return s.address(func(a *addressing) error {
		if i := a.indexLocked(room); i >= 0 {
			a.rooms = slices.Delete(slices.Clone(a.rooms), i, i+1)
		}
		return nil
	})
}

// ListenToAll leaves all rooms and makes what is said in any of them heard, as
// it was before the first call of Listen. With Config.Authorize there is no such
// thing: then it only leaves all rooms.
func (s *Session) ListenToAll() {
	_ = s.address(func(a *addressing) error {
		a.rooms, a.namedOnly = nil, false
		return nil
	})
}

func (a *addressing) indexLocked(room string) int {
	return slices.IndexFunc(a.rooms, func(r ownRoom) bool { return r.name == room })
}

// Rooms returns the rooms that are listened to, in the order of Listen, and
// whether all others are heard too.
func (s *Session) Rooms() (names []string, all bool) {
	w := s.wishes()
	for _, r := range w.rooms {
		names = append(names, r.name)
	}
	return names, !w.namedOnly
}

// SetToken sets what this side shows to peers whose applications decide who may
// speak and listen (Config.Authorize there), at most MaxToken bytes; empty means
// nothing. Every peer gets it: it should be good only together with our peer ID,
// which a peer can't claim to be. It fails with ErrTooMany for a longer one.
func (s *Session) SetToken(token []byte) error {
	if len(token) > MaxToken {
		return fmt.Errorf("%w: a token of %d bytes", ErrTooMany, len(token))
	}
	token = slices.Clone(token)
	return s.address(func(a *addressing) error {
		a.token = token
		return nil
	})
}

// PeerRooms returns the rooms that a peer listens to, sorted, as far as we were
// told, and whether it hears all others too.
func (s *Session) PeerRooms(id identity.PeerID) (names []string, all bool) {
	c := s.current()
	if c == nil {
		return nil, false
	}
	p := c.roster.get(id)
	if p == nil {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.rooms.listens {
		names = append(names, wire.Clean(name, MaxRoomName))
	}
	slices.Sort(names)
	r := &p.rooms
	return names, p.greeting.received && !r.namedOnly && (r.heard || !r.follows)
}

func (s *Session) checkRoom(room string) error {
	if room == "" || len(room) > MaxRoomName || !utf8.ValidString(room) {
		return fmt.Errorf("%w: a room's name is 1 to %d bytes of UTF-8, not %q", ErrTarget, MaxRoomName, wire.Clip(room, 2*MaxRoomName))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return nil
}
