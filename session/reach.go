package session

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/parley-voice/parley/session/wire"
)

// peerRooms is what a peer said of rooms in the present epoch, and was told.
type peerRooms struct {
	follows   bool // its hello says that it will say more: until then it listens to no room
	heard     bool // it said more, and understands what we say
	namedOnly bool
	listens   map[string]uint32 // its rooms, and its numbers for them; at most MaxRooms
	token     []byte

	due  bool // there may be something that it wasn't told
	told struct {
		any       bool
		namedOnly bool
		rooms     map[uint32]bool // ours, by number
		token     []byte
	}
}

// reaches returns what a packet calls the target that we speak to, for this peer,
// and whether it hears it.
func (r *peerRooms) reaches(p *peer, to Target) (target uint32, ok bool) {
	switch to.kind {
	case toEveryone:
		return wire.TargetEveryone, true
	case toPeer:
		return wire.TargetWhisper, to.peer == p.id && (r.heard || !r.follows)
	case toRoom:
		if number, ok := r.listens[to.room]; ok {
			return wire.TargetRooms + number, true
		}
		return wire.TargetUnnamed, !r.namedOnly && (r.heard || !r.follows)
	case toNobody:
	}
	return 0, false
}

// readdressAll acts on what the application wants now.
func (c *conversation) readdressAll() {
	for _, p := range c.roster.list() {
		c.readdress(p)
	}
	c.wakeControl()
}

