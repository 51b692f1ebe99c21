package session_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

func shares(c *session.Config) { c.SharePose = 100 * time.Millisecond }

// Peers that ask for it learn from each other where they are, and hear each other from
// there; what the application says itself comes first.
func TestPeersTellWhereTheyAre(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2), shares), newMember(t, net, 2, nil, shares)
		deaf := newMember(t, net, 3, nil) // to poses
		defer closeAll(t, talker, listener, deaf)
		must(t, errors.Join(talker.SetPose(at(4, 0)), listener.SetPose(at(0, 0)), deaf.SetPose(at(0, 0))))
		meet(t, talker, listener, deaf)
		l, r := panned(0.25, 0.8)
		wantSides(t, "a peer that says where it is", listener, l, r)
		wantSides(t, "who doesn't ask", deaf, 1, 1)
		if p, ok := listener.PeerPose(talker.id); !ok || p != at(4, 0) {
			t.Errorf("the peer is at %v", p)
		}
		must(t, talker.SetPose(at(-4, 0)))
		wantSides(t, "it moved", listener, r, l)
		must(t, listener.SetPeerPose(talker.id, at(0, 2)))
		wantSides(t, "the application knows better", listener, 0.5, 0.5)
		listener.ClearPeerPose(talker.id)
		wantSides(t, "or not", listener, r, l)
		talker.ClearPose()
		wantSides(t, "it doesn't say any more", listener, 1, 1)
		must(t, talker.SetPose(at(4, 0)))
		wantSides(t, "it says again", listener, l, r)
		must(t, talker.Stop())
		talker.start(t)
		must(t, talker.PeerJoined(listener.id)) // the listener hears of another epoch only
		time.Sleep(2 * time.Second)
		wantSides(t, "it joined anew", listener, l, r)
		if _, known := deaf.PeerPose(talker.id); known {
			t.Error("who doesn't ask knows where the peer is")
		}
		near := speak(t, talker, session.Everyone().Within(3))
		defer near.Close()
		if n := sentIn(t, talker, listener); n > 0 {
			t.Errorf("%d packets to who says to be far away", n)
		}
		must(t, listener.SetPose(at(2, 0)))
		if n := sentIn(t, talker, listener); n < 19 {
			t.Errorf("%d packets to who came near", n)
		}
	})
}

// Poses are told no more often than asked for, only when they changed, to who isn't
// blocked, and not at all unless asked for.
func TestPosesAreToldSparingly(t *testing.T) {
	poses := func(r *record) (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, b := range r.control {
			if m, err := wire.Unmarshal(b); err == nil && m.GetPose() != nil {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		every       time.Duration
		least, most int // in two seconds of motion
	}{{0, 0, 0}, {100 * time.Millisecond, 18, 21}, {500 * time.Millisecond, 3, 5}} {
		party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
			r := &record{Transport: net.Transport(sessiontest.PeerID(1))}
			m := newMember(t, net, 1, nil, func(c *session.Config) { c.Transport, c.SharePose = r, tt.every })
			other, blocked := newMember(t, net, 2, nil, shares), newMember(t, net, 3, nil, shares)
			defer closeAll(t, m, other, blocked)
			m.SetPeerBlocked(blocked.id, true)
			meet(t, m, other, blocked)
			time.Sleep(time.Second)
			if n := poses(r); n != 0 {
				t.Errorf("every %v: %d poses told before there was one", tt.every, n)
			}
			for i := range 200 {
				must(t, m.SetPose(at(float64(i), 0)))
				time.Sleep(10 * time.Millisecond)
			}
			if n := poses(r); n < tt.least || n > tt.most {
				t.Errorf("every %v: %d poses told in two seconds", tt.every, n)
			}
			time.Sleep(time.Second)
			before := poses(r)
			time.Sleep(2 * time.Second)
			if n := poses(r); n != before {
				t.Errorf("every %v: %d poses told while nobody moved", tt.every, n-before)
			}
			if p, ok := other.PeerPose(m.id); tt.every > 0 && (!ok || p != at(199, 0)) {
				t.Errorf("every %v: the last pose is %v", tt.every, p)
			}
			if _, known := blocked.PeerPose(m.id); known {
				t.Error("who is blocked was told where we are")
			}
		})
	}
	for _, bad := range []time.Duration{-1, 1, 99 * time.Millisecond} {
		if _, err := session.New(session.Config{Transport: &sessiontest.Transport{}, Codec: &sessiontest.Codec{}, SharePose: bad}); !errors.Is(err, session.ErrConfig) {
			t.Errorf("every %v: %v", bad, err)
		}
	}
}

// What is no pose is counted and dropped; a flood of poses is only the last of them.
func TestHostilePoses(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		r := &record{Transport: net.Transport(sessiontest.PeerID(1))}
		evil := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) { c.Transport = r })
		m := newMember(t, net, 2, nil, shares)
		defer closeAll(t, evil, m)
		must(t, m.SetPose(spatial.Pose{}))
		meet(t, evil, m)
		say := func(p *wire.Pose) {
			t.Helper()
			b, err := proto.Marshal(&wire.Control{Kind: &wire.Control_Pose{Pose: p}})
			must(t, err)
			must(t, r.Transport.SendControl(m.id, b))
		}
		for _, p := range []*wire.Pose{{X: math.NaN()}, {Y: math.Inf(1)}, {Z: -1e101}, {X: math.NaN(), Unknown: true}} {
			say(p)
		}
		wantSides(t, "what is no pose", m, 1, 1)
		if n := m.Stats().Malformed; n != 4 {
			t.Errorf("%d malformed messages are counted, want 4", n)
		}
		for i := range 60 {
			say(&wire.Pose{X: float64(i)})
			if i%10 == 9 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		say(&wire.Pose{Z: 2})
		wantSides(t, "the last of many", m, 0.5, 0.5)
		say(&wire.Pose{X: 1e100, Y: -1e100, Z: 1e100})
		wantSides(t, "as far away as can be", m, 0, 0)
		say(&wire.Pose{Unknown: true, Z: 1})
		wantSides(t, "nowhere", m, 1, 1)
	})
}
