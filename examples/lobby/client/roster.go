package client

import (
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// Member is one who is in the room, or was when the lobby was lost.
type Member struct {
	Peer  peer.ID
	Name  string
	Addrs []ma.Multiaddr
}

type entry struct {
	Member
	seq     uint64
	missing int // ticks that are left to come back to the lobby; 0: it is there
}

// roster is who is in the room. It turns what the lobby says into events, and
// has neither clock nor network: tick is the time.
type roster struct {
	self     peer.ID
	instance string // of the lobby
	members  map[peer.ID]*entry

	badRecords, tooMany uint64
}

func newRoster(self peer.ID) *roster {
	return &roster{self: self, members: map[peer.ID]*entry{}}
}

// list takes the lobby's list of everybody, on coming and on coming back. Who
// is missing has left if the lobby kept our place, and so has seen all since;
// otherwise it may be on its way back to the lobby like us.
func (r *roster) list(w *lobbywire.Welcome, list []*lobbywire.Member) (events []Event) {
	kept := w.GetResumed() && string(w.GetInstance()) == r.instance
	r.instance = string(w.GetInstance())
	there := map[peer.ID]bool{}
	for _, m := range list {
		there[peer.ID(m.GetPeer())] = true
		events = append(events, r.put(m)...)
	}
	for _, m := range r.sorted() {
		switch {
		case there[m.Peer]:
		case kept:
			events = append(events, r.drop(m.Peer, Vanished)...)
		default:
			r.members[m.Peer].missing = graceTicks
		}
	}
	return events
}

// put notes that a member is there, if it signed its record.
func (r *roster) put(m *lobbywire.Member) []Event {
	id := peer.ID(m.GetPeer())
	if id == r.self {
		return nil
	}
	rec, err := lobbywire.OpenRecord(id, m.GetRecord())
	if err != nil {
		r.badRecords++
		return nil
	}
	e, known := r.members[id]
	if !known {
		if len(r.members) >= maxMembers {
			r.tooMany++
			return nil
		}
		e = &entry{Member: Member{id, m.GetName(), rec.Addrs}, seq: rec.Seq}
		r.members[id] = e
		return []Event{Joined(e.Member)}
	}
	e.missing = 0
	if rec.Seq < e.seq { // what the member said since counts
		return nil
	}
	changed := e.Name != m.GetName() || !sameAddrs(e.Addrs, rec.Addrs)
	e.seq, e.Name, e.Addrs = rec.Seq, m.GetName(), rec.Addrs
	if !changed {
		return nil
	}
	return []Event{Updated(e.Member)}
}

func (r *roster) drop(id peer.ID, reason LeftReason) []Event {
	if _, ok := r.members[id]; !ok {
		return nil
	}
	delete(r.members, id)
	return []Event{Left{id, reason}}
}

// handle takes a message of a lobby that the client is in.
func (r *roster) handle(m *lobbywire.Message) []Event {
	switch k := m.GetKind().(type) {
	case *lobbywire.Message_Joined:
		return r.put(k.Joined)
	case *lobbywire.Message_Updated:
		return r.put(k.Updated)
	case *lobbywire.Message_Left:
		reason := SaidSo
		if k.Left.GetVanished() {
			reason = Vanished
		}
		return r.drop(peer.ID(k.Left.GetPeer()), reason)
	}
	return nil
}

// tick is called once a tick while the client is in the lobby: without it nobody
// leaves.
func (r *roster) tick() (events []Event) {
	for id, e := range r.members {
		if e.missing == 0 {
			continue
		}
		if e.missing--; e.missing == 0 {
			events = append(events, r.drop(id, Vanished)...)
		}
	}
	return events
}

func (r *roster) sorted() []Member {
	out := make([]Member, 0, len(r.members))
	for _, e := range r.members {
		out = append(out, e.Member)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(string(a.Peer), string(b.Peer)) })
	return out
}