func (c *conversation) readdress(p *peer) {
	w := c.s.wishes()
	d := distance{}
	if len(w.radii) > 0 {
		d = c.distanceTo(p)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.near.look(d, w.radii)
	c.readdressLocked(p)
}

// readdressLocked works out whether and how a peer hears us, through what it is
// heard, and that it may have to be told something.
func (c *conversation) readdressLocked(p *peer) {
	w := c.s.wishes()
	p.rooms.due, p.verdicts.due = true, true
	p.admitLocked(c, w)
	r, reached := c.routeLocked(p, w)
	p.reached = reached
	if old := p.listener.route.Load(); reached && (r == nil || old == nil || !bytes.Equal(r.list, old.list)) {
		p.listener.route.Store(r) // before wants: who reads wants first finds a route that holds
	}
	p.listener.wants.Store(p.wantsLocked())
}

// routeLocked returns how a peer is reached by what we say, and whether it is.
func (c *conversation) routeLocked(p *peer, w *wishes) (r *route, reached bool) {
	if p.settings.blocked.Load() {
		return nil, false
	}
	if !w.addressed {
		return nil, p.allowedLocked(c, ToListen, Everyone()) == nil
	}
	var list []wire.Channel
	limited := false
	for _, o := range w.targets {
		target, ok := p.rooms.reaches(p, o.to)
		gain, near := p.near.gain(o.to)
		if !ok || !near || o.to.kind != toPeer && p.allowedLocked(c, ToListen, o.to.anywhere()) != nil {
			continue
		}
		// Who comes and goes must not be taken for somebody who is reached in
		// another way, so of what has a limit all packets say it.
		limited = limited || o.to.limited
		list = append(list, wire.Channel{Target: target, Priority: int(o.priority), Gain: o.gain * gain, Positional: o.positional})
	}
	plain := !limited && len(list) == 1 && list[0] == wire.Channel{Target: wire.TargetEveryone, Gain: 1}
	if len(list) == 0 || plain || !p.rooms.heard {
		return nil, len(list) > 0
	}
	return newRoute(list), true
}

// Of what fits a control message, with a token and all names as long as may be.
const (
	joinedAtOnce = 5
	leftAtOnce   = 16
)

// sendRooms tells a peer what changed of the rooms that we listen to, as far as
// it may speak there. Who doesn't use rooms says nothing of them unasked.
func (c *conversation) sendRooms(p *peer) {
	for {
		p.mu.Lock()
		m := p.roomsDueLocked(c, c.s.wishes())
		epoch := p.epoch
		p.mu.Unlock()
		if m == nil || !c.sendControl(p, &wire.Control{Kind: &wire.Control_Rooms{Rooms: m}}) {
			return
		}
		p.mu.Lock()
		if p.epoch == epoch && p.greeting.sent {
			p.rooms.tellLocked(m)
		}
		p.mu.Unlock()
	}
}

// roomsDueLocked returns the next thing to tell a peer, or nil.
func (p *peer) roomsDueLocked(c *conversation, w *wishes) *wire.Rooms {
	r := &p.rooms
	if !r.due || !p.greeting.sent || !w.used && !r.heard && !r.follows && !r.told.any {
		return nil
	}
	m := &wire.Rooms{}
	something := !r.told.any
	if w.namedOnly != r.told.namedOnly {
		m.NamedOnly, something = &w.namedOnly, true
	}
	if !bytes.Equal(w.token, r.told.token) {
		m.Token, something = append([]byte{}, w.token...), true
	}
	here := make(map[uint32]bool)
	for _, room := range w.rooms {
		if !p.maySpeakLocked(c, room) {
			continue
		}
		here[room.number] = true
		if !r.told.rooms[room.number] && len(m.Joined) < joinedAtOnce {
			m.Joined = append(m.Joined, &wire.Room{Number: room.number, Name: room.name})
		}
	}
	for number := range r.told.rooms {
		if !here[number] && len(m.Left) < leftAtOnce {
			m.Left = append(m.Left, number)
		}
	}
	slices.Sort(m.Left)
	if something || len(m.Joined)+len(m.Left) > 0 {
		return m
	}
	r.due = false
	return nil
}

// tellLocked notes what the peer was told.
func (r *peerRooms) tellLocked(m *wire.Rooms) {
	t := &r.told
	t.any = true
	if m.NamedOnly != nil {
		t.namedOnly = m.GetNamedOnly()
	}
	if m.Token != nil {
		t.token = m.Token
	}
	if t.rooms == nil {
		t.rooms = make(map[uint32]bool)
	}
	for _, room := range m.Joined {
		t.rooms[room.Number] = true
	}
	for _, number := range m.Left {
		delete(t.rooms, number)
	}
}

// heardRooms takes note of what a peer listens to.
func (c *conversation) heardRooms(p *peer, m *wire.Rooms) {
	p.mu.Lock()
	if !p.greeting.received {
		p.mu.Unlock()
		c.control.malformed.Add(1)
		return
	}
	r := &p.rooms
	r.heard = true
	refused, changed := r.changeLocked(m)
	if m.Token != nil && !bytes.Equal(m.GetToken(), r.token) {
		r.token = m.GetToken()
		p.verdicts.token = true
	}
	c.readdressLocked(p)
	p.mu.Unlock()
	if changed {
		c.emit(RoomsChanged{Peer: p.id})
	}
	c.control.roomsRefused.Add(uint64(refused))
	c.wakeControl()
}

// changeLocked leaves and joins rooms, as many as there is room for, and returns
// for how many there is not, and whether anything is other than it was.
func (r *peerRooms) changeLocked(m *wire.Rooms) (refused int, changed bool) {
	if m.NamedOnly != nil {
		changed = m.GetNamedOnly() != r.namedOnly
		r.namedOnly = m.GetNamedOnly()
	}
	for _, number := range m.GetLeft() {
		maps.DeleteFunc(r.listens, func(_ string, n uint32) bool {
			changed = changed || n == number
			return n == number
		})
	}
	if r.listens == nil {
		r.listens = make(map[string]uint32)
	}
	for _, room := range m.GetJoined() {
		_, known := r.listens[room.GetName()]
		if !known && len(r.listens) >= MaxRooms {
			refused++
			continue
		}
		changed = changed || !known
		r.listens[room.GetName()] = room.GetNumber()
	}
	return refused, changed
}

// lookAtRooms has what is due decided and told. It is runControl's.
func (c *conversation) lookAtRooms(p *peer, now time.Time) {
	c.judge(p, now)
	c.sendRooms(p)
}
