package session

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// What FuzzRooms does with the bytes that it is given: an operation, the length of
// what follows, and that.
const (
	fuzzControl  = iota // a control message of the peer
	fuzzVoice           // a voice packet of the peer
	fuzzChannels        // a good voice packet of the peer, with that as its channels
	fuzzListen          // we listen to a room
	fuzzLeave
	fuzzSpeak // we open a channel
	fuzzClose // and close one
	fuzzBlock
	fuzzEpoch // the peer joins anew
	fuzzOps
)

var fuzzRooms = []string{"red", "green", "gold", "x"}

// roomsFuzz is a conversation with two, of whom one says what a fuzzer likes.
type roomsFuzz struct {
	*conversation
	t    *testing.T
	open []*Channel
	now  time.Time
	said wire.Voice // the packet that the peer says again and again
}

// Whatever a peer says of rooms, and in whichever channels it speaks: what is kept of it
// is bounded, it is spoken to only in rooms that it said it listens to, heard only in
// those that we do, and another peer is concerned by none of it.
func FuzzRooms(f *testing.F) {
	message := func(op byte, b []byte) []byte { return append([]byte{op, byte(len(b))}, b...) }
	control := func(c *wire.Control) []byte {
		b, err := wire.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		return message(fuzzControl, b)
	}
	hello := control(&wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Rooms: true}}})
	rooms := control(&wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{
		NamedOnly: new(true), Token: []byte("key"), Joined: []*wire.Room{{Number: 0, Name: "red"}, {Number: 7, Name: "gold"}},
	}}})
	left := control(&wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{Left: []uint32{7}}}})
	bye := control(&wire.Control{Kind: &wire.Control_Bye{Bye: &wire.Bye{}}})
	said := message(fuzzChannels, wire.AppendChannels(nil, []wire.Channel{{Target: wire.TargetRooms + 1, Gain: 1}, {Target: wire.TargetWhisper, Gain: 2}}))
	f.Add(false, slices.Concat(hello, rooms, message(fuzzSpeak, []byte{0, 2}), message(fuzzSpeak, []byte{1, 0}), left, said))
	f.Add(true, slices.Concat(hello, rooms, message(fuzzListen, []byte{2}), message(fuzzListen, []byte{0}), said, message(fuzzLeave, []byte{0}), said))
	f.Add(true, slices.Concat(message(fuzzSpeak, []byte{2, 0}), rooms, hello, said, message(fuzzBlock, []byte{1}), said, message(fuzzBlock, nil), bye, rooms))
	f.Add(false, slices.Concat(hello, rooms, message(fuzzEpoch, nil), said, message(fuzzVoice, []byte{0x20, 0, 1, 0, 0, 2, 1, 0x15, 0x78}), message(fuzzClose, []byte{0})))
	f.Add(false, slices.Concat(hello, rooms, message(fuzzSpeak, []byte{1, 1}), message(fuzzSpeak, []byte{2}), message(fuzzBlock, []byte{1})))
	var many []byte
	for i := range 2 * MaxRooms {
		many = append(many, control(&wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{Joined: []*wire.Room{{Number: uint32(i), Name: fmt.Sprint(i)}}}}})...)
	}
	f.Add(false, append(hello, many...))
	var packet wire.Voice
	if err := packet.Parse(replay(f, 1)[0]); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, authorizes bool, b []byte) {
		r := &roomsFuzz{conversation: still(t, &loop{}, 2), t: t, now: time.Unix(1000, 0), said: packet}
		if authorizes {
			r.s.cfg.Authorize = mayNotBeInGold
			r.cfg.Authorize = mayNotBeInGold
			_ = r.s.address(func(*addressing) error { return nil })
			r.readdressAll()
		}
		for len(b) >= 2 {
			n := min(int(b[1]), len(b)-2)
			r.do(b[0]%fuzzOps, b[2:2+n])
			b = b[2+n:]
			r.now = r.now.Add(20 * time.Millisecond)
			for _, p := range r.roster.list() {
				r.readdress(p)
				r.lookAtRooms(p, r.now)
			}
			r.check()
		}
	})
}

func mayNotBeInGold(c Claim) error {
	if c.To == Room("gold") && string(c.Token) != "key" {
		return errors.New("no key")
	}
	return nil
}

