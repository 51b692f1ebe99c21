package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// What a peer says of rooms is bounded and counted, whatever it says.
func TestHostileRooms(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, tone(440, 0.2))
		defer closeAll(t, m)
		for i := range 3 {
			speak(t, m, session.Room(fmt.Sprintf("room-%d", i)))
		}
		m.start(t)
		r := newRogue(t, net, 3, m)
		rooms := func(x *wire.Rooms) {
			must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Rooms{Rooms: x}})))
			time.Sleep(5 * time.Millisecond)
		}
		for i := range 100 {
			var many []*wire.Room
			for k := range 5 {
				many = append(many, &wire.Room{Number: wire.MaxRoomNumber, Name: fmt.Sprintf("%d-%d-\x1b%s", i, k, strings.Repeat("y", 40))})
			}
			rooms(&wire.Rooms{Joined: many, Left: []uint32{uint32(i), 1 << 31}})
		}
		time.Sleep(time.Second)
		names, _ := m.PeerRooms(r.Self())
		if len(names) != session.MaxRooms || m.Stats().RoomsRefused != 500-session.MaxRooms {
			t.Errorf("it listens to %d rooms, %d were refused", len(names), m.Stats().RoomsRefused)
		}
		for _, name := range names {
			if strings.Contains(name, "\x1b") {
				t.Errorf("%q isn't fit to be shown", name)
			}
		}
		if got := m.Stats().Malformed; got != 0 {
			t.Errorf("%d malformed", got)
		}
		rooms(&wire.Rooms{Left: []uint32{wire.MaxRoomNumber}, NamedOnly: new(true)})
		rooms(&wire.Rooms{Joined: []*wire.Room{{Number: 1, Name: "room-0"}, {Number: 2, Name: "room-0"}, {Number: 2, Name: "room-1"}}})
		time.Sleep(time.Second)
		if names, all := m.PeerRooms(r.Self()); !slices.Equal(names, []string{"room-0", "room-1"}) || all {
			t.Errorf("it listens to %q, to all: %t", names, all)
		}
		if !statsOf(t, m, r.Self()).Addressed {
			t.Error("it isn't spoken to")
		}
		must(t, r.Close())
	})
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) { // before its hello
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		r := &rogue{Transport: net.Transport(sessiontest.PeerID(3))}
		must(t, r.Open(r))
		must(t, r.Join(m.id))
		must(t, m.PeerJoined(r.Self()))
		must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{Joined: []*wire.Room{{Name: "x"}}}}})))
		time.Sleep(time.Second)
		if names, _ := m.PeerRooms(r.Self()); len(names) != 0 || m.Stats().Malformed != 1 {
			t.Errorf("it listens to %q, %d malformed", names, m.Stats().Malformed)
		}
		must(t, r.Close())
	})
}

// Whoever speaks in rooms that we don't listen to, or invents some, is not heard.
func TestRoomsThatWeDoNotListenToAreNotHeard(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		must(t, m.Listen("left"))
		must(t, m.Leave("left"))
		must(t, m.Listen("team"))
		m.start(t)
		r := newRogue(t, net, 3, m)
		payload := testPayload(t, 20*time.Millisecond)
		seq := 0
		say := func(target uint32) (played uint64) {
			before := statsOf(t, m, r.Self())
			for range 50 {
				v := wire.Voice{Sequence: uint16(seq), Timestamp: uint32(2 * seq), Spurt: 1, Payload: payload}
				v.Channels = wire.AppendChannels(nil, []wire.Channel{{Target: wire.TargetRooms + 77, Gain: 1}, {Target: target, Gain: 1}})
				b, err := v.AppendTo(nil)
				must(t, err)
				must(t, r.SendVoice(m.id, b))
				seq++
				time.Sleep(20 * time.Millisecond)
			}
			after := statsOf(t, m, r.Self())
			return after.Jitter.PlayedSamples - before.Jitter.PlayedSamples
		}
		for name, c := range map[string]struct {
			target uint32
			heard  bool
		}{
			"a room that was left":    {wire.TargetRooms, false},
			"a room of ours":          {wire.TargetRooms + 1, true},
			"a room to come":          {wire.TargetRooms + 2, false},
			"the last room":           {wire.TargetRooms + wire.MaxRoomNumber, false},
			"a room without a number": {wire.TargetUnnamed, false},
			"us alone":                {wire.TargetWhisper, true},
			"everyone":                {wire.TargetEveryone, true},
		} {
			time.Sleep(time.Second)
			if got := say(c.target); (got > audio.SampleRate*8/10) != c.heard || !c.heard && got > 0 {
				t.Errorf("%s: %d samples of a second were played, want %t", name, got, c.heard)
			}
		}
		must(t, r.Close())
	})
}

