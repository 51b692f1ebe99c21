package session_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

func TestEveryoneHearsEveryoneElse(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		var all []*member
		for n := range 5 {
			all = append(all, newMember(t, net, n, tone(200+100*float64(n), 0.1)))
		}
		defer closeAll(t, all...)
		for _, m := range all {
			m.start(t)
		}
		for _, m := range all {
			m.joined(t, all...)
		}
		time.Sleep(5 * time.Second)
		for _, m := range all {
			for _, other := range all {
				if other == m {
					continue
				}
				p := m.peer(t, other)
				if !p.Speaking || p.Jitter.PlayedSamples < 4*audio.SampleRate {
					t.Errorf("%s heard %s for %d samples, speaking %t: %s", m.id, other.id, p.Jitter.PlayedSamples, p.Speaking, m.Why(other.id))
				}
				if p.Jitter.ConcealedSamples > 0 {
					t.Errorf("%s had to conceal %d samples of %s on a clean link", m.id, p.Jitter.ConcealedSamples, other.id)
				}
			}
		}
	})
}

// First audio at most 300 ms and two round trips after the later PeerJoined,
// whoever comes first and however much later the other.
func TestFirstAudioComesSoon(t *testing.T) {
	const rtt = 100 * time.Millisecond
	for _, apart := range []time.Duration{0, 30 * time.Millisecond, 700 * time.Millisecond, 5 * time.Second} {
		for _, talkerFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v apart, talker first %t", apart, talkerFirst), func(t *testing.T) {
				party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: rtt / 2}}, func(t *testing.T, net *sessiontest.Network) {
					talker, listener := newMember(t, net, 1, tone(440, 0.3)), newMember(t, net, 2, nil)
					defer closeAll(t, talker, listener)
					talker.start(t)
					listener.start(t)
					first, second := listener, talker
					if talkerFirst {
						first, second = talker, listener
					}
					first.joined(t, second)
					time.Sleep(apart)
					second.joined(t, first)
					joined := time.Now()
					for listener.peer(t, talker).Jitter.PlayedSamples == 0 {
						time.Sleep(5 * time.Millisecond)
						if took := time.Since(joined); took > 300*time.Millisecond+2*rtt {
							t.Fatalf("nothing heard %v after the later PeerJoined: %s", took, listener.Why(talker.id))
						}
					}
				})
			})
		}
	}
}

func TestOnlyAnnouncedPeersAreHeard(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.3)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		talker.start(t)
		listener.start(t)
		talker.joined(t, listener)
		if knock := next[session.Knocked](t, listener, time.Second); knock.Peer != talker.id {
			t.Errorf("knock of %s, want %s", knock.Peer, talker.id)
		}
		time.Sleep(3 * time.Second)
		if got := listener.loudness(0, 3*time.Second); got != 0 {
			t.Errorf("heard %.3f of somebody who was not announced", got)
		}
		if got := talker.peer(t, listener).Sent; got != 0 {
			t.Errorf("sent %d packets to somebody who did not greet", got)
		}
	})
}

func TestAPeerThatLeftIsNotHeard(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		time.Sleep(time.Second)
		must(t, listener.PeerLeft(talker.id))
		time.Sleep(time.Second)
		if got := listener.loudness(500*time.Millisecond, time.Second); got < 0.1 {
			t.Errorf("heard %.3f before, want speech", got)
		}
		if got := listener.loudness(1050*time.Millisecond, 2*time.Second); got != 0 {
			t.Errorf("heard %.3f of a peer that left", got)
		}
		next[session.PeerGone](t, talker, time.Second)
		// It left and came back; the talker noticed nothing but its absence.
		listener.joined(t, talker)
		time.Sleep(time.Second)
		if got := listener.loudness(2500*time.Millisecond, 3*time.Second); got < 0.1 {
			t.Errorf("heard %.3f after the return, want speech", got)
		}
	})
}

