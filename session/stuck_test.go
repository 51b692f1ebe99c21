package session_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// snag is application's code that gets stuck once, and is released later.
type snag struct {
	armed   atomic.Bool
	release chan struct{}
}

func (s *snag) pass() {
	if s.armed.CompareAndSwap(true, false) {
		<-s.release
	}
}

// What was left behind stuck says and tells nothing when it comes loose in the
// middle of the next conversation.
func TestWhatWasStuckIsSilentInTheNextConversation(t *testing.T) {
	cases := map[string]func(c *session.Config, s *snag){
		"source": func(c *session.Config, s *snag) {
			c.OpenSource = onlyFirst(func() audio.Source { return loud{s} })
		},
		"device": func(c *session.Config, s *snag) {
			c.OpenSource = onlyFirst(func() audio.Source { return loudDevice{loud{s}} })
		},
		"processor": func(c *session.Config, s *snag) {
			c.OpenSource = onlyFirst(func() audio.Source { return loud{&snag{}} })
			c.Chain = audio.Chain{caller{s.pass}}
		},
		"sink": func(c *session.Config, s *snag) {
			c.OpenSink = func() (audio.Sink, error) { return recovering{s, new(bool)}, nil }
		},
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				s := &snag{release: make(chan struct{})}
				talker := newMember(t, net, 1, nil, func(c *session.Config) {
					c.Encoding.FrameDuration = 10 * time.Millisecond // each block is a packet
					edit(c, s)
				})
				listener := newMember(t, net, 2, nil)
				defer closeAll(t, talker, listener)
				talker.start(t)
				listener.start(t)
				talker.joined(t, listener)
				listener.joined(t, talker)
				time.Sleep(2 * time.Second)
				s.armed.Store(true)
				time.Sleep(50 * time.Millisecond)
				if err := talker.Stop(); !errors.Is(err, session.ErrStuck) {
					t.Fatalf("Stop = %v, want ErrStuck", err)
				}
				talker.start(t)
				talker.joined(t, listener)
				time.Sleep(2 * time.Second)
				for len(talker.Events()) > 0 {
					<-talker.Events()
				}
				said := net.Traffic(talker.id, listener.id).Sent
				heard := listener.peer(t, talker).Jitter.Received
				close(s.release)
				time.Sleep(time.Second)
				if got := listener.peer(t, talker).Jitter.Received - heard; got != 0 {
					t.Errorf("%d voice packets of the old conversation arrived (%d messages sent)", got, net.Traffic(talker.id, listener.id).Sent-said)
				}
				for len(talker.Events()) > 0 {
					t.Errorf("event %T of the old conversation", <-talker.Events())
				}
			})
		})
	}
}

// A tap that comes loose is the last one that the old conversation calls.
func TestTapsHearOneConversationOnly(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := pair(t, net, tone(440, 0.2))
		defer closeAll(t, talker, listener)
		s := &snag{release: make(chan struct{})}
		var others atomic.Int64
		defer listener.TapPeer(talker.id, func(*audio.Block) { s.pass() })()
		defer listener.TapPeer(talker.id, func(*audio.Block) { others.Add(1) })()
		time.Sleep(time.Second)
		s.armed.Store(true)
		time.Sleep(50 * time.Millisecond)
		if err := listener.Stop(); !errors.Is(err, session.ErrStuck) {
			t.Fatalf("Stop = %v, want ErrStuck", err)
		}
		before := others.Load()
		close(s.release)
		time.Sleep(time.Second)
		if got := others.Load() - before; got != 0 {
			t.Errorf("the other tap was called %d times after Stop", got)
		}
	})
}

// onlyFirst opens a source once, and silence after that.
func onlyFirst(open func() audio.Source) func() (audio.Source, error) {
	starts := 0
	return func() (audio.Source, error) {
		if starts++; starts == 1 {
			return open(), nil
		}
		return &audio.Silence{}, nil
	}
}

// loud is a source that speaks, and may get stuck.
type loud struct{ *snag }

func (l loud) ReadBlock(b *audio.Block) error {
	for i := range b {
		b[i] = 0.3 * float32(i%2)
	}
	l.pass()
	return nil
}

func (loud) Close() error { return nil }

// loudDevice is one with a clock of its own.
type loudDevice struct{ loud }

func (l loudDevice) ReadBlock(b *audio.Block) error {
	time.Sleep(audio.BlockDuration)
	return l.loud.ReadBlock(b)
}

func (loudDevice) Latency() time.Duration { return 0 }
func (loudDevice) Faults() audio.Faults   { return audio.Faults{} }

// recovering is a sink that fails, gets stuck, and works again when it comes
// loose.
type recovering struct {
	*snag
	failed *bool
}

func (r recovering) WriteBlock(*audio.StereoBlock) error {
	if r.armed.Load() && !*r.failed {
		*r.failed = true
		return errBroken
	}
	r.pass()
	return nil
}

func (recovering) Close() error { return nil }
