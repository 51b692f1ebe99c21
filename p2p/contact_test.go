package p2p

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestFirstContactInEitherOrder(t *testing.T) {
	for _, first := range []int{0, 1} {
		for _, gap := range []time.Duration{0, time.Millisecond, 25 * time.Millisecond, 300 * time.Millisecond, 5 * time.Second} {
			t.Run(fmt.Sprintf("%d first, %v apart", first, gap), func(t *testing.T) {
				inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
					connect(t, net, 0, 1)
					a, b := e[first], e[1-first]
					a.join(b)
					time.Sleep(gap)
					b.join(a)
					took := waitFor(t, time.Second, "contact", func() bool { return a.hasPath(b) && b.hasPath(a) })
					if most := 160*time.Millisecond + 20*time.Millisecond; took > most {
						t.Errorf("contact took %v, want at most %v", took, most)
					}
					if got := b.knocked(a.id); gap >= 25*time.Millisecond*2 && got != 1 {
						t.Errorf("knocked %d times, want once", got)
					}
					p := a.Path(b.id)
					if p.Kind != link.Direct || p.Transport != "quic-v1" || p.Security != "tls" || p.Epoch == 0 || p.Remote == "" {
						t.Errorf("path is %+v", p)
					}
				})
			})
		}
	}
}

// On a link of 50 kb/s with a short queue a handshake loses packets, and takes
// seconds: it isn't begun anew meanwhile.
func TestAThinLinkIsConnected(t *testing.T) {
	for _, rate := range []float64{50e3, 40e3} {
		inBubble(t, p2ptest.Config{Delay: 25 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
			a, b := e[0], e[1]
			for i := range e {
				net.SetUplink(i, rate, 200*time.Millisecond)
				net.Introduce(i, 1-i)
			}
			a.join(b)
			b.join(a)
			took := waitFor(t, 20*time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
			t.Logf("%.0f kb/s: after %v", rate/1000, took)
		})
	}
}

func TestCrossingOpensLeaveOneStream(t *testing.T) {
	for seed := range 100 {
		inBubble(t, p2ptest.Config{Delay: 20 * time.Millisecond, Seed: uint64(seed + 1)}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
			a, b := e[seed%2], e[1-seed%2]
			connect(t, net, 0, 1)
			if seed >= 50 {
				net.SetLoss(0, 0.2)
				net.SetLoss(1, 0.2)
			}
			a.join(b)
			time.Sleep(time.Duration(seed%50) * time.Millisecond)
			b.join(a)
			most := 100 * time.Millisecond
			if seed >= 50 {
				most = 3 * time.Second
			}
			waitFor(t, most, "contact", func() bool { return a.hasPath(b) && b.hasPath(a) })
			time.Sleep(3 * time.Second)
			for _, x := range [][2]*end{{a, b}, {b, a}} {
				changes, _ := x[0].changes(x[1].id)
				if len(changes) != 1 {
					t.Errorf("seed %d: %d changes of path, want 1: %+v", seed, len(changes), changes)
				}
				if n := x[0].streams(x[1]); n != 1 {
					t.Errorf("seed %d: %d streams are left, want one", seed, n)
				}
			}
		})
	}
}

// streams counts the open streams of Parley's protocol with a peer.
func (e *end) streams(o *end) (n int) {
	for _, c := range e.node.host.Network().ConnsToPeer(o.id) {
		for _, s := range c.GetStreams() {
			if s.Protocol() == ProtocolID {
				n++
			}
		}
	}
	return n
}

func TestRejoinThatTheFarEndDidNotNotice(t *testing.T) {
	for who := range 2 {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprintf("host %d, cut %v", who, cut), func(t *testing.T) {
				inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
					a, b := e[who], e[1-who]
					joined(t, net, a, b)
					defer a.talkBeside(b, 200, 20*time.Millisecond)()
					defer b.talkBeside(a, 200, 20*time.Millisecond)()
					time.Sleep(500 * time.Millisecond)
					before := b.Path(a.id).Epoch
					if cut {
						net.Cut(0)
					}
					for range 3 {
						if err := a.Leave(b.id); err != nil {
							t.Fatal(err)
						}
						a.join(b)
						time.Sleep(10 * time.Millisecond)
					}
					if err := a.SendControl(b.id, []byte("hello again")); err != nil {
						t.Fatal(err)
					}
					time.Sleep(500 * time.Millisecond)
					net.Restore(0)
					waitFor(t, 2*time.Second, "contact", func() bool {
						p := b.Path(a.id)
						return a.hasPath(b) && p.Kind != link.None && p.Epoch != before && len(b.controls(a.id)) == 1
					})
					n, m := len(a.voices(b.id)), len(b.voices(a.id))
					time.Sleep(500 * time.Millisecond)
					if n == len(a.voices(b.id)) || m == len(b.voices(a.id)) {
						t.Error("voice does not flow both ways after the rejoin")
					}
				})
			})
		}
	}
}

