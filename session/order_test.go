package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// hanging opens sources that take a minute, once told to, and counts how many
// are being opened at once.
type hanging struct {
	slow       atomic.Bool
	now, worst atomic.Int32
	opened     []*closeCounter
}

func (h *hanging) open() (audio.Source, error) {
	if n := h.now.Add(1); n > h.worst.Load() {
		h.worst.Store(n)
	}
	defer h.now.Add(-1)
	if h.slow.Load() {
		time.Sleep(time.Minute)
	}
	c := &closeCounter{}
	h.opened = append(h.opened, c)
	return c, nil
}

func timed[T any](f func() T) (result T, took time.Duration) {
	begin := time.Now()
	result = f()
	return result, time.Since(begin)
}

// A Start that waits for an earlier Stop is ended by a later one, and so is one
// that waits for another Start: Stop and Close are short whatever is before them.
func TestStopIsShortWithStartsBeforeIt(t *testing.T) {
	for name, end := range map[string]func(*member) error{
		"Stop":  func(m *member) error { return m.Stop() },
		"Close": func(m *member) error { return m.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				release := make(chan struct{})
				device := &hanging{}
				first := true
				m := newMember(t, net, 1, nil, func(c *session.Config) {
					c.OpenSource = func() (audio.Source, error) {
						if first {
							first = false
							return stuckSource{release}, nil
						}
						return device.open()
					}
				})
				defer closeAll(t, m)
				m.start(t)
				time.Sleep(100 * time.Millisecond)
				device.slow.Store(true)
				stopped, started := make(chan error, 1), make(chan error, 2)
				go func() { stopped <- m.Stop() }()
				synctest.Wait()
				for range 2 {
					go func() { started <- m.Start(context.Background()) }()
				}
				synctest.Wait()
				err, took := timed(func() error { return end(m) })
				if err != nil || took > time.Second {
					t.Errorf("%v after %v", err, took)
				}
				if err := <-stopped; !errors.Is(err, session.ErrStuck) {
					t.Errorf("the first Stop: %v, want ErrStuck", err)
				}
				for range 2 {
					if err := <-started; !errors.Is(err, context.Canceled) {
						t.Errorf("Start = %v, want context.Canceled", err)
					}
				}
				close(release)
			})
		})
	}
}

// Devices that take their time to open keep nobody waiting but Start.
func TestCallsDoNotWaitForDevicesBeingOpened(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		device := &hanging{}
		device.slow.Store(true)
		m := newMember(t, net, 1, nil, func(c *session.Config) { c.OpenSource = device.open })
		defer closeAll(t, m)
		started := make(chan error, 1)
		go func() { started <- m.Start(context.Background()) }()
		synctest.Wait()
		other := sessiontest.PeerID(2)
		for name, f := range map[string]func() error{
			"PeerJoined": func() error { return m.PeerJoined(other) },
			"PeerLeft":   func() error { return m.PeerLeft(other) },
		} {
			if err, took := timed(f); !errors.Is(err, session.ErrNotStarted) || took > 0 {
				t.Errorf("%s while the devices are being opened: %v after %v, want ErrNotStarted at once", name, err, took)
			}
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		must(t, m.PeerJoined(other))
	})
}

// What a Start left behind when it gave up is gone before the next one opens a
// device, so no two ask for one device at the same time.
func TestStartWaitsForTheDeviceOfAnAbandonedOne(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		device := &hanging{}
		device.slow.Store(true)
		m := newMember(t, net, 1, nil, func(c *session.Config) { c.OpenSource = device.open })
		defer closeAll(t, m)
		brief := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return m.Start(ctx)
		}
		for range 3 {
			if err, took := timed(brief); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("Start = %v after %v, want its context's error after 1 s", err, took)
			}
		}
		err, took := timed(func() error { return m.Start(context.Background()) })
		if err != nil || took < 110*time.Second {
			t.Errorf("Start = %v after %v, want it to wait for the first opening and then for its own", err, took)
		}
		if got := device.worst.Load(); got != 1 {
			t.Errorf("OpenSource ran %d times at once", got)
		}
		if n := len(device.opened); n != 2 || device.opened[0].closed != 1 || device.opened[1].closed != 0 {
			t.Errorf("%d sources were opened, want two, the first of them closed", n)
		}
	})
}

// The application's own code may call PeerJoined and PeerLeft at any time: Stop,
// which waits for that code, is not held up.
func TestStopIsNotHeldUpByCallsFromTheApplicationsCode(t *testing.T) {
	var m *member
	other := sessiontest.PeerID(2)
	calls := func(ending *atomic.Bool) error {
		if !ending.Load() {
			return nil
		}
		return errors.Join(m.PeerLeft(other), m.PeerJoined(other))
	}
	for name, edit := range map[string]func(*session.Config, *atomic.Bool){
		"source": func(c *session.Config, ending *atomic.Bool) {
			c.OpenSource = func() (audio.Source, error) {
				return caller{func() { _ = calls(ending) }}, nil
			}
		},
		"sink": func(c *session.Config, ending *atomic.Bool) {
			c.OpenSink = func() (audio.Sink, error) {
				return caller{func() { _ = calls(ending) }}, nil
			}
		},
		"processor": func(c *session.Config, ending *atomic.Bool) {
			c.Chain = audio.Chain{caller{func() { _ = calls(ending) }}}
		},
		"tap": nil,
	} {
		t.Run(name, func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				ending := &atomic.Bool{}
				// The calls come while Stop is closing the transport.
				slow := &slowLeaver{Transport: net.Transport(sessiontest.PeerID(1))}
				m = newMember(t, net, 1, nil, func(c *session.Config) {
					c.Transport = slow
					if edit != nil {
						edit(c, ending)
					}
				})
				defer closeAll(t, m)
				m.start(t)
				must(t, m.PeerJoined(other))
				if edit == nil {
					defer m.TapPeer(other, func(*audio.Block) { _ = calls(ending) })()
				}
				time.Sleep(time.Second)
				ending.Store(true)
				err, took := timed(m.Stop)
				if err != nil || took > time.Second {
					t.Errorf("Stop = %v after %v", err, took)
				}
			})
		})
	}
}

// caller is a source, sink and processor that calls a function each time.
type caller struct{ f func() }

func (c caller) ReadBlock(b *audio.Block) error      { *b = audio.Block{}; c.f(); return nil }
func (c caller) WriteBlock(*audio.StereoBlock) error { c.f(); return nil }
func (c caller) Process(_, _ *audio.Block)           { c.f() }
func (c caller) Close() error                        { return nil }

// slowLeaver takes the whole of the time that it has for Close.
type slowLeaver struct{ *sessiontest.Transport }

func (s *slowLeaver) Close() error {
	time.Sleep(250 * time.Millisecond)
	return s.Transport.Close()
}
