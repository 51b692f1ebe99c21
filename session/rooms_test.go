package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// meet starts members who have all joined each other, and lets them greet.
func meet(t *testing.T, all ...*member) {
	t.Helper()
	for _, m := range all {
		m.start(t)
	}
	for _, m := range all {
		for _, o := range all {
			m.joined(t, o) // itself too, which is nothing
		}
	}
	time.Sleep(500 * time.Millisecond)
}

func speak(t *testing.T, m *member, to session.Target) *session.Channel {
	t.Helper()
	c, err := m.Speak(to)
	must(t, err)
	return c
}

// playedIn is how much one hears of another in the time to come.
func playedIn(t *testing.T, d time.Duration, listener, talker *member) time.Duration {
	t.Helper()
	before := listener.peer(t, talker).Jitter.PlayedSamples
	time.Sleep(d)
	return audio.BlockDuration * time.Duration(listener.peer(t, talker).Jitter.PlayedSamples-before) / audio.BlockSamples
}

var nearby = sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}

// What reaches a peer in four ways is sent and heard once, as loud and as
// important as in the most of them.
func TestWhatComesInSeveralWaysIsHeardOnce(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		must(t, listener.Listen("team"))
		must(t, listener.Listen("raid"))
		must(t, listener.Listen("other"))
		meet(t, talker, listener)
		team, raid := speak(t, talker, session.Room("team")), speak(t, talker, session.Room("raid"))
		again, whisper := speak(t, talker, session.Room("team")), speak(t, talker, session.Whisper(listener.id))
		elsewhere := speak(t, talker, session.Room("elsewhere"))
		team.SetGain(0.5)
		raid.SetGain(0.25)
		again.SetGain(0.1)
		whisper.SetGain(0)
		elsewhere.SetGain(2)
		raid.SetPriority(session.High)
		elsewhere.SetPriority(session.Urgent)
		for _, c := range []*session.Channel{team, raid, again} {
			c.SetPositional(true)
		}
		time.Sleep(time.Second)
		sent := talker.peer(t, listener).Sent
		if got := playedIn(t, 2*time.Second, listener, talker); got < 1950*time.Millisecond || got > 2050*time.Millisecond {
			t.Errorf("in 2 s %v are heard", got)
		}
		if got := talker.peer(t, listener).Sent - sent; got < 98 || got > 102 {
			t.Errorf("%d packets were sent in 2 s", got)
		}
		heard := listener.peer(t, talker).Heard
		want := []session.Target{session.Room("team"), session.Room("raid"), session.Whisper(listener.id)}
		if !slices.Equal(heard.Through, want) || heard.Priority != session.High || heard.Positional {
			t.Errorf("heard %+v", heard)
		}
		if heard.Gain < 0.46 || heard.Gain > 0.55 {
			t.Errorf("with gain %v, want about 0.5", heard.Gain)
		}
		whisper.Close()
		time.Sleep(200 * time.Millisecond)
		if heard := listener.peer(t, talker).Heard; !heard.Positional || len(heard.Through) != 2 {
			t.Errorf("after the whisper's end heard %+v", heard)
		}
		if got := listener.peer(t, talker).Jitter.ConcealedSamples; got != 0 {
			t.Errorf("%d samples were concealed", got)
		}
	})
}

func TestGainOfAChannelIsApplied(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		meet(t, talker, listener)
		c := speak(t, talker, session.Everyone())
		time.Sleep(time.Second)
		full := listener.loudness(time.Second, 1500*time.Millisecond)
		c.SetGain(0.25)
		time.Sleep(time.Second)
		quarter := listener.loudness(2*time.Second, 2500*time.Millisecond)
		if full < 0.1 || quarter < full*0.22 || quarter > full*0.28 {
			t.Errorf("heard %.4f, with a gain of 0.25 %.4f", full, quarter)
		}
	})
}

