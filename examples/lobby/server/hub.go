package server

import (
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// outbox is what the hub tells a member through. Neither method blocks.
type outbox interface {
	// send queues frames. A member whose queue is full is ended as slow.
	send(frames ...[]byte)
	// end says a last word, ends the stream, and forgets what is sent later.
	// Only the first call counts.
	end(code lobbywire.Code, how ending)
}

// ending is how a stream is ended.
type ending int

const (
	gently ending = iota // what is queued and the last word are written
	atOnce               // the stream is reset
)

// member is one peer in one room.
type member struct {
	id     peer.ID
	origin origin
	about  *lobbywire.Member // never changed, only replaced: it may be in a frame that is being written
	addrs  []ma.Multiaddr
	seq    uint64
	box    outbox // nil while it is away

	away, silent, unsent int // ticks since its stream ended, since it was heard, since it was sent anything
}

type room struct {
	code    string
	members map[peer.ID]*member
}

// hub is who is in which room. It has neither clock nor network: tick is the
// time, and outboxes lead to members. Its methods are safe for concurrent use
// and don't block.
type hub struct {
	limits   Limits
	quota    *quota
	counters *counters
	instance []byte
	relay    bool

	mu    sync.Mutex // guards what follows
	rooms map[string]*room
	count int // members
}

// arrival is a join that was checked: the record is the peer's own.
type arrival struct {
	code, name string
	origin     origin
	record     []byte
	addrs      []ma.Multiaddr
	seq        uint64
}

// refusal is why somebody can't join.
type refusal struct {
	code   lobbywire.Code
	reason Reason
}

// join lets a peer in and tells the room; or, if its place was kept or an older
// stream of it is there, gives it that place and tells nobody, unless something
// about it changed. The outbox is sent the welcome and the list first.
func (h *hub) join(a arrival, box outbox, now time.Time) *refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[a.code]
	var m *member
	if r != nil {
		m = r.members[a.origin.peer]
	}
	about := &lobbywire.Member{Peer: []byte(a.origin.peer), Name: a.name, Record: a.record}
	if m == nil {
		return h.enter(r, &member{id: a.origin.peer, origin: a.origin, about: about, addrs: a.addrs, seq: a.seq, box: box}, a.code, now)
	}
	if err := h.move(m, a.origin, now); err != nil {
		return err
	}
	if m.box != nil {
		h.counters.add(func(s *Stats) { s.Replaced++ })
		m.box.end(lobbywire.Code_REPLACED, gently)
	}
	changed := m.about.GetName() != a.name || !sameAddrs(m.addrs, a.addrs)
	m.about, m.addrs, m.seq, m.box = about, a.addrs, a.seq, box
	m.away, m.silent, m.unsent = 0, 0, 0
	h.counters.add(func(s *Stats) { s.Resumed++ })
	h.welcome(r, m, true)
	if changed {
		h.tell(r, m, &lobbywire.Message{Kind: &lobbywire.Message_Updated{Updated: about}})
	}
	return nil
}

// enter adds a new member.
func (h *hub) enter(r *room, m *member, code string, now time.Time) *refusal {
	switch {
	case h.count >= h.limits.Members:
		return &refusal{lobbywire.Code_FULL, LobbyFull}
	case r != nil && len(r.members) >= h.limits.RoomMembers:
		return &refusal{lobbywire.Code_FULL, RoomFull}
	}
	if reason, ok := h.quota.enter(m.origin, now); !ok {
		return &refusal{lobbywire.Code_TOO_MANY, reason}
	}
	if r == nil {
		r = &room{code: code, members: map[peer.ID]*member{}}
		h.rooms[code] = r
	}
	r.members[m.id] = m
	h.count++
	h.counters.add(func(s *Stats) { s.Joins++ })
	h.welcome(r, m, false)
	h.tell(r, m, &lobbywire.Message{Kind: &lobbywire.Message_Joined{Joined: m.about}})
	return nil
}

// move charges a member's place to where it comes from now.
func (h *hub) move(m *member, to origin, now time.Time) *refusal {
	if m.origin == to {
		return nil
	}
	h.quota.exit(m.origin, now)
	reason, ok := h.quota.enter(to, now)
	if !ok {
		h.quota.reenter(m.origin, now)
		return &refusal{lobbywire.Code_TOO_MANY, reason}
	}
	m.origin = to
	return nil
}

