package follow_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/parley-voice/parley/follow"
	"github.com/parley-voice/parley/identity"
)

// fakeHost is a host with an event bus, whose connections a test makes.
type fakeHost struct {
	host.Host
	bus     event.Bus
	emitter event.Emitter

	mu    sync.Mutex
	conns map[identity.PeerID]network.Connectedness
}

func newFakeHost(t *testing.T) *fakeHost {
	t.Helper()
	h := &fakeHost{bus: eventbus.NewBus(), conns: make(map[identity.PeerID]network.Connectedness)}
	var err error
	if h.emitter, err = h.bus.Emitter(new(event.EvtPeerConnectednessChanged)); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *fakeHost) EventBus() event.Bus { return h.bus }

func (h *fakeHost) Network() network.Network { return fakeNetwork{h: h} }

// fakeNetwork says how a fakeHost is connected.
type fakeNetwork struct {
	network.Network
	h *fakeHost
}

func (n fakeNetwork) Connectedness(id identity.PeerID) network.Connectedness {
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	return n.h.conns[id]
}

func (h *fakeHost) connect(t *testing.T, id identity.PeerID, c network.Connectedness) {
	t.Helper()
	h.mu.Lock()
	h.conns[id] = c
	h.mu.Unlock()
	if err := h.emitter.Emit(event.EvtPeerConnectednessChanged{Peer: id, Connectedness: c}); err != nil {
		t.Fatal(err)
	}
}

func TestConnectedFollowsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d := newFakeHost(t), newDiary()
		h.connect(t, "anna", network.Connected)
		source, err := follow.Connected(h, "anna", "ben")
		if err != nil {
			t.Fatal(err)
		}
		end := following(t, d, source, follow.Config{})
		time.Sleep(time.Second)
		h.connect(t, "ben", network.Limited)        // through a relay
		h.connect(t, "stranger", network.Connected) // isn't in the set
		time.Sleep(time.Second)
		h.connect(t, "anna", network.NotConnected)
		h.connect(t, "ben", network.Connected)
		time.Sleep(9 * time.Second)
		h.connect(t, "anna", network.Connected) // a reconnect is not a leave
		time.Sleep(time.Second)
		h.connect(t, "ben", network.NotConnected) // but this is, after the grace
		time.Sleep(13 * time.Second)
		source.Add("stranger")
		time.Sleep(time.Second)
		source.Remove("anna") // and this is one at once
		time.Sleep(time.Second)
		if err := end(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		}
		expect(t, d, "0s start, 0s +anna, 1s +ben, 22s -ben, 25s +stranger, 26s -anna, 27s stop")
	})
}

func TestConnectedWithoutGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d := newFakeHost(t), newDiary()
		source, err := follow.Connected(h, "anna")
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		end := following(t, d, source, follow.Config{Grace: -1})
		for range 2 {
			time.Sleep(time.Second)
			h.connect(t, "anna", network.Connected)
			time.Sleep(time.Second)
			h.connect(t, "anna", network.NotConnected)
		}
		time.Sleep(time.Second)
		_ = end()
		expect(t, d, "0s start, 1s +anna, 2s -anna, 3s +anna, 4s -anna, 5s stop")
	})
}

// Nobody reads the source, and the session hangs: the host's event bus doesn't.
func TestConnectedNeverBlocksTheEventBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost(t)
		source, err := follow.Connected(h, "anna")
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		gate := make(chan struct{})
		d := newDiary()
		d.joinIs = func(identity.PeerID) error { <-gate; return nil }
		end := following(t, d, source, follow.Config{})
		began := time.Now()
		for range 1000 { // blocks the bubble for ever if the bus does
			h.connect(t, "anna", network.Connected)
			h.connect(t, "ben", network.Connected)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the event bus was blocked for %v", took)
		}
		close(gate)
		_ = end()
	})
}

// With hosts and connections of libp2p.
func TestConnectedWithRealHosts(t *testing.T) {
	newHost := func() host.Host {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		return h
	}
	a, b := newHost(), newHost()
	source, err := follow.Connected(a, b.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	told := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- follow.Follow(ctx, teller{told}, source, follow.Config{Grace: -1}) }()
	await := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("told %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not told %q", want)
		}
	}
	await("start")
	if err := b.Connect(ctx, peer.AddrInfo{ID: a.ID(), Addrs: a.Addrs()}); err != nil {
		t.Fatal(err)
	}
	await("joined " + b.ID().String())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	await("left " + b.ID().String())
	cancel()
	await("stop")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// teller is a Session that tells what it is told.
type teller struct{ told chan<- string }

func (s teller) Start(context.Context) error { s.told <- "start"; return nil }
func (s teller) Stop() error                 { s.told <- "stop"; return nil }
func (s teller) PeerJoined(id identity.PeerID) error {
	s.told <- "joined " + id.String()
	return nil
}

func (s teller) PeerLeft(id identity.PeerID) error {
	s.told <- "left " + id.String()
	return nil
}
