package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// inbox is an outbox that keeps what it is told, as a member would understand
// it.
type inbox struct {
	t       *testing.T
	self    peer.ID
	ended   bool
	code    lobbywire.Code
	how     ending
	resumed bool
	room    map[peer.ID]string // who is there, and the name
	beats   int
	updates int
	left    map[peer.ID]string
}

func (b *inbox) end(code lobbywire.Code, how ending) {
	if !b.ended {
		b.ended, b.code, b.how = true, code, how
	}
}

func (b *inbox) send(frames ...[]byte) {
	if b.ended {
		return
	}
	for _, f := range frames {
		m, _, err := lobbywire.ReadFrame(bytes.NewReader(f))
		if err != nil {
			b.t.Fatal(err)
		}
		switch k := m.GetKind().(type) {
		case *lobbywire.Message_Welcome:
			b.resumed = k.Welcome.GetResumed()
			b.room, b.left = map[peer.ID]string{}, map[peer.ID]string{}
		case *lobbywire.Message_Members:
			for _, o := range k.Members.GetMembers() {
				b.room[peer.ID(o.GetPeer())] = o.GetName()
			}
		case *lobbywire.Message_Joined:
			id := peer.ID(k.Joined.GetPeer())
			if _, here := b.room[id]; here {
				b.t.Errorf("%x: %x joined twice", b.self, id)
			}
			b.room[id] = k.Joined.GetName()
		case *lobbywire.Message_Updated:
			id := peer.ID(k.Updated.GetPeer())
			if _, here := b.room[id]; !here {
				b.t.Errorf("%x: %x updated and not there", b.self, id)
			}
			b.room[id] = k.Updated.GetName()
			b.updates++
		case *lobbywire.Message_Left:
			id := peer.ID(k.Left.GetPeer())
			if _, here := b.room[id]; !here {
				b.t.Errorf("%x: %x left and not there", b.self, id)
			}
			delete(b.room, id)
			b.left[id] = map[bool]string{false: "left", true: "vanished"}[k.Left.GetVanished()]
		case *lobbywire.Message_Beat:
			b.beats++
		default:
			b.t.Errorf("a member is sent %v", m)
		}
	}
}

func newHub(l Limits) *hub {
	l = l.withDefaults()
	return &hub{limits: l, quota: newQuota(l), counters: &counters{}, instance: []byte("instance"), rooms: map[string]*room{}}
}

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func from(id peer.ID, code, name string) arrival {
	return arrival{code: code, name: name, origin: origin{peer: id, addr: netip.MustParseAddr("1.2.3.4")}, record: []byte("record")}
}

var testBeat = []byte{2, 0x22, 0}

func TestBeatFrame(t *testing.T) {
	want, err := lobbywire.AppendFrame(nil, &lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}})
	if err != nil || !bytes.Equal(testBeat, want) {
		t.Errorf("%x, want %x, %v", testBeat, want, err)
	}
}

func TestTimesOfPresence(t *testing.T) {
	for name, c := range map[string]struct {
		before   func(h *hub, b *inbox) // each tick
		how      string
		min, max time.Duration
	}{
		"its stream ended": {func(h *hub, b *inbox) { h.lost("room", b.self, b) }, "vanished", 2 * time.Second, 2300 * time.Millisecond},
		"it is silent":     {func(*hub, *inbox) {}, "vanished", 10 * time.Second, 10300 * time.Millisecond},
		"it leaves":        {func(h *hub, b *inbox) { h.leave("room", b.self, b, t0) }, "left", 0, tick},
		"it lives":         {func(h *hub, b *inbox) { h.heard("room", b.self, b) }, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(Limits{})
			a, b := &inbox{t: t, self: "a"}, &inbox{t: t, self: "b"}
			for _, in := range []*inbox{a, b} {
				if err := h.join(from(in.self, "room", ""), in, t0); err != nil {
					t.Fatal(err)
				}
			}
			once, after := c.before, time.Duration(0)
			for n := range 80 { // 20 s
				h.heard("room", a.self, a)
				if n == 0 || name == "it lives" {
					once(h, b)
				}
				h.tick(t0, testBeat)
				if _, here := a.room[b.self]; !here && after == 0 {
					after = time.Duration(n+1) * tick
				}
			}
			if a.left[b.self] != c.how || after < c.min || after > c.max {
				t.Errorf("%q after %v, want %q after %v to %v", a.left[b.self], after, c.how, c.min, c.max)
			}
			if a.beats < 9 || a.beats > 10 {
				t.Errorf("%d beats in 20 s, want one every 2 s", a.beats)
			}
		})
	}
}