// Who speaks to somebody speaks to nobody else, and who has stopped doing that
// to nobody, not to everyone.
func TestAfterTheLastChannelNobodyHears(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, a, b := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		defer closeAll(t, talker, a, b)
		meet(t, talker, a, b)
		hears := func(what string, wantA, wantB bool) {
			t.Helper()
			time.Sleep(200 * time.Millisecond)
			beforeA, beforeB := talker.peer(t, a).BytesOut, talker.peer(t, b).BytesOut
			gotA := playedIn(t, time.Second, a, talker)
			time.Sleep(100 * time.Millisecond)
			gotB := playedIn(t, time.Second, b, talker)
			if (gotA > 900*time.Millisecond) != wantA || (gotB > 900*time.Millisecond) != wantB || !wantA && gotA > 0 || !wantB && gotB > 0 {
				t.Errorf("%s: heard %v and %v of a second, want %t and %t", what, gotA, gotB, wantA, wantB)
			}
			if outA, outB := talker.peer(t, a).BytesOut-beforeA, talker.peer(t, b).BytesOut-beforeB; (outA > 0) != wantA || (outB > 0) != wantB {
				t.Errorf("%s: sent %d and %d bytes, want some: %t, %t", what, outA, outB, wantA, wantB)
			}
			if talker.peer(t, a).Addressed != wantA || talker.peer(t, b).Addressed != wantB {
				t.Errorf("%s: Addressed differs", what)
			}
		}
		hears("at first", true, true)
		c := speak(t, talker, session.Whisper(a.id))
		hears("whispering", true, false)
		c.Close()
		hears("whispering no more", false, false)
		if c.IsOpen() {
			t.Error("a closed channel is open")
		}
		c.SetGain(2)
		c.Close()
		hears("after a call on a closed channel", false, false)
		all := speak(t, talker, session.Everyone())
		hears("to everyone", true, true)
		must(t, talker.Stop())
		all.Close()
		room := speak(t, talker, session.Room("team"))
		talker.start(t)
		talker.joined(t, a, b)
		time.Sleep(time.Second)
		hears("in a room, after a new start", true, true)
		must(t, b.Listen("other"))
		hears("in a room that one doesn't listen to", true, false)
		must(t, b.Listen("team"))
		hears("in a room that both listen to", true, true)
		must(t, b.Leave("team"))
		hears("in a room that one has left", true, false)
		b.ListenToAll()
		hears("in a room, to one who listens to all", true, true)
		room.Close()
		hears("after all", false, false)
	})
}

// A peer that comes late is told what there is, and one that comes anew without
// rooms is what it was before it knew any.
func TestLateAndNewPeersKnowTheRooms(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		var names []string
		for i := range session.MaxRooms { // more than one message takes
			name := fmt.Sprintf("%02d%s", i, strings.Repeat("é", 31))
			names = append(names, name)
			must(t, listener.Listen(name))
		}
		must(t, listener.SetToken(make([]byte, session.MaxToken)))
		speak(t, talker, session.Room(names[31]))
		meet(t, talker, listener)
		if got, all := talker.PeerRooms(listener.id); !slices.Equal(got, names) || all {
			t.Errorf("it listens to %q, to all: %t", got, all)
		}
		if got := playedIn(t, time.Second, listener, talker); got < 900*time.Millisecond {
			t.Errorf("heard %v of a second", got)
		}
		for _, name := range names {
			must(t, listener.Leave(name))
		}
		time.Sleep(200 * time.Millisecond)
		if got, all := talker.PeerRooms(listener.id); len(got) != 0 || all {
			t.Errorf("it listens to %q, to all: %t", got, all)
		}
		if got := playedIn(t, time.Second, listener, talker); got != 0 {
			t.Errorf("heard %v of a second after leaving all rooms", got)
		}
		must(t, listener.Close())
		anew := newMember(t, net, 2, nil)
		defer closeAll(t, anew)
		anew.start(t)
		anew.joined(t, talker)
		time.Sleep(time.Second)
		if got, all := talker.PeerRooms(anew.id); len(got) != 0 || !all {
			t.Errorf("anew it listens to %q, to all: %t", got, all)
		}
		if got := playedIn(t, time.Second, anew, talker); got < 900*time.Millisecond {
			t.Errorf("anew it heard %v of a second", got)
		}
		if heard := anew.peer(t, talker).Heard; !slices.Equal(heard.Through, []session.Target{session.Room("")}) {
			t.Errorf("heard %+v, want a room without a name", heard)
		}
	})
}

// record is a transport that notes what is sent.
type record struct {
	*sessiontest.Transport
	mu             sync.Mutex // guards what follows
	voice, control [][]byte
}

func (r *record) SendVoice(to identity.PeerID, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.voice = append(r.voice, slices.Clone(b))
	return r.Transport.SendVoice(to, b)
}

func (r *record) SendControl(to identity.PeerID, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.control = append(r.control, slices.Clone(b))
	return r.Transport.SendControl(to, b)
}

// Who doesn't use rooms says nothing of them: the bytes are those of the time
// before there were any.
func TestUnusedRoomsCostNoByte(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		r := &record{Transport: net.Transport(sessiontest.PeerID(1))}
		talker := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) { c.Transport = r })
		listener := newMember(t, net, 2, tone(330, 0.2))
		defer closeAll(t, talker, listener)
		meet(t, talker, listener)
		talker.SetMuted(true)
		time.Sleep(200 * time.Millisecond)
		talker.SetPeerBlocked(listener.id, true)
		time.Sleep(200 * time.Millisecond)
		// Hello and state as the version before rooms wrote them, and what is taken.
		want := []string{"0a30080110011a04746573742a080800100018a09c013a086d657373616765733a0772756c696e67733a0762756e646c6573", "12080801100018a09c01", "12080801100118a09c01"}
		var got []string
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, b := range r.control {
			if s := fmt.Sprintf("%x", b); s[:2] != "1a" { // reports are what they are
				got = append(got, s)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("control is %q, want %q", got, want)
		}
		for _, b := range r.voice {
			if b[0]>>4 != 1 {
				t.Fatalf("voice packet %x has channels", b)
			}
		}
		if len(r.voice) < 10 {
			t.Errorf("only %d packets were sent", len(r.voice))
		}
	})
}