// A peer that knows no rooms hears what is said in any of them, as what is said to
// everyone, unless the application doesn't let it; and is told nothing that ends
// the conversation.
func TestOlderPeersHearAllRooms(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
			m := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) {
				c.Authorize = func(claim session.Claim) error {
					if claim.To == session.Room("team") && claim.Action == session.ToListen && !allowed {
						return errors.New("no")
					}
					return nil
				}
			})
			defer closeAll(t, m)
			c := speak(t, m, session.Room("team"))
			c.SetPriority(session.High)
			m.start(t)
			r := &listening{rogue: rogue{net.Transport(sessiontest.PeerID(3))}}
			must(t, r.Open(r))
			must(t, r.Join(m.id))
			must(t, m.PeerJoined(r.Self()))
			must(t, r.SendControl(m.id, hello(t)))
			time.Sleep(2 * time.Second)
			if plain, other := r.plain.Load(), r.other.Load(); (plain > 80) != allowed || !allowed && plain > 0 || other > 0 {
				t.Errorf("allowed: %t: it was sent %d plain packets and %d others", allowed, plain, other)
			}
			packet := testPackets(t)
			for i := range 50 {
				must(t, r.SendVoice(m.id, packet(i, 2*i, 1)))
				time.Sleep(20 * time.Millisecond)
			}
			if got := statsOf(t, m, r.Self()).Jitter.PlayedSamples; got < audio.SampleRate*8/10 {
				t.Errorf("%d samples of a second of it were heard", got)
			}
			must(t, r.Close())
		})
	}
}

// listening is a rogue that counts what it hears.
type listening struct {
	rogue
	plain, other atomic.Int64
}

func (l *listening) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	if b[0]>>4 == 1 {
		l.plain.Add(1)
	} else {
		l.other.Add(1)
	}
}

// What a peer said before it crashed doesn't count when it is back.
func TestANewEpochKnowsNoRooms(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, tone(440, 0.2))
		defer closeAll(t, m)
		m.start(t)
		r := newRogue(t, net, 3, m)
		must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{
			NamedOnly: new(true), Joined: []*wire.Room{{Number: 1, Name: "team"}}, Token: []byte("old"),
		}}})))
		time.Sleep(time.Second)
		if names, all := m.PeerRooms(r.Self()); len(names) != 1 || all {
			t.Fatalf("it listens to %q, to all: %t", names, all)
		}
		must(t, r.Close())
		again := &listening{rogue: rogue{net.Transport(sessiontest.PeerID(3))}}
		must(t, again.Open(again))
		must(t, again.Join(m.id))
		must(t, again.SendControl(m.id, hello(t)))
		speak(t, m, session.Room("elsewhere"))
		time.Sleep(2 * time.Second)
		if names, all := m.PeerRooms(r.Self()); len(names) != 0 || !all {
			t.Errorf("back it listens to %q, to all: %t", names, all)
		}
		if plain, other := again.plain.Load(), again.other.Load(); plain < 80 || other != 0 {
			t.Errorf("back it was sent %d plain packets and %d others", plain, other)
		}
		must(t, again.Close())
	})
}
