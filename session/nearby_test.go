package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// sentIn is how many packets somebody sends a peer in the next 400 ms; the first
// 200 are for what changed to be noticed.
func sentIn(t *testing.T, m, to *member) int {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	before := m.peer(t, to).Sent
	time.Sleep(400 * time.Millisecond)
	return int(m.peer(t, to).Sent - before)
}

// Who is near is spoken to; who is far is sent nothing; who walks along the border
// doesn't come and go.
func TestOnlyWhoIsNearIsSpokenTo(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, walker := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		still, lost := newMember(t, net, 3, nil), newMember(t, net, 4, nil)
		defer closeAll(t, talker, walker, still, lost)
		must(t, talker.SetPeerPose(walker.id, at(100, 0)))
		must(t, talker.SetPeerPose(still.id, at(0, 5)))
		near := speak(t, talker, session.Everyone().Within(20))
		meet(t, talker, walker, still, lost)
		if n := sentIn(t, talker, still); n != 0 {
			t.Errorf("%d packets before we know where we are", n)
		}
		must(t, talker.SetPose(at(0, 0)))
		for _, tt := range []struct {
			at    float64
			voice bool
		}{
			{100, false},
			{22.1, false},
			{20, false},
			{19.9, true},
			{21, true},
			{21.9, true},
			{22.1, false},
			{21, false},
			{20.1, false},
			{0, true},
			{1e90, false},
			{1, true},
		} {
			must(t, talker.SetPeerPose(walker.id, at(tt.at, 0)))
			if n := sentIn(t, talker, walker); tt.voice != (n >= 19) || tt.voice != (n > 0) {
				t.Errorf("%g away: %d packets in 400 ms", tt.at, n)
			}
		}
		if n := sentIn(t, talker, still); n < 19 {
			t.Errorf("%d packets to who stands near", n)
		}
		if n := talker.peer(t, lost).Sent; n != 0 {
			t.Errorf("%d packets to somebody of whom nothing is known", n)
		}
		if why := talker.Why(lost.id); !strings.Contains(why, "how far away it is isn't known") {
			t.Errorf("why: %s", why)
		}
		must(t, talker.SetPeerPose(walker.id, at(30, 0)))
		time.Sleep(200 * time.Millisecond)
		if why := talker.Why(walker.id); !strings.Contains(why, "it is 30 away, and we speak up to 20") {
			t.Errorf("why: %s", why)
		}
		talker.ClearPose()
		if n := sentIn(t, talker, still); n != 0 {
			t.Errorf("%d packets when we don't know any more where we are", n)
		}
		must(t, talker.SetPose(at(0, 0)))
		near.Close()
		if n := sentIn(t, talker, still); n != 0 {
			t.Errorf("%d packets through a channel that is closed", n)
		}
	})
}

// The voice of who walks away fades: it is as loud as ever up to four fifths, and
// nothing at the border, and never becomes louder or falls at once.
func TestAVoiceFadesAtTheBorder(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		must(t, talker.SetPose(at(0, 0)))
		must(t, talker.SetPeerPose(listener.id, at(15, 0)))
		speak(t, talker, session.Everyone().Within(20))
		meet(t, talker, listener)
		wantSides(t, "within four fifths", listener, 1, 1)
		last, from := 1.1, time.Since(listener.Stats().Speaker.Start)
		for x := 15.0; x < 20; x += 0.25 { // at a run
			must(t, talker.SetPeerPose(listener.id, at(x, 0)))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(150 * time.Millisecond)
		for now := from; now < from+time.Second; now += 20 * time.Millisecond {
			loud := listener.loudness(now, now+20*time.Millisecond) / full
			if loud > last+0.03 || loud < last-0.15 {
				t.Fatalf("%v: from %.3f to %.3f", now-from, last, loud)
			}
			last = loud
		}
		must(t, talker.SetPeerPose(listener.id, at(20.5, 0)))
		wantSides(t, "at the border", listener, 0, 0)
		if p := listener.peer(t, talker); p.Heard.Gain != 0 || p.Heard.Positional || p.Heard.Through[0] != session.Everyone() {
			t.Errorf("heard as %+v", p.Heard)
		}
	})
}