func TestWhatIsNoRoomOrTarget(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		for _, name := range []string{"", strings.Repeat("x", session.MaxRoomName+1), "bad\xff"} {
			if err := m.Listen(name); !errors.Is(err, session.ErrTarget) {
				t.Errorf("Listen(%q) = %v", name, err)
			}
			if err := m.Leave(name); !errors.Is(err, session.ErrTarget) {
				t.Errorf("Leave(%q) = %v", name, err)
			}
			if _, err := m.Speak(session.Room(name)); !errors.Is(err, session.ErrTarget) {
				t.Errorf("Speak in %q = %v", name, err)
			}
		}
		for _, to := range []session.Target{{}, session.Whisper(""), session.Whisper(m.id), session.Whisper(identity.PeerID(strings.Repeat("x", 200)))} {
			if _, err := m.Speak(to); !errors.Is(err, session.ErrTarget) {
				t.Errorf("Speak(%v) = %v", to, err)
			}
		}
		for i := range session.MaxRooms {
			must(t, m.Listen(fmt.Sprint(i)))
		}
		must(t, m.Listen("7"))
		if err := m.Listen("one more"); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("one room more: %v", err)
		}
		must(t, m.Leave("7"))
		must(t, m.Listen("one more"))
		var last *session.Channel
		for range session.MaxOpenChannels {
			last = speak(t, m, session.Everyone())
		}
		if _, err := m.Speak(session.Everyone()); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("one channel more: %v", err)
		}
		last.Close()
		speak(t, m, session.Everyone())
		if err := m.SetToken(make([]byte, session.MaxToken+1)); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("a long token: %v", err)
		}
		if names, all := m.Rooms(); len(names) != session.MaxRooms || all || slices.Contains(names, "7") {
			t.Errorf("listens to %q, all: %t", names, all)
		}
		must(t, m.Close())
		if err := m.Listen("a"); !errors.Is(err, session.ErrClosed) {
			t.Errorf("Listen after Close = %v", err)
		}
		if _, err := m.Speak(session.Room("a")); !errors.Is(err, session.ErrClosed) {
			t.Errorf("Speak after Close = %v", err)
		}
	})
}

var _ link.Transport = (*record)(nil)

// Who is reached in other ways again and again in the middle of a sentence hears it
// as well as one who is always reached in the same way, on a bad link too.
func TestChangingChannelsDoesNotHurt(t *testing.T) {
	for name, link := range map[string]sessiontest.LinkConfig{
		"clean": {Delay: 20 * time.Millisecond},
		"lossy": {Delay: 20 * time.Millisecond, Loss: 0.05, RetransmitVoice: true, Jitter: 4 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			same, other := guessed(t, link, false), guessed(t, link, true)
			if other > same*1.3+0.002 {
				t.Errorf("%.4f of it is guessed or left out, %.4f without changes", other, same)
			}
		})
	}
}

// guessed is the share of a minute that is concealed or discarded, with a change of
// channels every 500 ms, or without.
func guessed(t *testing.T, link sessiontest.LinkConfig, changes bool) (share float64) {
	t.Helper()
	party(t, sessiontest.Config{Seed: 5, Link: link}, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, m)
		must(t, m.Listen("team"))
		speak(t, talker, session.Room("team"))
		meet(t, talker, m)
		time.Sleep(2 * time.Second)
		before := m.peer(t, talker).Jitter
		for range 60 {
			time.Sleep(500 * time.Millisecond)
			if changes {
				whisper := speak(t, talker, session.Whisper(m.id))
				defer whisper.Close()
				time.Sleep(500 * time.Millisecond)
				if got := len(m.peer(t, talker).Heard.Through); got != 2 {
					t.Errorf("heard in %d ways", got)
				}
				whisper.Close()
			} else {
				time.Sleep(500 * time.Millisecond)
			}
		}
		p := m.peer(t, talker)
		j := p.Jitter
		if p.Refused != 0 || j.Rejected != before.Rejected || j.Resyncs != before.Resyncs || p.Malformed != 0 {
			t.Errorf("%d packets refused, %d rejected, %d resyncs", p.Refused, j.Rejected-before.Rejected, j.Resyncs-before.Resyncs)
		}
		concealed, discarded := j.ConcealedSamples-before.ConcealedSamples, j.DiscardedSamples-before.DiscardedSamples
		t.Logf("changes: %t: %d samples concealed, %d discarded, %d inserted, %d removed", changes, concealed, discarded, j.InsertedSamples-before.InsertedSamples, j.RemovedSamples-before.RemovedSamples)
		share = float64(concealed+discarded) / float64(j.PlayedSamples-before.PlayedSamples)
	})
	return share
}
