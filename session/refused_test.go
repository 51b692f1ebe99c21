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

// decoded is how many frames all decoders of a codec made.
func decoded(c *sessiontest.Codec) (n int) {
	for _, d := range c.Decoders() {
		n += len(d.Frames())
	}
	return n
}

// Who is blocked isn't heard, not decoded and not sent anything, both while it
// knows and when it sends all the same; and it is as before when that is over.
func TestBlockingIsBothWays(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		frames := &sessiontest.Codec{Record: true}
		blocker := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) { c.Codec = frames })
		other := newMember(t, net, 2, tone(330, 0.2))
		defer closeAll(t, blocker, other)
		meet(t, blocker, other)
		if got := playedIn(t, time.Second, blocker, other); got < 950*time.Millisecond {
			t.Fatalf("heard %v of a second before", got)
		}
		blocker.SetPeerBlocked(other.id, true)
		end := blocker.peer(t, other).Jitter.PlayedSamples
		time.Sleep(30 * time.Millisecond)
		if got := blocker.loudness(time.Since(blocker.Stats().Speaker.Start)-9*time.Millisecond, time.Hour); got != 0 {
			t.Errorf("30 ms after it was blocked it is heard, %.4f", got)
		}
		time.Sleep(300 * time.Millisecond)
		st := blocker.peer(t, other)
		if got := st.Jitter.PlayedSamples - end; got > 480 || st.Refused == 0 {
			t.Errorf("%d samples were played after it was blocked, %d packets refused", got, st.Refused)
		}
		if !strings.Contains(blocker.Why(other.id), "blocked") || st.Addressed {
			t.Errorf("Why = %q, addressed %t", blocker.Why(other.id), st.Addressed)
		}
		before, sent, back := decoded(frames), st.Sent, other.peer(t, blocker)
		time.Sleep(3 * time.Second)
		after := other.peer(t, blocker)
		if got := decoded(frames) - before; got != 0 || blocker.peer(t, other).Sent != sent {
			t.Errorf("%d frames decoded, %d packets sent", got, blocker.peer(t, other).Sent-sent)
		}
		if !after.Muted || !after.Deafened || !after.Reachable || after.Sent != back.Sent {
			t.Errorf("to the other one it looks muted %t, deafened %t, reachable %t; %d packets were sent to it", after.Muted, after.Deafened, after.Reachable, after.Sent-back.Sent)
		}
		if strings.Contains(other.Why(blocker.id), "block") {
			t.Errorf("the other one knows: %q", other.Why(blocker.id))
		}
		blocker.SetPeerBlocked(other.id, false)
		time.Sleep(300 * time.Millisecond)
		if a, b := playedIn(t, time.Second, blocker, other), playedIn(t, time.Second, other, blocker); a < 950*time.Millisecond || b < 950*time.Millisecond {
			t.Errorf("afterwards heard %v and %v of a second", a, b)
		}
		if after := other.peer(t, blocker); after.Muted || after.Deafened || after.Jitter.ConcealedSamples != 0 {
			t.Errorf("afterwards it looks muted %t, deafened %t; concealed %d", after.Muted, after.Deafened, after.Jitter.ConcealedSamples)
		}
	})
}

func TestBlocksOutliveTheStay(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m, other := newMember(t, net, 1, nil), newMember(t, net, 2, tone(330, 0.2))
		defer closeAll(t, m, other)
		m.SetPeerBlocked(sessiontest.PeerID(9), true)
		m.SetPeerBlocked(other.id, true)
		m.SetPeerBlocked(sessiontest.PeerID(8), true)
		m.SetPeerBlocked(sessiontest.PeerID(8), false)
		meet(t, m, other)
		if got := playedIn(t, time.Second, m, other); got != 0 || !m.PeerBlocked(other.id) {
			t.Errorf("heard %v of a peer that was blocked before it came", got)
		}
		must(t, m.PeerLeft(other.id))
		must(t, m.Stop())
		m.start(t)
		m.joined(t, other)
		time.Sleep(time.Second)
		if got := playedIn(t, time.Second, m, other); got != 0 {
			t.Errorf("heard %v of a blocked peer that came back", got)
		}
		want := []identity.PeerID{other.id, sessiontest.PeerID(9)}
		slices.Sort(want)
		if got := m.BlockedPeers(); !slices.Equal(got, want) {
			t.Errorf("blocked: %v, want %v", got, want)
		}
	})
}

// spy is a member's transport that notes what it is told.
type spy struct {
	rogue
	control []*wire.Control
	voice   int
}

func (s *spy) Control(_ identity.PeerID, b []byte) {
	if m, err := wire.Unmarshal(b); err == nil {
		s.control = append(s.control, m)
	}
}

func (s *spy) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	if len(b) > 20 { // more than the end of a spurt
		s.voice++
	}
}

