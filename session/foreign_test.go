package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// escapes is what somebody says who wants to write on another one's terminal.
const escapes = "\x1b[2J\x1b]0;owned\x07\nanna\u202e is here\u009b"

// Whatever a peer can choose is fit to be shown when the application gets it.
func TestTextsOfPeersArePrintable(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 2, nil, func(c *session.Config) {
			c.Transport = &gossip{Transport: net.Transport(sessiontest.PeerID(2))}
		})
		defer closeAll(t, m)
		m.start(t)
		r := &rogue{Transport: net.Transport(sessiontest.PeerID(3))}
		must(t, r.Open(r))
		must(t, r.Join(m.id))
		must(t, m.PeerJoined(r.Self()))
		said := func() []string {
			p := statsOf(t, m, r.Self())
			return []string{p.Name, fmt.Sprint(p.Path), m.Why(r.Self())}
		}
		texts := said()
		for _, c := range []*wire.Control{
			{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Name: escapes}}},
			{Kind: &wire.Control_Bye{Bye: &wire.Bye{Reason: escapes}}},
		} {
			b, err := wire.Marshal(c)
			must(t, err)
			must(t, r.SendControl(m.id, b))
			time.Sleep(100 * time.Millisecond)
			texts = append(texts, said()...)
		}
		must(t, r.Close())
		time.Sleep(5 * time.Second)
		texts = append(texts, said()...)
		kinds := map[string]bool{}
		for len(m.Events()) > 0 {
			e := <-m.Events()
			kinds[fmt.Sprintf("%T", e)] = true
			texts = append(texts, fmt.Sprint(e))
		}
		for _, kind := range []string{"session.PeerReachable", "session.PeerGone"} {
			if !kinds[kind] {
				t.Errorf("no %s came: %v", kind, kinds)
			}
		}
		seen := 0
		for _, text := range texts {
			seen += strings.Count(text, "owned")
			for _, r := range text {
				if !unicode.IsPrint(r) {
					t.Errorf("%q holds %U", text, r)
				}
			}
		}
		if seen < 8 {
			t.Errorf("the texts of the peer came %d times: the test shows nothing: %q", seen, texts)
		}
	})
}

// gossip is a transport that passes on what the far end calls itself.
type gossip struct{ *sessiontest.Transport }

func (g *gossip) Open(h link.Handler) error { return g.Transport.Open(gossiper{h}) }

func (g *gossip) Path(p identity.PeerID) link.Path { return tainted(g.Transport.Path(p)) }

type gossiper struct{ link.Handler }

func (g gossiper) PathChanged(p identity.PeerID, path link.Path) {
	g.Handler.PathChanged(p, tainted(path))
}

func tainted(p link.Path) link.Path {
	p.Remote, p.Reason = escapes, escapes
	return p
}

// One announced peer that does the same again and again takes only its share of
// the events, and in the end its state is told as it is.
func TestOnePeerCannotPushOutTheEventsOfOthers(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, nil)
		defer closeAll(t, talker, listener)
		r := newRogue(t, net, 3, listener)
		time.Sleep(time.Second)
		for len(listener.Events()) > 0 {
			<-listener.Events()
		}
		must(t, talker.Stop())
		time.Sleep(time.Second)
		for i := range 3001 {
			muted := i%2 == 0
			must(t, r.SendControl(listener.id, encode(t, &wire.Control{Kind: &wire.Control_State{State: &wire.State{Muted: &muted}}})))
			time.Sleep(time.Second / 300)
		}
		gone, states, last := 0, 0, session.PeerState{}
		for quiet := false; !quiet; {
			select {
			case e := <-listener.Events():
				switch e := e.(type) {
				case session.PeerGone:
					gone++
				case session.PeerState:
					states++
					last = e
				}
			case <-time.After(time.Second):
				quiet = true
			}
		}
		if gone != 1 {
			t.Errorf("%d PeerGone of the honest peer, want 1", gone)
		}
		if !last.Muted || states > 100 {
			t.Errorf("%d states were told, the last one %+v, want few, and that it is muted", states, last)
		}
		if listener.Stats().EventsDropped == 0 {
			t.Error("no event was dropped: the test shows nothing")
		}
		must(t, r.Close())
	})
}
