package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// Every cell of call × state.
func TestEveryCallInEveryState(t *testing.T) {
	other := sessiontest.PeerID(2)
	calls := map[string]func(*member) error{
		"Start":             func(m *member) error { return m.Start(context.Background()) },
		"PeerJoined":        func(m *member) error { return m.PeerJoined(other) },
		"PeerJoined itself": func(m *member) error { return m.PeerJoined(m.id) },
		"PeerJoined bad ID": func(m *member) error { return m.PeerJoined("") },
		"PeerLeft":          func(m *member) error { return m.PeerLeft(other) },
		"Stop":              func(m *member) error { return m.Stop() },
		"Close":             func(m *member) error { return m.Close() },
	}
	states := map[string]func(*testing.T, *member){
		"new":     func(*testing.T, *member) {},
		"started": func(t *testing.T, m *member) { m.start(t) },
		"with peer": func(t *testing.T, m *member) {
			m.start(t)
			must(t, m.PeerJoined(other))
		},
		"stopped": func(t *testing.T, m *member) {
			m.start(t)
			must(t, m.Stop())
		},
		"closed": func(t *testing.T, m *member) { must(t, m.Close()) },
	}
	want := map[string]map[string]error{
		"Start":             {"started": session.ErrStarted, "with peer": session.ErrStarted, "closed": session.ErrClosed},
		"PeerJoined":        {"new": session.ErrNotStarted, "stopped": session.ErrNotStarted, "closed": session.ErrClosed},
		"PeerJoined itself": {"new": session.ErrNotStarted, "stopped": session.ErrNotStarted, "closed": session.ErrClosed},
		"PeerJoined bad ID": {
			"new": session.ErrNotStarted, "stopped": session.ErrNotStarted, "closed": session.ErrClosed,
			"started": link.ErrInvalidPeer, "with peer": link.ErrInvalidPeer,
		},
		"PeerLeft": {"new": session.ErrNotStarted, "stopped": session.ErrNotStarted, "closed": session.ErrClosed},
		"Stop":     {},
		"Close":    {},
	}
	for call, f := range calls {
		for state, reach := range states {
			t.Run(call+" when "+state, func(t *testing.T) {
				party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
					m := newMember(t, net, 1, nil)
					defer closeAll(t, m)
					reach(t, m)
					if err := f(m); !errors.Is(err, want[call][state]) {
						t.Errorf("%v, want %v", err, want[call][state])
					}
				})
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestJoinAndLeaveAreIdempotent(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		two, three := sessiontest.PeerID(2), sessiontest.PeerID(3)
		for range 3 {
			must(t, m.PeerJoined(two))
			must(t, m.PeerJoined(three))
			must(t, m.PeerJoined(m.id))
		}
		if got, want := m.Peers(), []identity.PeerID{two, three}; !slices.Equal(got, want) {
			t.Errorf("Peers = %v, want %v", got, want)
		}
		for range 3 {
			must(t, m.PeerLeft(two))
		}
		if got, want := m.Peers(), []identity.PeerID{three}; !slices.Equal(got, want) {
			t.Errorf("Peers = %v, want %v", got, want)
		}
	})
}

func TestStartAgainAfterStop(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		for round := range 3 {
			next[session.PeerReachable](t, listener, time.Second)
			time.Sleep(time.Second)
			if got := listener.loudness(500*time.Millisecond, time.Second); got < 0.1 {
				t.Errorf("round %d: heard %.3f, want speech", round, got)
			}
			in, out := listener.in, listener.out
			must(t, listener.Stop())
			if !in.Closed() || !out.Closed() {
				t.Errorf("round %d: Stop left source or sink open", round)
			}
			if got := listener.Peers(); got != nil {
				t.Errorf("round %d: peers after Stop: %v", round, got)
			}
			listener.start(t)
			listener.joined(t, talker)
		}
	})
}

