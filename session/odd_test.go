package session_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// sluggish is a source and sink that takes its time for each block, but keeps
// to the 100 ms that are allowed.
type sluggish struct{ takes time.Duration }

func (s sluggish) ReadBlock(b *audio.Block) error {
	time.Sleep(s.takes)
	*b = audio.Block{}
	return nil
}

func (s sluggish) WriteBlock(*audio.StereoBlock) error {
	time.Sleep(s.takes)
	return nil
}

func (sluggish) Close() error { return nil }

// What can't keep up with time must not fall behind further and further by
// making good for it.
func TestASlowSourceOrSinkStopsNobody(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		slow := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { return sluggish{90 * time.Millisecond}, nil }
			c.OpenSink = func() (audio.Sink, error) { return sluggish{90 * time.Millisecond}, nil }
		})
		other := newMember(t, net, 2, tone(440, 0.2))
		slow.start(t)
		other.start(t)
		defer closeAll(t, slow, other)
		slow.joined(t, other)
		other.joined(t, slow)
		var blocks atomic.Int64
		defer slow.TapPeer(other.id, func(*audio.Block) { blocks.Add(1) })()
		time.Sleep(20 * time.Second)
		if n := blocks.Load(); n < 50 {
			t.Errorf("%d blocks were mixed in 20 s", n)
		}
		if skipped := slow.Stats().BlocksSkipped; skipped > 2000 {
			t.Errorf("%d blocks skipped in 20 s", skipped)
		}
		begin := time.Now()
		must(t, slow.Stop())
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Stop took %v", took)
		}
	})
}

// After a pause of the process a file goes on where it would be by now, and
// what was recorded has no hole in its time.
func TestAFileKeepsTimeThroughAPause(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		once := 0
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		defer listener.TapPeer(talker.id, func(*audio.Block) {
			if once++; once == 100 {
				time.Sleep(5 * time.Second)
			}
		})()
		time.Sleep(10 * time.Second)
		if got := listener.out.Blocks(); got < 990 || got > 1001 {
			t.Errorf("%d blocks were written in 10 s, want 1000", got)
		}
	})
}

func TestNoiseThatIsNoNumberIsMended(t *testing.T) {
	bad := make([]float32, audio.SampleRate)
	for i := range bad {
		switch i % 3 {
		case 0:
			bad[i] = float32(math.NaN())
		case 1:
			bad[i] = float32(math.Inf(1 - i%2*2))
		default:
			bad[i] = 1e30
		}
	}
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		seen := &lookout{}
		talker := newMember(t, net, 1, bad, func(c *session.Config) { c.Chain = audio.Chain{seen} })
		listener := newMember(t, net, 2, nil)
		talker.start(t)
		listener.start(t)
		defer closeAll(t, talker, listener)
		talker.joined(t, listener)
		listener.joined(t, talker)
		time.Sleep(time.Second)
		if seen.odd > 0 {
			t.Errorf("the processing chain saw %d samples that are beyond audio.MaxSample", seen.odd)
		}
		for i, x := range listener.out.Stereo() {
			if !(x >= -1 && x <= 1) {
				t.Fatalf("sample %d is %g", i, x)
			}
		}
		if level := talker.Stats().Level; math.IsNaN(level) || level > 20 {
			t.Errorf("level %g dBFS", level)
		}
	})
}

// lookout is a processor that counts samples out of range, and makes one.
type lookout struct{ odd int }

func (l *lookout) Process(mic, _ *audio.Block) {
	for _, x := range mic {
		if !(x >= -audio.MaxSample && x <= audio.MaxSample) {
			l.odd++
		}
	}
	mic[0] = float32(math.NaN())
}

func TestASourceOrSinkThatIsNilIsNone(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { return nil, nil }
			c.OpenSink = func() (audio.Sink, error) { return nil, nil }
		})
		defer closeAll(t, m)
		m.start(t)
		time.Sleep(time.Second)
		st := m.Stats()
		if st.Microphone.Open || st.Speaker.Open || st.Microphone.Reason == "" || st.Speaker.Reason == "" {
			t.Errorf("microphone %+v, speaker %+v", st.Microphone, st.Speaker)
		}
	})
}

