package session_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// rogue is a peer that speaks to the transport without a session.
type rogue struct {
	*sessiontest.Transport
}

func (*rogue) Voice(identity.PeerID, []byte, time.Time) {}
func (*rogue) Control(identity.PeerID, []byte)          {}
func (*rogue) PathChanged(identity.PeerID, link.Path)   {}
func (*rogue) Knock(identity.PeerID)                    {}

// newRogue joins the victims and greets them, so that its voice is taken.
func newRogue(t *testing.T, net *sessiontest.Network, n int, victims ...*member) *rogue {
	t.Helper()
	r := &rogue{Transport: net.Transport(sessiontest.PeerID(n))}
	must(t, r.Open(r))
	hello, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}, Name: "rogue"}}})
	must(t, err)
	for _, v := range victims {
		must(t, r.Join(v.id))
		must(t, v.PeerJoined(r.Self()))
		must(t, r.SendControl(v.id, hello))
	}
	time.Sleep(200 * time.Millisecond)
	return r
}

func statsOf(t *testing.T, m *member, id identity.PeerID) session.PeerStats {
	t.Helper()
	return m.peer(t, &member{id: id})
}

func TestGarbageIsCounted(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		listener := newMember(t, net, 2, nil)
		defer closeAll(t, listener)
		listener.start(t)
		r := newRogue(t, net, 3, listener)
		for range 5 {
			must(t, r.SendVoice(listener.id, []byte{0xff}))
			must(t, r.SendControl(listener.id, []byte{0xff, 0xff}))
		}
		must(t, r.SendControl(listener.id, golden(t, "other-version-kind")))
		time.Sleep(time.Second)
		if got := statsOf(t, listener, r.Self()).Malformed; got != 5 {
			t.Errorf("%d malformed voice packets counted, want 5", got)
		}
		if got := listener.Stats().Malformed; got != 5 {
			t.Errorf("%d malformed control messages counted, want 5", got)
		}
		must(t, r.Close())
	})
}

func TestPeersThatCannotUnderstandEachOtherAreToldSo(t *testing.T) {
	hellos := map[string]*wire.Hello{
		"too new":       {Version: 9, OldestVersion: 5, Codecs: []string{"test"}},
		"another codec": {Version: 1, OldestVersion: 1, Codecs: []string{"morse"}},
		"too old":       {Version: 0, OldestVersion: 0, Codecs: []string{"test"}},
	}
	for name, hello := range hellos {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				m := newMember(t, net, 2, tone(440, 0.2))
				defer closeAll(t, m)
				m.start(t)
				r := &rogue{Transport: net.Transport(sessiontest.PeerID(3))}
				must(t, r.Open(r))
				must(t, r.Join(m.id))
				must(t, m.PeerJoined(r.Self()))
				b, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Hello{Hello: hello}})
				must(t, err)
				must(t, r.SendControl(m.id, b))
				e := next[session.PeerIncompatible](t, m, time.Second)
				if why := m.Why(r.Self()); !strings.Contains(why, e.Reason) {
					t.Errorf("Why = %q, want %q in it", why, e.Reason)
				}
				time.Sleep(time.Second)
				if got := statsOf(t, m, r.Self()).Sent; got != 0 {
					t.Errorf("%d packets sent to it", got)
				}
				must(t, r.Close())
			})
		})
	}
}

func TestASourceThatFailsIsSilence(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		time.Sleep(time.Second)
		talker.in.Fail(errBroken)
		e := next[session.DeviceChanged](t, talker, time.Second)
		if e.Working || e.Device != session.Microphone || !strings.Contains(e.Reason, "broken on purpose") {
			t.Errorf("event %+v", e)
		}
		time.Sleep(2 * time.Second)
		if got := listener.loudness(1500*time.Millisecond, 3*time.Second); got != 0 {
			t.Errorf("heard %.3f of a broken microphone", got)
		}
		if got := talker.Stats().ReadErrors; got < 190 || got > 310 {
			t.Errorf("%d read errors counted in 2 to 3 s, want one each 10 ms", got)
		}
		talker.in.Fail(nil)
		if e := next[session.DeviceChanged](t, talker, time.Second); !e.Working {
			t.Errorf("event %+v", e)
		}
		time.Sleep(time.Second)
		if got := listener.loudness(3500*time.Millisecond, 4*time.Second); got < 0.1 {
			t.Errorf("heard %.3f after it was mended", got)
		}
	})
}

func TestASinkThatFailsStopsNobody(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		a, b := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, tone(300, 0.2))
		defer closeAll(t, a, b)
		a.start(t)
		b.start(t)
		a.joined(t, b)
		b.joined(t, a)
		time.Sleep(time.Second)
		b.out.Fail(errBroken) // a full disk
		e := next[session.DeviceChanged](t, b, time.Second)
		if e.Working || e.Device != session.Speaker {
			t.Errorf("event %+v", e)
		}
		time.Sleep(time.Second)
		if got := a.loudness(1500*time.Millisecond, 2*time.Second); got < 0.1 {
			t.Errorf("the other side hears %.3f", got)
		}
		if why := b.Why(a.id); !strings.Contains(why, "broken on purpose") {
			t.Errorf("Why = %q", why)
		}
	})
}

func TestWithoutMicrophoneOrSpeaker(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		fail := func() (audio.Source, error) { return nil, errBroken }
		deaf := func() (audio.Sink, error) { return nil, errBroken }
		listenOnly := newMember(t, net, 1, nil, func(c *session.Config) { c.OpenSource = fail })
		talkOnly := newMember(t, net, 2, tone(440, 0.2), func(c *session.Config) { c.OpenSink = deaf })
		defer closeAll(t, listenOnly, talkOnly)
		listenOnly.start(t)
		talkOnly.start(t)
		listenOnly.joined(t, talkOnly)
		talkOnly.joined(t, listenOnly)
		if e := next[session.DeviceChanged](t, listenOnly, time.Second); e.Device != session.Microphone || e.Working {
			t.Errorf("event %+v", e)
		}
		if e := next[session.DeviceChanged](t, talkOnly, time.Second); e.Device != session.Speaker || e.Working {
			t.Errorf("event %+v", e)
		}
		time.Sleep(2 * time.Second)
		if got := listenOnly.loudness(time.Second, 2*time.Second); got < 0.1 {
			t.Errorf("the listener hears %.3f", got)
		}
	})
}

func TestASourceThatEnds(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { return audiotest.NewSource(tone(440, 0.2)), nil }
		})
		listener := newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		talker.start(t)
		listener.start(t)
		talker.joined(t, listener)
		listener.joined(t, talker)
		next[session.SourceEnded](t, talker, 2*time.Second)
		time.Sleep(time.Second)
		p := listener.peer(t, talker)
		if p.Speaking || p.Jitter.ConcealedSamples > 0 {
			t.Errorf("after the end: speaking %t, %d samples concealed", p.Speaking, p.Jitter.ConcealedSamples)
		}
	})
}

// golden reads a recording of the wire from the wire's own test data.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("wire", "testdata", name+".hex"))
	must(t, err)
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	must(t, err)
	return b
}