func TestStopTakesAtMostASecond(t *testing.T) {
	party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 5 * time.Second}}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.3))
		defer closeAll(t, talker, listener)
		time.Sleep(15 * time.Second)
		net.Cut(talker.id, listener.id)
		for _, m := range []*member{talker, listener} {
			begin := time.Now()
			must(t, m.Stop())
			if took := time.Since(begin); took > time.Second {
				t.Errorf("Stop took %v", took)
			}
		}
	})
}

// A source that doesn't return is the application's fault, but Stop returns.
func TestStopLeavesAStuckSourceBehind(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		release := make(chan struct{})
		m := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { return stuckSource{release}, nil }
		})
		m.start(t)
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		if err := m.Stop(); !errors.Is(err, session.ErrStuck) {
			t.Errorf("Stop = %v, want ErrStuck", err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Stop took %v", took)
		}
		close(release)
		must(t, m.Close())
	})
}

type stuckSource struct{ release chan struct{} }

func (s stuckSource) ReadBlock(*audio.Block) error {
	<-s.release
	return errBroken
}
func (stuckSource) Close() error { return nil }

func TestStartGivesUpWithItsContext(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		release := make(chan struct{})
		late := &closeCounter{}
		m := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSource = func() (audio.Source, error) { <-release; return late, nil }
		})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := m.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start = %v, want the context's error", err)
		}
		close(release)
		synctest.Wait()
		if late.closed != 1 {
			t.Errorf("a source that came too late was closed %d times, want once", late.closed)
		}
		must(t, m.Close())
	})
}

type closeCounter struct{ closed int }

func (c *closeCounter) ReadBlock(b *audio.Block) error { *b = audio.Block{}; return nil }
func (c *closeCounter) Close() error                   { c.closed++; return nil }

func TestStopEndsAStartUnderWay(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		release := make(chan struct{})
		m := newMember(t, net, 1, nil, func(c *session.Config) {
			c.OpenSink = func() (audio.Sink, error) { <-release; return &audio.Null{}, nil }
		})
		started := make(chan error, 1)
		go func() { started <- m.Start(context.Background()) }()
		synctest.Wait()
		must(t, m.Stop())
		if err := <-started; !errors.Is(err, context.Canceled) {
			t.Errorf("Start = %v, want context.Canceled", err)
		}
		close(release)
		must(t, m.Close())
	})
}

func TestNewRefusesAWrongConfiguration(t *testing.T) {
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer func() { must(t, net.Close()) }()
	good := session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}}
	cases := map[string]func(*session.Config){
		"no transport":       func(c *session.Config) { c.Transport = nil },
		"no codec":           func(c *session.Config) { c.Codec = nil },
		"odd frame":          func(c *session.Config) { c.Encoding.FrameDuration = 15 * time.Millisecond },
		"unknown mode":       func(c *session.Config) { c.Mode = 9 },
		"positive threshold": func(c *session.Config) { c.VoiceThreshold = 3 },
	}
	for name, edit := range cases {
		cfg := good
		edit(&cfg)
		if _, err := session.New(cfg); !errors.Is(err, session.ErrConfig) {
			t.Errorf("%s: New = %v, want ErrConfig", name, err)
		}
	}
	if _, err := session.New(good); err != nil {
		t.Errorf("good configuration: %v", err)
	}
}

// Who waits in vain for somebody is told, once, and told again when that changes.
func TestAPeerThatIsNeverReachedIsToldOf(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m, late, there := newMember(t, net, 1, nil), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		defer closeAll(t, m, late, there)
		m.start(t)
		there.start(t)
		there.joined(t, m)
		began := time.Now()
		m.joined(t, late, there)
		if e := next[session.PeerUnreachable](t, m, time.Minute); e.Peer != late.id || e.Reason == "" {
			t.Errorf("%+v", e)
		}
		if d := time.Since(began); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("after %v, want 10 s", d)
		}
		time.Sleep(time.Minute)
		late.start(t)
		late.joined(t, m)
		for e := range m.Events() {
			if u, again := e.(session.PeerUnreachable); again {
				t.Errorf("told again: %+v", u)
			}
			if r, ok := e.(session.PeerReachable); ok && r.Peer == late.id {
				break
			}
		}
	})
}
