package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio/pulsetest"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session"
)

// caller is one end of a call: a voice on a host of its own, and the sound
// devices of a virtual machine.
type caller struct {
	*parley.Voice

	host    host.Host
	machine pulsetest.Machine

	mu     sync.Mutex // guards events
	events []session.Event
}

// phone connects two virtual machines over QUIC on loopback. configure, if not
// nil, changes what each caller asks for.
func phone(t *testing.T, server *pulsetest.Server, configure func(i int, cfg *parley.Config)) [2]*caller {
	t.Helper()
	ends := callers(t, server, configure)
	for _, c := range ends {
		c.start(t)
	}
	introduce(t, ends)
	return ends
}

// untouched is what a microphone recorded: nothing is done to it.
var untouched = parley.Clean{Echo: parley.EchoOff, Noise: parley.Off, Gain: parley.Off}

// callers makes two callers that aren't started.
func callers(t *testing.T, server *pulsetest.Server, configure func(i int, cfg *parley.Config)) [2]*caller {
	t.Helper()
	var ends [2]*caller
	for i := range ends {
		c := &caller{host: p2ptest.Loopback(t, p2ptest.QUIC), machine: server.Machine(i)}
		cfg := parley.Config{
			Name: fmt.Sprint("caller ", i), Microphone: c.machine.Microphone, Speaker: c.machine.Speaker,
			Clean: untouched, // what is heard is compared with what was said
		}
		if configure != nil {
			configure(i, &cfg)
		}
		var err error
		if c.Voice, err = parley.New(c.host, cfg); err != nil {
			t.Fatal(err)
		}
		followed := make(chan struct{})
		go func() {
			defer close(followed)
			c.follow()
		}()
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			<-followed
		})
		ends[i] = c
	}
	ends[0].host.Peerstore().AddAddrs(ends[1].host.ID(), ends[1].host.Addrs(), peerstore.PermanentAddrTTL)
	return ends
}

// follow keeps the events until the voice is closed.
func (c *caller) follow() {
	for e := range c.Events() {
		c.mu.Lock()
		c.events = append(c.events, e)
		c.mu.Unlock()
	}
}

func (c *caller) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// introduce tells each caller of the other and waits until they can talk.
func introduce(t *testing.T, ends [2]*caller) {
	t.Helper()
	marks := [2]int{ends[0].mark(), ends[1].mark()}
	for i, c := range ends {
		if err := c.PeerJoined(ends[1-i].Self()); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range ends {
		c.await(t, marks[i], 5*time.Second, "reachable", func(e session.Event) bool {
			_, ok := e.(session.PeerReachable)
			return ok
		})
	}
}

// mark is the number of events so far.
func (c *caller) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.events)
}

// all are the events so far.
func (c *caller) all() []session.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// await waits for an event that came after the mark.
func (c *caller) await(t *testing.T, mark int, patience time.Duration, what string, is func(session.Event) bool) session.Event {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		events := c.all()[mark:]
		for _, e := range events {
			if is(e) {
				return e
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no event %q in %v, only %+v", what, patience, events)
		}
	}
}

// awaitDevice waits for a DeviceChanged after the mark.
func (c *caller) awaitDevice(t *testing.T, mark int, d session.Device, working bool) session.DeviceChanged {
	t.Helper()
	e := c.await(t, mark, 6*time.Second, fmt.Sprintf("%s working=%t", d, working), func(e session.Event) bool {
		changed, ok := e.(session.DeviceChanged)
		return ok && changed.Device == d && changed.Working == working
	})
	return e.(session.DeviceChanged)
}

// peer is what is known of the other end.
func (c *caller) peer() session.PeerStats {
	if peers := c.Stats().Peers; len(peers) > 0 {
		return peers[0]
	}
	return session.PeerStats{}
}

// leavesNothing has the test fail if goroutines are left after everything it
// registers later was cleaned up.
func leavesNothing(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}
