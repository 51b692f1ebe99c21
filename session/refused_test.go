package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	mu      sync.Mutex // guards what follows
	control []*wire.Control
	voice   int
}

func (s *spy) Control(_ identity.PeerID, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, err := wire.Unmarshal(b); err == nil {
		s.control = append(s.control, m)
	}
}

func (s *spy) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
		s := &spy{rogue: rogue{Transport: net.Transport(sessiontest.PeerID(3))}}
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
		s.mu.Lock()
		for _, c := range s.control {
			if strings.Contains(c.String(), "secret") || c.GetReport() != nil || c.GetState() != nil || c.GetBye() != nil {
				t.Errorf("it was told %v", c)
			}
		}
		if len(s.control) != 2 || s.voice != 0 { // hello, and that there are rooms
			t.Errorf("it was told %v and sent %d voice packets", s.control, s.voice)
		}
		s.mu.Unlock()
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

// Why also says why we aren't heard, and the application is told what others
// listen to.
func TestWhyWeAreNotHeard(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) {
			c.Authorize = func(claim session.Claim) error {
				if claim.To == session.Room("staff") && claim.Action == session.ToListen {
					return errors.New("it is no member of the staff")
				}
				return nil
			}
		})
		other := newMember(t, net, 2, nil)
		defer closeAll(t, m, other)
		must(t, other.Listen("hall"))
		meet(t, m, other)
		says := func(want string) {
			t.Helper()
			time.Sleep(200 * time.Millisecond)
			why := m.Why(other.id)
			if want == "" && strings.Contains(why, "hear") || !strings.Contains(why, want) {
				t.Errorf("Why = %q, want %q in it", why, want)
			}
		}
		says("")
		staff := speak(t, m, session.Room("staff"))
		says("It may not hear what is said in room \"staff\": it is no member of the staff.")
		staff.Close()
		says("It doesn't hear us: no channel is open.")
		speak(t, m, session.Room("kitchen"))
		says("listens to none of the rooms that we speak to")
		next[session.RoomsChanged](t, m, time.Second)
		must(t, other.Listen("kitchen"))
		if e := next[session.RoomsChanged](t, m, time.Second); e.Peer != other.id {
			t.Errorf("%v changed rooms", e.Peer)
		}
		says("")
		must(t, other.Listen("kitchen"))
		must(t, other.SetToken([]byte("x")))
		time.Sleep(time.Second)
		for len(m.Events()) > 0 {
			if e, ok := (<-m.Events()).(session.RoomsChanged); ok {
				t.Errorf("%v came for no change", e)
			}
		}
	})
}