// A room that reaches only so far, and the same without a limit, are one to who
// hears both.
func TestWithinIsAPartOfARoom(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, near, far := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		elsewhere := newMember(t, net, 4, nil)
		asked := make(map[session.Target]bool)
		talker.Close()
		talker = newMember(t, net, 1, tone(440, 0.2), func(cfg *session.Config) {
			cfg.Authorize = func(c session.Claim) error {
				asked[c.To] = true
				return nil
			}
		})
		defer closeAll(t, talker, near, far, elsewhere)
		must(t, near.Listen("team"))
		must(t, far.Listen("team"))
		must(t, elsewhere.Listen("other"))
		must(t, talker.SetPose(at(0, 0)))
		for m, x := range map[*member]float64{near: 5, elsewhere: 5, far: 50} {
			must(t, talker.SetPeerPose(m.id, at(x, 0)))
		}
		to := session.Room("team").Within(10)
		local := speak(t, talker, to)
		meet(t, talker, near, far, elsewhere)
		if n := sentIn(t, talker, near); n < 19 {
			t.Errorf("%d packets to who is near", n)
		}
		if n, m := sentIn(t, talker, far), sentIn(t, talker, elsewhere); n > 0 || m > 0 {
			t.Errorf("%d packets to who is far away, %d to who isn't in the room", n, m)
		}
		local.SetPositional(true)
		radio := speak(t, talker, session.Room("team"))
		radio.SetPriority(session.High)
		if n := sentIn(t, talker, far); n < 19 {
			t.Errorf("%d packets by radio", n)
		}
		if h := near.peer(t, talker).Heard; len(h.Through) != 1 || h.Priority != session.High || h.Positional || h.Gain != 1 {
			t.Errorf("heard as %+v", h)
		}
		if asked[to] || !asked[session.Room("team")] {
			t.Errorf("asked about %v", asked)
		}
		if r, limited := to.Radius(); r != 10 || !limited || to.String() != `in room "team" within 10` || to == session.Room("team") {
			t.Errorf("target %v", to)
		}
	})
}

// Texts with a radius go to who is near when they are sent.
func TestTextsReachWhoIsNear(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m, near, far := newMember(t, net, 1, nil), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		defer closeAll(t, m, near, far)
		for _, s := range []*member{m, near, far} {
			s.start(t)
		}
		for _, other := range []*member{near, far} {
			must(t, m.PeerJoined(other.id))
			must(t, other.PeerJoined(m.id))
		}
		time.Sleep(time.Second)
		if err := m.SendText(session.Whisper(near.id).Within(10), "where are you?"); !errors.Is(err, session.ErrTarget) {
			t.Errorf("to who may be anywhere: %v", err)
		}
		must(t, m.SetPose(spatial.Pose{}))
		must(t, m.SetPeerPose(near.id, spatial.Pose{Position: spatial.Vec{X: 9}}))
		must(t, m.SetPeerPose(far.id, spatial.Pose{Position: spatial.Vec{X: 11}}))
		must(t, m.SendText(session.Everyone().Within(10), "psst"))
		if err := m.SendText(session.Whisper(far.id).Within(10), "psst"); !errors.Is(err, session.ErrTarget) {
			t.Errorf("to who is far away: %v", err)
		}
		if err := m.SendText(session.Everyone().Within(-1), "psst"); !errors.Is(err, session.ErrTarget) {
			t.Errorf("within less than nothing: %v", err)
		}
		if e := next[session.TextReceived](t, near, time.Second); e.Text != "psst" || e.To != session.Everyone() {
			t.Errorf("who is near got %+v", e)
		}
		time.Sleep(time.Second)
		for len(far.Events()) > 0 {
			if e, ok := (<-far.Events()).(session.TextReceived); ok {
				t.Errorf("who is far got %+v", e)
			}
		}
	})
}