// Who left in the middle of a talk and comes back is there for the far end before
// anything that it says is, whatever it left unanswered: with a new epoch a session
// forgets what was said before.
func TestWhoComesBackIsThereBeforeItsWords(t *testing.T) {
	for who := range 2 {
		for away := 100 * time.Millisecond; away <= 3*time.Second; away += 100 * time.Millisecond {
			inBubble(t, p2ptest.Config{Delay: 25 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
				a, b := e[who], e[1-who]
				joined(t, net, a, b)
				defer b.talkBeside(a, 100, 20*time.Millisecond)()
				time.Sleep(time.Second)
				before := b.Path(a.id).Epoch
				if err := a.Leave(b.id); err != nil {
					t.Fatal(err)
				}
				time.Sleep(away)
				a.join(b)
				if err := a.SendControl(b.id, []byte("hello again")); err != nil {
					t.Fatal(err)
				}
				waitFor(t, 2*time.Second, "a word", func() bool { return len(b.controls(a.id)) == 1 })
				if p := b.Path(a.id); p.Kind == link.None || p.Epoch == before {
					t.Errorf("host %d, %v away: path is %+v when it is heard", who, away, p)
				}
				b.recorder.mu.Lock()
				defer b.recorder.mu.Unlock()
				if early := b.early[a.id]; len(early) > 0 {
					t.Errorf("host %d, %v away: %q came before its path", who, away, early)
				}
			})
		}
	}
}

func TestNothingOfAnOldEpochIsHeardInTheNewOne(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		net.SetLoss(0, 0.3)
		for round := range 20 {
			for i := range 10 {
				_ = a.SendVoice(b.id, fmt.Appendf(nil, "%d", round))
				_ = a.SendControl(b.id, fmt.Appendf(nil, "%d", round))
				time.Sleep(time.Duration(i) * time.Millisecond)
			}
			_ = a.Leave(b.id)
			a.join(b)
			time.Sleep(100 * time.Millisecond)
		}
		net.SetLoss(0, 0)
		time.Sleep(2 * time.Second)
		last := ""
		for i, got := range [][]string{b.controls(a.id), texts(b.voices(a.id))} {
			last = ""
			for _, s := range got {
				if len(s) < len(last) || len(s) == len(last) && s < last {
					t.Errorf("kind %d: %q of an old epoch came after %q", i, s, last)
				}
				last = s
			}
			if last == "" {
				t.Errorf("kind %d: nothing arrived", i)
			}
		}
	})
}

func texts(v []voiceAt) (s []string) {
	for _, x := range v {
		s = append(s, x.data)
	}
	return s
}

func TestSessionsOnOneHostDoNotDisturbEachOther(t *testing.T) {
	inBubble(t, p2ptest.Config{}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		more := func(x *end) (*Transport, *recorder) {
			tr, err := x.node.Session("other")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := x.node.Session("other"); !errors.Is(err, ErrSessionExists) {
				t.Errorf("second session of a name: %v", err)
			}
			r := newRecorder()
			if err := tr.Open(r); err != nil {
				t.Fatal(err)
			}
			return tr, r
		}
		ta, _ := more(a)
		if err := ta.Join(b.id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if p := ta.Path(b.id); p.Kind != link.None || p.Reason != "refused: peer has no such session open" {
			t.Errorf("path to a host without the session is %+v", p)
		}
		tb, rb := more(b)
		if err := tb.Join(a.id); err != nil {
			t.Fatal(err)
		}
		waitFor(t, time.Second, "the other session", func() bool { return ta.Path(b.id).Kind != link.None })
		if err := ta.SendControl(b.id, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if len(rb.controls(a.id)) != 1 || len(b.controls(a.id)) != 0 {
			t.Error("a message of one session went to another")
		}
		ta.Release()
		tr, err := a.node.Session("other")
		if err != nil {
			t.Errorf("a released name: %v", err)
		}
		if err := ta.Open(newRecorder()); !errors.Is(err, ErrNodeClosed) {
			t.Errorf("opening a released transport: %v", err)
		}
		tr.Release()
		time.Sleep(time.Second)
		if !a.hasPath(b) || !b.hasPath(a) {
			t.Error("closing one session ended the other")
		}
	})
}

func TestQueuedControlIsDroppedWhenTheFarEndJoinsAnew(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		if err := a.Join(b.id); err != nil {
			t.Fatal(err)
		}
		if err := a.SendControl(b.id, []byte("before the first contact")); err != nil {
			t.Fatal(err)
		}
		joined(t, net, a, b)
		waitFor(t, time.Second, "control", func() bool { return len(b.controls(a.id)) == 1 })
		net.Cut(0)
		if err := a.SendControl(b.id, []byte("to the old epoch")); err != nil {
			t.Fatal(err)
		}
		if err := b.Leave(a.id); err != nil {
			t.Fatal(err)
		}
		b.join(a)
		before := a.Path(b.id).Epoch
		time.Sleep(time.Second)
		net.Restore(0)
		waitFor(t, 3*time.Second, "the new epoch", func() bool { return a.hasPath(b) && a.Path(b.id).Epoch != before })
		if err := a.SendControl(b.id, []byte("to the new one")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := b.controls(a.id); len(got) != 2 || got[1] != "to the new one" {
			t.Errorf("received %q", got)
		}
	})
}