// What a peer is like when it comes, and when it comes back, is told by events:
// an application needs nothing else to show it.
func TestEventsTellWhetherAPeerIsMuted(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		quiet, other := newMember(t, net, 1, nil), newMember(t, net, 2, nil)
		defer closeAll(t, quiet, other)
		quiet.SetMuted(true)
		quiet.start(t)
		other.start(t)
		quiet.joined(t, other)
		other.joined(t, quiet)
		next[session.PeerReachable](t, other, time.Second)
		if e := next[session.PeerState](t, other, time.Second); !e.Muted || e.Deafened {
			t.Errorf("a peer that comes muted: %+v", e)
		}
		must(t, quiet.Stop())
		quiet.SetMuted(false)
		quiet.start(t)
		quiet.joined(t, other)
		next[session.PeerReachable](t, other, time.Second)
		if e := next[session.PeerState](t, other, time.Second); e.Muted {
			t.Errorf("a peer that comes back unmuted: %+v", e)
		}
		must(t, quiet.Stop())
		quiet.start(t)
		quiet.joined(t, other)
		next[session.PeerReachable](t, other, time.Second)
		select {
		case e := <-other.Events():
			t.Errorf("event %T %+v of a peer that comes back as it was", e, e)
		case <-time.After(time.Second):
		}
	})
}

// An ID is the application's input, perhaps its users': whatever it is, it
// costs no time.
func TestMalformedIDsAreRefusedQuickly(t *testing.T) {
	bad := &picky{}
	s, err := session.New(session.Config{Transport: bad, Codec: &sessiontest.Codec{}})
	must(t, err)
	must(t, s.Start(context.Background()))
	for _, id := range []string{"", "x", strings.Repeat("long", 1<<20)} {
		begin := time.Now()
		if err := s.PeerJoined(identity.PeerID(id)); !errors.Is(err, link.ErrInvalidPeer) || len(err.Error()) > 300 {
			t.Errorf("%d bytes: error %v", len(id), err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%d bytes: refused after %v", len(id), took)
		}
	}
	if got := len(s.Peers()); got != 0 {
		t.Errorf("%d peers are left", got)
	}
	must(t, s.Close())
}

// picky is a transport that takes no peer.
type picky struct{ link.Transport }

func (picky) Self() identity.PeerID      { return "self" }
func (picky) Open(link.Handler) error    { return nil }
func (picky) Join(identity.PeerID) error { return link.ErrInvalidPeer }
func (picky) Close() error               { return nil }

// Who doesn't greet, or not in our language, isn't played: nobody knows what its
// bytes mean, and Why would not be true.
func TestVoiceWithoutAGreetingIsNotPlayed(t *testing.T) {
	foreign, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"morse"}}}})
	must(t, err)
	cases := []struct {
		name  string
		hello []byte
		wait  time.Duration
		heard bool
	}{
		{"voice overtakes the greeting", nil, 100 * time.Millisecond, true},
		{"no greeting comes", nil, 3 * time.Second, false},
		{"another codec", foreign, 100 * time.Millisecond, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 2, nil)
				defer closeAll(t, m)
				m.start(t)
				r := &rogue{Transport: net.Transport(sessiontest.PeerID(3))}
				must(t, r.Open(r))
				must(t, r.Join(m.id))
				must(t, m.PeerJoined(r.Self()))
				if c.hello != nil {
					must(t, r.SendControl(m.id, c.hello))
				}
				time.Sleep(c.wait)
				packet := testPackets(t)
				for i := range 50 {
					must(t, r.SendVoice(m.id, packet(i, 2*i, 1)))
					time.Sleep(20 * time.Millisecond)
				}
				if got := m.loudness(0, 10*time.Second); got > 0 != c.heard {
					t.Errorf("heard %.3f, want something: %t", got, c.heard)
				}
				must(t, r.Close())
			})
		})
	}
}