// welcome sends a member all that it must know to begin.
func (h *hub) welcome(r *room, m *member, resumed bool) {
	others := make([]*lobbywire.Member, 0, len(r.members)-1)
	for _, o := range r.members {
		if o != m {
			others = append(others, o.about)
		}
	}
	first, err := lobbywire.AppendFrame(nil, &lobbywire.Message{Kind: &lobbywire.Message_Welcome{Welcome: &lobbywire.Welcome{
		Instance: h.instance, Resumed: resumed, Relay: h.relay,
	}}})
	frames, errList := lobbywire.AppendMembers([][]byte{first}, others)
	if errors.Join(err, errList) != nil {
		m.box.end(lobbywire.Code_UNKNOWN, atOnce) // what was read within the limits can be written
		return
	}
	m.unsent = 0
	m.box.send(frames...)
}

// tell sends a message to all in the room but the one it is about.
func (h *hub) tell(r *room, about *member, message *lobbywire.Message) {
	frame, err := lobbywire.AppendFrame(nil, message)
	if err != nil {
		return // what was read within the limits can be written
	}
	for _, m := range r.members {
		if m != about && m.box != nil {
			m.unsent = 0
			m.box.send(frame)
		}
	}
}

// find returns the member that has this outbox: not if another stream took its
// place.
func (h *hub) find(code string, id peer.ID, box outbox) (*room, *member) {
	if r := h.rooms[code]; r != nil {
		if m := r.members[id]; m != nil && m.box == box {
			return r, m
		}
	}
	return nil, nil
}

// heard notes that a member lives.
func (h *hub) heard(code string, id peer.ID, box outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, m := h.find(code, id, box); m != nil {
		m.silent = 0
	}
}

// update replaces a member's record and tells the room, unless it is older than
// the one before.
func (h *hub) update(a arrival, box outbox) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, m := h.find(a.code, a.origin.peer, box)
	if m == nil {
		return true
	}
	if a.seq <= m.seq {
		return false
	}
	m.silent = 0
	m.about = &lobbywire.Member{Peer: m.about.GetPeer(), Name: m.about.GetName(), Record: a.record}
	m.addrs, m.seq = a.addrs, a.seq
	h.counters.add(func(s *Stats) { s.Updates++ })
	h.tell(r, m, &lobbywire.Message{Kind: &lobbywire.Message_Updated{Updated: m.about}})
	return true
}

// leave takes a member out, for it said so.
func (h *hub) leave(code string, id peer.ID, box outbox, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, m := h.find(code, id, box); m != nil {
		h.counters.add(func(s *Stats) { s.Left++ })
		h.remove(r, m, false, now)
	}
}

// lost keeps a member's place for a while, since its stream ended.
func (h *hub) lost(code string, id peer.ID, box outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, m := h.find(code, id, box); m != nil {
		m.box, m.away = nil, 0
	}
}

func (h *hub) remove(r *room, m *member, vanished bool, now time.Time) {
	delete(r.members, m.id)
	h.count--
	h.quota.exit(m.origin, now)
	if len(r.members) == 0 {
		delete(h.rooms, r.code)
		return
	}
	h.tell(r, m, &lobbywire.Message{Kind: &lobbywire.Message_Left{Left: &lobbywire.Left{Peer: []byte(m.id), Vanished: vanished}}})
}

// tick is called once a tick. It takes out who vanished, and sends beats.
func (h *hub) tick(now time.Time, beat []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		for _, m := range r.members {
			m.away++
			m.silent++
			m.unsent++
			switch {
			case m.box == nil && m.away > graceTicks:
				h.counters.add(func(s *Stats) { s.Vanished++ })
				h.remove(r, m, true, now)
			case m.box != nil && m.silent > silenceTicks:
				h.counters.add(func(s *Stats) { s.Vanished++; s.Silent++ })
				m.box.end(lobbywire.Code_UNKNOWN, atOnce)
				h.remove(r, m, true, now)
			case m.box != nil && m.unsent >= beatTicks:
				m.unsent = 0
				m.box.send(beat)
			}
		}
	}
}

// shutdown tells all that the lobby ends. Nobody is told that anybody left.
func (h *hub) shutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		for _, m := range r.members {
			if m.box != nil {
				m.box.end(lobbywire.Code_SHUTDOWN, gently)
			}
		}
	}
}

func (h *hub) size() (members, rooms int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count, len(h.rooms)
}

func sameAddrs(a, b []ma.Multiaddr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}