// A member that comes back takes its place, before and after its stream was
// found to have ended.
func TestComingBackTellsNobody(t *testing.T) {
	h := newHub(Limits{})
	a, first, second, third := &inbox{t: t, self: "a"}, &inbox{t: t, self: "b"}, &inbox{t: t, self: "b"}, &inbox{t: t, self: "b"}
	for _, in := range []*inbox{a, first, second} {
		if err := h.join(from(in.self, "room", "same"), in, t0); err != nil {
			t.Fatal(err)
		}
	}
	if !first.ended || first.code != lobbywire.Code_REPLACED || !second.resumed {
		t.Errorf("the old stream: %+v; the new one: %+v", first, second)
	}
	h.lost("room", "b", first) // of a stream that was replaced
	h.leave("room", "b", first, t0)
	for range graceTicks + 2 {
		h.heard("room", "a", a)
		h.heard("room", "b", second)
		h.tick(t0, testBeat)
	}
	h.lost("room", "b", second)
	for range graceTicks - 1 {
		h.tick(t0, testBeat)
	}
	if err := h.join(from("b", "room", "same"), third, t0); err != nil || !third.resumed {
		t.Fatal(err)
	}
	for range graceTicks + 2 {
		h.heard("room", "b", third)
		h.heard("room", "a", a)
		h.tick(t0, testBeat)
	}
	if len(a.left) != 0 || len(a.room) != 1 || a.updates != 0 {
		t.Errorf("left %v, there %v, %d updates", a.left, a.room, a.updates)
	}
	other := from("b", "room", "another name")
	other.addrs = []ma.Multiaddr{ma.StringCast("/ip4/1.2.3.4/tcp/1")}
	if err := h.join(other, &inbox{t: t, self: "b"}, t0); err != nil || a.room["b"] != "another name" || a.updates != 1 {
		t.Errorf("%v; there is %v", err, a.room)
	}
}

func TestUpdatesGrow(t *testing.T) {
	h := newHub(Limits{})
	a, b := &inbox{t: t, self: "a"}, &inbox{t: t, self: "b"}
	start := from("b", "room", "b")
	start.seq = 5
	_ = h.join(from("a", "room", "a"), a, t0)
	_ = h.join(start, b, t0)
	for _, c := range []struct {
		seq  uint64
		want bool
	}{{4, false}, {5, false}, {6, true}, {6, false}, {9, true}} {
		u := from("b", "room", "b")
		u.seq = c.seq
		if got := h.update(u, b); got != c.want {
			t.Errorf("update %d: %t, want %t", c.seq, got, c.want)
		}
	}
	if h.counters.snapshot().Updates != 2 {
		t.Errorf("%+v", h.counters.snapshot())
	}
}

func TestRoomsAndLobbyAreBounded(t *testing.T) {
	h := newHub(Limits{Members: 6, RoomMembers: 3, PeerRooms: 2, AddressRooms: 5})
	try := func(id peer.ID, code string, want Reason) {
		t.Helper()
		err := h.join(from(id, code, ""), &inbox{t: t, self: id}, t0)
		if want == "" && err != nil || want != "" && (err == nil || err.reason != want) {
			t.Errorf("%s in %s: %v, want %q", id, code, err, want)
		}
	}
	try("a", "one", "")
	try("b", "one", "")
	try("c", "one", "")
	try("d", "one", RoomFull)
	try("a", "one", "") // its own place again
	try("a", "two", "")
	try("a", "three", PeerRooms)
	try("d", "two", "")
	try("e", "two", AddressRooms)
	elsewhere := from("e", "two", "")
	elsewhere.origin.addr = netip.MustParseAddr("4.3.2.1")
	if err := h.join(elsewhere, &inbox{t: t, self: "e"}, t0); err != nil {
		t.Error(err)
	}
	elsewhere.origin.peer, elsewhere.code = "f", "three"
	if err := h.join(elsewhere, &inbox{t: t, self: "f"}, t0); err == nil || err.reason != LobbyFull {
		t.Errorf("%v, want %s", err, LobbyFull)
	}
	// Whoever comes back from an address that has no room left keeps the place
	// charged where it was.
	moved := from("e", "two", "")
	if err := h.join(moved, &inbox{t: t, self: "e"}, t0); err == nil || err.reason != AddressRooms {
		t.Errorf("%v, want %s", err, AddressRooms)
	}
	for code, ids := range map[string][]peer.ID{"one": {"a", "b", "c"}, "two": {"a", "d", "e"}} {
		for _, id := range ids {
			m := h.rooms[code].members[id]
			h.leave(code, id, m.box, t0)
		}
	}
	if members, rooms := h.size(); members != 0 || rooms != 0 {
		t.Errorf("%d members, %d rooms", members, rooms)
	}
	h.quota.sweep(t0.Add(time.Hour))
	if peers, addrs := h.quota.known(); peers != 0 || addrs != 0 {
		t.Errorf("%d peers and %d addresses are charged for nothing", peers, addrs)
	}
}