// do does one thing, with the bytes that say how.
func (r *roomsFuzz) do(op byte, b []byte) {
	p := r.roster.list()[0]
	at := func(i, most int) int {
		if i < len(b) {
			return int(b[i]) % most
		}
		return 0
	}
	switch op {
	case fuzzControl:
		r.Control(p.id, b)
	case fuzzVoice:
		r.Voice(p.id, b, r.now)
	case fuzzChannels:
		r.hear(p, b)
	case fuzzListen:
		_ = r.s.Listen(fuzzRooms[at(0, len(fuzzRooms))])
	case fuzzLeave:
		_ = r.s.Leave(fuzzRooms[at(0, len(fuzzRooms))])
	case fuzzSpeak:
		target := []Target{Room(fuzzRooms[at(1, len(fuzzRooms))]), Whisper(r.roster.list()[at(1, 2)].id), Everyone()}[at(0, 3)]
		if c, err := r.s.Speak(target); err == nil {
			r.open = append(r.open, c)
		}
	case fuzzClose:
		if len(r.open) > 0 {
			i := at(0, len(r.open))
			r.open[i].Close()
			r.open = slices.Delete(r.open, i, i+1)
		}
	case fuzzBlock:
		r.s.SetPeerBlocked(p.id, at(0, 2) == 1)
		r.reblock(p)
	case fuzzEpoch:
		r.PathChanged(p.id, link.Path{Kind: link.LAN, Epoch: p.epoch + 1})
	}
}

// hear has the peer say a good packet in these channels, and checks whether it is to
// be heard.
func (r *roomsFuzz) hear(p *peer, channels []byte) {
	v := &r.said
	v.Sequence++
	v.Timestamp += 2
	v.Channels = channels
	b, err := v.AppendTo(nil)
	if err != nil {
		return // no channels
	}
	refused, taken := p.hearing.refused.Load(), p.player.jitterStats().Received
	r.Voice(p.id, b, r.now)
	wasRefused, wasTaken := p.hearing.refused.Load() > refused, p.player.jitterStats().Received > taken
	w := r.s.wishes()
	admitted := len(channels) == 0
	for c := range channelsOf(channels) {
		switch {
		case len(channels) == 0:
		case c.Target >= wire.TargetRooms:
			i := slices.IndexFunc(w.rooms, func(o ownRoom) bool { return o.number == c.Target-wire.TargetRooms })
			admitted = admitted || !w.namedOnly || i >= 0
		case c.Target == wire.TargetUnnamed:
			admitted = admitted || !w.namedOnly
		default:
			admitted = true
		}
	}
	if blocked := p.settings.blocked.Load(); wasTaken && (blocked || !admitted) {
		r.t.Errorf("it is heard in %x, blocked: %t, in %v", channels, blocked, w.rooms)
	} else if wasRefused && (wasTaken || !blocked && admitted && r.cfg.Authorize == nil) {
		r.t.Errorf("it isn't heard in %x, in %v, named only: %t", channels, w.rooms, w.namedOnly)
	}
}

// check checks what is kept of both, and how they are reached.
func (r *roomsFuzz) check() {
	w := r.s.wishes()
	for i, p := range r.roster.list() {
		p.mu.Lock()
		if len(p.rooms.listens) > MaxRooms || len(p.rooms.token) > MaxToken || len(p.verdicts.of) > 3+2*MaxRooms+MaxOpenChannels {
			r.t.Errorf("%d rooms, a token of %d bytes and %d verdicts are kept of a peer", len(p.rooms.listens), len(p.rooms.token), len(p.verdicts.of))
		}
		if i == 1 && (len(p.rooms.listens) > 0 || p.rooms.heard || p.hearing.refused.Load() > 0) {
			r.t.Errorf("another peer is concerned: %+v", p.rooms)
		}
		if p.settings.blocked.Load() && p.reached {
			r.t.Error("a blocked peer is reached")
		}
		r.checkRouteLocked(p, w)
		p.mu.Unlock()
	}
}

// checkRouteLocked checks that what packets to a peer say is of what we speak to and
// it listens to.
func (r *roomsFuzz) checkRouteLocked(p *peer, w *wishes) {
	list := p.listener.route.Load().channels()
	if !p.reached || len(list) == 0 {
		return
	}
	spoken := func(to Target) bool {
		return slices.ContainsFunc(w.targets, func(o outgoing) bool { return o.to == to })
	}
	for more := true; more; {
		var c wire.Channel
		var err error
		if c, list, more, err = wire.NextChannel(list); err != nil {
			r.t.Fatal(err)
		}
		ok := false
		switch c.Target {
		case wire.TargetEveryone:
			ok = spoken(Everyone())
		case wire.TargetWhisper:
			ok = spoken(Whisper(p.id))
		case wire.TargetUnnamed:
			ok = !p.rooms.namedOnly
		default:
			for name, number := range p.rooms.listens {
				ok = ok || number == c.Target-wire.TargetRooms && spoken(Room(name)) && p.allowedLocked(r.conversation, ToListen, Room(name)) == nil
			}
		}
		if !ok {
			r.t.Errorf("it is spoken to through %d, listens to %v, and we speak to %v", c.Target, p.rooms.listens, w.targets)
		}
	}
	if len(list) > 0 {
		r.t.Errorf("a list of channels is followed by %x", list)
	}
}