func TestMuteDeafenAndVolume(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 10 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		begin := time.Now()
		// loud waits until what was said before has been heard, then listens.
		loud := func() float64 {
			time.Sleep(700 * time.Millisecond)
			now := time.Since(begin)
			return listener.loudness(now-200*time.Millisecond, now)
		}
		plain := loud()
		if plain < 0.1 {
			t.Fatalf("heard %.3f, want speech", plain)
		}
		talker.SetMuted(true)
		if e := next[session.PeerState](t, listener, time.Second); !e.Muted {
			t.Error("the listener was not told of the mute")
		}
		if got := loud(); got != 0 {
			t.Errorf("muted: heard %.4f", got)
		}
		if why := listener.Why(talker.id); !strings.Contains(why, "muted itself") {
			t.Errorf("Why = %q", why)
		}
		talker.SetMuted(false)
		if got := loud(); got < 0.9*plain {
			t.Errorf("unmuted: heard %.3f, want %.3f", got, plain)
		}
		listener.SetDeafened(true)
		sent := talker.peer(t, listener).Sent
		if got := loud(); got != 0 {
			t.Errorf("deafened: heard %.4f", got)
		}
		if more := talker.peer(t, listener).Sent - sent; more > 5 {
			t.Errorf("%d packets were sent to a deafened peer", more)
		}
		listener.SetDeafened(false)
		listener.SetPeerVolume(talker.id, 0.5)
		if got := loud(); got < 0.45*plain || got > 0.55*plain {
			t.Errorf("half volume: heard %.3f, want %.3f", got, plain/2)
		}
		listener.SetPeerMuted(talker.id, true)
		if got := loud(); got != 0 {
			t.Errorf("silenced: heard %.4f", got)
		}
		if why := listener.Why(talker.id); !strings.Contains(why, "muted or turned down") {
			t.Errorf("Why = %q", why)
		}
		// It stays silenced when it leaves and comes back.
		must(t, listener.PeerLeft(talker.id))
		listener.joined(t, talker)
		if got := loud(); got != 0 {
			t.Errorf("silenced, left and came back: heard %.4f", got)
		}
	})
}

func TestAPeerSilencedInAPauseIsSilentFromItsNextWordOn(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		time.Sleep(time.Second)
		talker.SetMuted(true)
		time.Sleep(time.Second)
		listener.SetPeerMuted(talker.id, true)
		talker.SetMuted(false)
		time.Sleep(time.Second)
		if got := listener.loudness(500*time.Millisecond, time.Second); got < 0.1 {
			t.Errorf("heard %.3f before, want speech", got)
		}
		if got := listener.loudness(1500*time.Millisecond, 3*time.Second); got != 0 {
			t.Errorf("heard %.4f of a peer that is silenced", got)
		}
		if p := listener.peer(t, talker); p.Jitter.PlayedSamples < 3*audio.SampleRate/2 {
			t.Errorf("it said %d samples only", p.Jitter.PlayedSamples)
		}
	})
}

func TestTapsHearOnePeerBeforeVolume(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		listener.SetPeerVolume(talker.id, 0)
		var blocks, loud atomic.Int64
		remove := listener.TapPeer(talker.id, func(b *audio.Block) {
			blocks.Add(1)
			if audio.Measure(b[:]).RMS > -30 {
				loud.Add(1)
			}
		})
		time.Sleep(2 * time.Second)
		remove()
		time.Sleep(100 * time.Millisecond)
		seen := blocks.Load()
		time.Sleep(time.Second)
		if seen < 195 || seen > 211 || loud.Load() < 180 {
			t.Errorf("tap saw %d blocks in 2 s, %d of them loud", seen, loud.Load())
		}
		if blocks.Load() != seen {
			t.Errorf("tap saw %d blocks after it was removed", blocks.Load()-seen)
		}
	})
}

func TestSilenceCostsNothing(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		a, b := pair(t, net, nil)
		defer closeAll(t, a, b)
		time.Sleep(5 * time.Second)
		before := net.Traffic(a.id, b.id)
		time.Sleep(time.Minute)
		after := net.Traffic(a.id, b.id)
		if bytes := after.Bytes - before.Bytes; bytes > 0 {
			t.Errorf("a silent minute cost %d bytes", bytes)
		}
	})
}