// simple is what a lobby should be, in the simplest words.
type simple struct {
	name          string
	away, silence int // ticks
	box           *inbox
}

func TestRandomComingAndGoing(t *testing.T) {
	seeds := uint64(100)
	if audiotest.UnderRaceDetector() {
		seeds = 5 // many times as much work, and one goroutine
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomLobby(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func randomLobby(t *testing.T, rng *rand.Rand) {
	h := newHub(Limits{})
	model := map[string]map[peer.ID]*simple{"one": {}, "two": {}}
	ids := []peer.ID{"a", "b", "c", "d", "e"}
	for step := range 1500 {
		code, id := []string{"one", "two"}[rng.IntN(2)], ids[rng.IntN(len(ids))]
		m := model[code][id]
		switch action := rng.IntN(8); {
		case action < 3: // join, come back, or join once more
			name := fmt.Sprint(rng.IntN(3))
			box := &inbox{t: t, self: id}
			if err := h.join(from(id, code, name), box, t0); err != nil {
				t.Fatal(err)
			}
			if box.resumed != (m != nil) {
				t.Fatalf("step %d: resumed %t, there before %t", step, box.resumed, m != nil)
			}
			if m != nil && m.box != nil && (!m.box.ended || m.box.code != lobbywire.Code_REPLACED) {
				t.Fatalf("step %d: the stream before goes on", step)
			}
			model[code][id] = &simple{name: name, box: box}
		case m == nil || m.box == nil:
		case action == 3:
			h.leave(code, id, m.box, t0)
			delete(model[code], id)
		case action == 4:
			h.lost(code, id, m.box)
			m.box, m.away = nil, 0
		default:
			h.heard(code, id, m.box)
			m.silence = 0
		}
		if rng.IntN(3) == 0 {
			h.tick(t0, testBeat)
			tickModel(t, model)
		}
		compare(t, step, h, model)
	}
}

func tickModel(t *testing.T, model map[string]map[peer.ID]*simple) {
	t.Helper()
	for _, r := range model {
		for id, m := range r {
			m.away++
			m.silence++
			switch {
			case m.box == nil && m.away > graceTicks:
				delete(r, id)
			case m.box != nil && m.silence > silenceTicks:
				if !m.box.ended || m.box.how != atOnce {
					t.Fatalf("the stream of the silent %s goes on", id)
				}
				delete(r, id)
			}
		}
	}
}

func compare(t *testing.T, step int, h *hub, model map[string]map[peer.ID]*simple) {
	t.Helper()
	total := 0
	for code, r := range model {
		total += len(r)
		for id, m := range r {
			if m.box == nil {
				continue
			}
			want := map[peer.ID]string{}
			for o, other := range r {
				if o != id {
					want[o] = other.name
				}
			}
			if fmt.Sprint(m.box.room) != fmt.Sprint(want) {
				t.Fatalf("step %d: %s in %s sees %v, want %v", step, id, code, m.box.room, want)
			}
		}
	}
	if members, _ := h.size(); members != total {
		t.Fatalf("step %d: %d members, want %d", step, members, total)
	}
}

// Everybody in a room of 200 sees everybody, with records of the size that hosts
// with several networks have; and again when all of them come back at once.
func TestARoomOf200(t *testing.T) {
	const members = 200
	h := newHub(Limits{})
	var boxes []*inbox
	join := func(n int) *inbox {
		box := &inbox{t: t, self: peer.ID(fmt.Sprintf("member %03d", n))}
		a := from(box.self, "room", fmt.Sprint(n))
		a.record = make([]byte, 900)
		if err := h.join(a, box, t0); err != nil {
			t.Fatalf("member %d: %+v", n, err)
		}
		return box
	}
	for n := range members {
		boxes = append(boxes, join(n))
	}
	for n, b := range boxes {
		h.lost("room", b.self, b)
		boxes[n] = join(n)
	}
	for _, b := range boxes {
		if len(b.room) != members-1 || !b.resumed || b.ended || len(b.left) > 0 {
			t.Fatalf("%s sees %d, resumed %t, ended %t, left %v", b.self, len(b.room), b.resumed, b.ended, b.left)
		}
	}
}