// Who may neither speak nor listen learns nothing of what is decided about it, and
// not which rooms there are; what it sends all the same costs no decoding.
func TestWhoIsRefusedLearnsNothing(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		frames := &sessiontest.Codec{Record: true}
		reason := errors.New("wrong \x1b[2Jticket")
		m := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) {
			c.Codec = frames
			c.Authorize = func(session.Claim) error { return reason }
		})
		defer closeAll(t, m)
		must(t, m.Listen("secret meeting"))
		speak(t, m, session.Room("secret meeting"))
		speak(t, m, session.Everyone())
		m.start(t)
		s := &spy{rogue: rogue{net.Transport(sessiontest.PeerID(3))}}
		must(t, s.Open(s))
		must(t, s.Join(m.id))
		must(t, m.PeerJoined(s.Self()))
		must(t, s.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Rooms: true}}})))
		must(t, s.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Rooms{Rooms: &wire.Rooms{
			Joined: []*wire.Room{{Number: 5, Name: "secret meeting"}}, Token: []byte("forged"),
		}}})))
		time.Sleep(100 * time.Millisecond)
		payload := testPayload(t, 20*time.Millisecond)
		for i := range 300 {
			v := wire.Voice{Sequence: uint16(i), Timestamp: uint32(2 * i), Spurt: 1, Payload: payload}
			if target := i % 4; target < 3 { // room 0, whisper, everyone; everyone in another way
				v.Channels = wire.AppendChannels(nil, []wire.Channel{{Target: []uint32{wire.TargetRooms, wire.TargetWhisper, wire.TargetEveryone}[target], Gain: 1}})
			}
			b, err := v.AppendTo(nil)
			must(t, err)
			must(t, s.SendVoice(m.id, b))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		for _, c := range s.control {
			if strings.Contains(c.String(), "secret") || c.GetReport() != nil || c.GetState() != nil || c.GetBye() != nil {
				t.Errorf("it was told %v", c)
			}
		}
		if len(s.control) != 2 || s.voice != 0 { // hello, and that there are rooms
			t.Errorf("it was told %v and sent %d voice packets", s.control, s.voice)
		}
		st := statsOf(t, m, s.Self())
		if st.Refused != 300 || st.Jitter.Received != 0 || decoded(frames) != 0 || st.Addressed {
			t.Errorf("%d packets refused, %d received, %d decoded; addressed %t", st.Refused, st.Jitter.Received, decoded(frames), st.Addressed)
		}
		why := m.Why(s.Self())
		for _, part := range []string{`in room "secret meeting": wrong ` + "\uFFFD", "to everyone: wrong", "to us alone: wrong"} {
			if !strings.Contains(why, part) {
				t.Errorf("Why = %q, want %q in it", why, part)
			}
		}
		must(t, s.Close())
	})
}

// Decisions are asked for anew when the application wants it and when the peer
// shows another token, but not more often than once a second for that.
func TestDecisionsAreMadeAnew(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		var asked, open atomic.Int64
		m := newMember(t, net, 1, nil, func(c *session.Config) {
			c.Authorize = func(claim session.Claim) error {
				asked.Add(1)
				if open.Load() == 0 && string(claim.Token) != "key" {
					return errors.New("no key")
				}
				return nil
			}
		})
		talker := newMember(t, net, 2, tone(440, 0.2))
		defer closeAll(t, m, talker)
		must(t, m.Listen("team"))
		speak(t, talker, session.Room("team"))
		meet(t, m, talker)
		hears := func(what string, want bool) {
			t.Helper()
			time.Sleep(300 * time.Millisecond)
			if got := playedIn(t, time.Second, m, talker); (got > 950*time.Millisecond) != want || !want && got > 0 {
				t.Errorf("%s: heard %v of a second; %s", what, got, m.Why(talker.id))
			}
		}
		hears("without a key", false)
		must(t, talker.SetToken([]byte("key")))
		hears("with a key", true)
		must(t, talker.SetToken([]byte("another")))
		hears("with another key", false)
		open.Store(1)
		before := asked.Load()
		hears("before it is asked again", false)
		if got := asked.Load() - before; got != 0 {
			t.Errorf("asked %d times for no reason", got)
		}
		m.Reauthorize()
		hears("when all is open", true)
		open.Store(0)
		m.Reauthorize()
		hears("when all is closed", false)
		before = asked.Load()
		for i := range 300 {
			must(t, talker.SetToken(fmt.Append(nil, i)))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if got := asked.Load() - before; got > 5*4 || got == 0 {
			t.Errorf("300 tokens in 3 s made it be asked %d times", got)
		}
		must(t, talker.SetToken([]byte("key")))
		time.Sleep(time.Second)
		hears("with the key after all", true)
		if j := m.peer(t, talker).Jitter; j.Lost != 0 || j.Rejected != 0 {
			t.Errorf("%d lost, %d rejected", j.Lost, j.Rejected)
		}
	})
}

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
			if (r.plain > 80) != allowed || !allowed && r.plain > 0 || r.other > 0 {
				t.Errorf("allowed: %t: it was sent %d plain packets and %d others", allowed, r.plain, r.other)
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
	plain, other int
}

func (l *listening) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	if b[0]>>4 == 1 {
		l.plain++
	} else {
		l.other++
	}
}

// What was said in a room that we leave ends at once, though more of it is on the
// way and decoded already.
func TestLeavingARoomSilencesItAtOnce(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) { c.Encoding.FrameDuration = 60 * time.Millisecond }), newMember(t, net, 2, nil)
		defer closeAll(t, talker, m)
		must(t, m.Listen("team"))
		speak(t, talker, session.Room("team"))
		meet(t, talker, m)
		time.Sleep(time.Second)
		for range 20 {
			must(t, m.Leave("team"))
			time.Sleep(40 * time.Millisecond)
			if got := m.loudness(time.Since(m.Stats().Speaker.Start)-19*time.Millisecond, time.Hour); got != 0 {
				t.Errorf("20 ms after we left it is heard, %.4f", got)
			}
			must(t, m.Listen("team"))
			time.Sleep(487 * time.Millisecond)
			if got := m.loudness(time.Since(m.Stats().Speaker.Start)-100*time.Millisecond, time.Hour); got < 0.1 {
				t.Errorf("487 ms after we came back it is heard, %.4f", got)
			}
		}
		if j := m.peer(t, talker).Jitter; j.Lost != 0 || j.ConcealedSamples != 0 {
			t.Errorf("%d packets lost, %d samples concealed", j.Lost, j.ConcealedSamples)
		}
	})
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
		if again.plain < 80 || again.other != 0 {
			t.Errorf("back it was sent %d plain packets and %d others", again.plain, again.other)
		}
		must(t, again.Close())
	})
}