func TestAPeerThatVanishesIsReportedAndItsReturnIsHeard(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 40 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		time.Sleep(2 * time.Second)
		net.Cut(talker.id, listener.id)
		cut := time.Now()
		gone := next[session.PeerUnreachable](t, listener, 3*time.Second)
		if gone.Peer != talker.id || gone.Reason == "" {
			t.Errorf("event %+v", gone)
		}
		t.Logf("reported after %v: %s; Why: %s", time.Since(cut), gone.Reason, listener.Why(talker.id))
		if why := listener.Why(talker.id); !strings.Contains(why, gone.Reason) {
			t.Errorf("Why = %q, want the reason %q in it", why, gone.Reason)
		}
		if len(listener.Peers()) != 1 {
			t.Error("a peer that can't be reached was taken off the list")
		}
		time.Sleep(10 * time.Second)
		played := listener.peer(t, talker).Jitter.PlayedSamples
		net.Restore(talker.id, listener.id)
		next[session.PeerReachable](t, listener, 2*time.Second)
		time.Sleep(2 * time.Second)
		if more := listener.peer(t, talker).Jitter.PlayedSamples - played; more < audio.SampleRate/2 {
			t.Errorf("2 s after its return %d samples were heard", more)
		}
	})
}

// With 5 % loss reported, copies are sent, and only to who needs them.
func TestCopiesGoToThoseWhoLose(t *testing.T) {
	party(t, sessiontest.Config{Seed: 3, Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
		talker, good, bad := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		all := []*member{talker, good, bad}
		defer closeAll(t, all...)
		net.SetLink(talker.id, bad.id, sessiontest.LinkConfig{Delay: 20 * time.Millisecond, Loss: 0.05})
		for _, m := range all {
			m.start(t)
		}
		for _, m := range all {
			m.joined(t, all...)
		}
		time.Sleep(3 * time.Second)
		atFirst := talker.peer(t, good).Copies // until it reported that it loses nothing
		if atFirst == 0 {
			t.Error("no copies of the first words")
		}
		time.Sleep(27 * time.Second)
		if got := talker.peer(t, good); got.Copies != atFirst {
			t.Errorf("%d copies to a listener that loses nothing, %d of them in its first 3 s", got.Copies, atFirst)
		}
		if got := talker.peer(t, bad); got.Copies < got.Sent/2 {
			t.Errorf("%d copies in %d packets to a listener that loses 5 %%", got.Copies, got.Sent)
		}
		p := bad.peer(t, talker)
		if share := p.ConcealedShare(); share > 0.015 {
			t.Errorf("concealed %.2f %% at 5 %% loss, want at most 1.5", 100*share)
		}
		if p.Jitter.RecoveredCopy == 0 {
			t.Error("no packet was played from a copy")
		}
		// The loss ends; after a while so do the copies.
		net.SetLink(talker.id, bad.id, sessiontest.LinkConfig{Delay: 20 * time.Millisecond})
		time.Sleep(40 * time.Second)
		if got := talker.peer(t, bad).CopyOffset; got != 0 {
			t.Errorf("copies still sent %d packets back, 40 s after the loss ended", got)
		}
	})
}

// Who wants no copies sent has none, whatever is lost.
func TestNoCopiesAreSentWhereNoneAreWanted(t *testing.T) {
	for _, none := range []bool{false, true} {
		party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond, Loss: 0.05}}, func(t *testing.T, net *sessiontest.Network) {
			talker := newMember(t, net, 1, tone(440, 0.2), func(c *session.Config) { c.NoCopies = none })
			listener := newMember(t, net, 2, nil)
			defer closeAll(t, talker, listener)
			meet(t, talker, listener)
			time.Sleep(20 * time.Second)
			if st := talker.peer(t, listener); st.Sent < 900 || (st.Copies == 0) != none {
				t.Errorf("NoCopies is %t: %d copies in %d packets", none, st.Copies, st.Sent)
			}
		})
	}
}
