package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

func encode(t *testing.T, c *wire.Control) []byte {
	t.Helper()
	b, err := wire.Marshal(c)
	must(t, err)
	return b
}

func hello(t *testing.T) []byte {
	t.Helper()
	return encode(t, &wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Name: "rogue"}}})
}

func bye(t *testing.T) []byte {
	t.Helper()
	return encode(t, &wire.Control{Kind: &wire.Control_Bye{Bye: &wire.Bye{}}})
}

// Who took leave isn't heard, whatever it says after that, until it joins anew.
func TestAfterByeNothingCountsUntilANewEpoch(t *testing.T) {
	for name, before := range map[string]time.Duration{
		"after a while": 3 * time.Second,
		"at once":       0, // within the time in which voice may overtake a hello
	} {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 2, tone(440, 0.2))
				defer closeAll(t, m)
				m.start(t)
				r := newRogue(t, net, 3, m)
				next[session.PeerReachable](t, m, time.Second)
				time.Sleep(before)
				must(t, r.SendControl(m.id, bye(t)))
				next[session.PeerGone](t, m, time.Second)
				must(t, r.SendControl(m.id, hello(t)))
				muted := true
				must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_State{State: &wire.State{Muted: &muted}}})))
				time.Sleep(100 * time.Millisecond)
				sent := statsOf(t, m, r.Self()).Sent
				packet := testPackets(t)
				for i := range 100 {
					must(t, r.SendVoice(m.id, packet(i, 2*i, 1)))
					time.Sleep(20 * time.Millisecond)
				}
				p := statsOf(t, m, r.Self())
				if p.Jitter.PlayedSamples != 0 || p.Reachable || p.Sent != sent {
					t.Errorf("%d samples played of a peer that took leave, reachable %t, %d packets sent to it", p.Jitter.PlayedSamples, p.Reachable, p.Sent-sent)
				}
				for len(m.Events()) > 0 {
					t.Errorf("event %T of a peer that took leave", <-m.Events())
				}
				must(t, r.Leave(m.id))
				must(t, r.Join(m.id))
				must(t, r.SendControl(m.id, hello(t)))
				next[session.PeerReachable](t, m, time.Second)
				must(t, r.Close())
			})
		})
	}
}

// A peer that leaves and joins again while this side notices nothing of it, not
// even that it was away, is greeted anew, and heard from its first word on.
func TestAPeerThatRejoinsUnnoticedIsHeard(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		next[session.PeerReachable](t, listener, time.Second)
		for range 3 {
			time.Sleep(time.Second)
			before := listener.peer(t, talker)
			must(t, talker.PeerLeft(listener.id))
			must(t, talker.PeerJoined(listener.id))
			next[session.PeerReachable](t, listener, time.Second)
			time.Sleep(time.Second)
			after := listener.peer(t, talker)
			if after.Path.Epoch == before.Path.Epoch {
				t.Error("the epoch is the same: the test shows nothing")
			}
			if got := after.Jitter.PlayedSamples - before.Jitter.PlayedSamples; got < 40000 {
				t.Errorf("%d samples were heard in the second after the return: %s", got, listener.Why(talker.id))
			}
			if got := after.Jitter.Lost - before.Jitter.Lost; got != 0 {
				t.Errorf("%d packets count as lost that were never meant for this epoch", got)
			}
			if !talker.peer(t, listener).Reachable {
				t.Error("the one that came back doesn't reach the other")
			}
		}
	})
}

// script is a transport whose handler a test calls by hand.
type script struct {
	link.Transport
	handler link.Handler
	hellos  atomic.Int32
}

func (s *script) Self() identity.PeerID                   { return "self" }
func (s *script) Open(h link.Handler) error               { s.handler = h; return nil }
func (s *script) Join(identity.PeerID) error              { return nil }
func (s *script) Close() error                            { return nil }
func (s *script) SendVoice(identity.PeerID, []byte) error { return nil }
func (s *script) Path(identity.PeerID) link.Path          { return link.Path{} }
func (s *script) Stats(identity.PeerID) link.Stats        { return link.Stats{} }

func (s *script) SendControl(_ identity.PeerID, b []byte) error {
	if m, err := wire.Unmarshal(b); err == nil && m.GetHello() != nil {
		s.hellos.Add(1)
	}
	return nil
}

// An epoch that is heard of while there is no way yet is as new as any other.
func TestAnEpochFirstHeardOfWithoutAPathIsGreeted(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, _ *sessiontest.Network) {
		s := &script{}
		m, err := session.New(session.Config{Transport: s, Codec: &sessiontest.Codec{}})
		must(t, err)
		defer func() { must(t, m.Close()) }()
		must(t, m.Start(t.Context()))
		const other = identity.PeerID("other")
		must(t, m.PeerJoined(other))
		paths := []struct {
			path link.Path
			want int
		}{
			{link.Path{Kind: link.LAN, Epoch: 1}, 1},
			{link.Path{Kind: link.None, Epoch: 1, Reason: "lost"}, 1},
			{link.Path{Kind: link.LAN, Epoch: 1}, 1}, // back, as it was
			{link.Path{Kind: link.None, Epoch: 2, Reason: "it left"}, 1},
			{link.Path{Kind: link.LAN, Epoch: 2}, 2},
			{link.Path{Kind: link.Relayed, Epoch: 2}, 2},
			{link.Path{Kind: link.Relayed, Epoch: 3}, 3},
		}
		for i, c := range paths {
			s.handler.PathChanged(other, c.path)
			time.Sleep(time.Second)
			if got := int(s.hellos.Load()); got != c.want {
				t.Errorf("after path %d, %v of epoch %d, %d hellos were sent, want %d", i, c.path.Kind, c.path.Epoch, got, c.want)
			}
		}
	})
}
