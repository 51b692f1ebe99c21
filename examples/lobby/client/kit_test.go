package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestMain(m *testing.M) {
	if lobby := os.Getenv(childEnv); lobby != "" {
		if err := childMember(lobby); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const room = "lusab-babad-gutih"

// newHost makes a host on the loopback interface, with QUIC, TCP or both.
func newHost(t testing.TB, listen ...string) host.Host {
	t.Helper()
	var options []libp2p.Option
	if len(listen) > 1 {
		options = append(options, libp2p.ListenAddrStrings(listen[1:]...))
	}
	return p2ptest.Loopback(t, listen[0], options...)
}

// newLobby opens a lobby on a host that has both.
func newLobby(t testing.TB, cfg server.Config) (*server.Server, host.Host) {
	t.Helper()
	h := newHost(t, p2ptest.QUIC, p2ptest.TCP)
	return openLobby(t, h, cfg), h
}

func openLobby(t testing.TB, h host.Host, cfg server.Config) *server.Server {
	t.Helper()
	cfg.Logger = testLog(t, "lobby")
	s := server.New(h, cfg)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func info(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// only keeps the addresses that have that protocol.
func only(i peer.AddrInfo, protocol int) peer.AddrInfo {
	i.Addrs = slices.DeleteFunc(slices.Clone(i.Addrs), func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(protocol)
		return err != nil
	})
	return i
}

func testLog(t testing.TB, who string) *slog.Logger {
	if os.Getenv("PARLEY_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", who)
}

// member is a client, and what it said.
type member struct {
	*client.Client
	t    testing.TB
	id   peer.ID
	host host.Host
	done chan struct{}

	mu     sync.Mutex // guards what follows
	events []string
	at     []time.Time
	here   map[peer.ID]bool
}

func join(t testing.TB, h host.Host, cfg client.Config) *member {
	t.Helper()
	m, err := tryJoin(t, h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryJoin(t testing.TB, h host.Host, cfg client.Config) (*member, error) {
	if cfg.Room == "" {
		cfg.Room = room
	}
	cfg.Logger = testLog(t, cfg.Name)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := client.Join(ctx, h, cfg)
	if err != nil {
		return nil, err
	}
	m := &member{Client: c, t: t, id: h.ID(), host: h, done: make(chan struct{}), here: map[peer.ID]bool{}}
	go m.record()
	t.Cleanup(func() {
		_ = c.Close()
		<-m.done
	})
	return m, nil
}

func (m *member) record() {
	defer close(m.done)
	for e := range m.Events() {
		m.mu.Lock()
		m.events = append(m.events, text(e))
		m.at = append(m.at, time.Now())
		switch e := e.(type) {
		case client.Joined:
			if m.here[e.Peer] {
				m.t.Errorf("%s joined twice", e.Peer)
			}
			m.here[e.Peer] = true
		case client.Left:
			if !m.here[e.Peer] {
				m.t.Errorf("%s left without having joined", e.Peer)
			}
			delete(m.here, e.Peer)
		}
		m.mu.Unlock()
	}
}

func text(e client.Event) string {
	switch e := e.(type) {
	case client.Joined:
		return "joined " + short(e.Peer) + " " + e.Name
	case client.Updated:
		return "updated " + short(e.Peer) + " " + e.Name
	case client.Left:
		return "left " + short(e.Peer) + " " + e.Reason.String()
	case client.LobbyLost:
		return "lost " + e.Reason
	case client.LobbyBack:
		return "back"
	}
	return fmt.Sprint(e)
}

func short(id peer.ID) string { s := id.String(); return s[len(s)-6:] }

// said is all the events so far.
func (m *member) said() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// when is the time of the first event with that beginning.
func (m *member) when(prefix string) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.events {
		if strings.HasPrefix(e, prefix) {
			return m.at[i], true
		}
	}
	return time.Time{}, false
}

// sees waits until the events say that just these are here, and Members does so
// too.
func (m *member) sees(d time.Duration, others ...*member) {
	m.t.Helper()
	var want []peer.ID
	for _, o := range others {
		want = append(want, o.id)
	}
	slices.Sort(want)
	var here, members []peer.ID
	ok := poll(d, func() bool {
		here, members = nil, nil
		m.mu.Lock()
		for id := range m.here {
			here = append(here, id)
		}
		m.mu.Unlock()
		slices.Sort(here)
		for _, o := range m.Members() {
			members = append(members, o.Peer)
		}
		return slices.Equal(here, want) && slices.Equal(members, want)
	})
	if !ok {
		m.t.Fatalf("%s: after %v events say %v, Members %v; want %v; events %q", short(m.id), d, here, members, want, m.said())
	}
}

// waits waits for an event with that beginning and returns its time.
func (m *member) waits(d time.Duration, prefix string) time.Time {
	m.t.Helper()
	if !poll(d, func() bool { _, ok := m.when(prefix); return ok }) {
		m.t.Fatalf("%s: no %q within %v; events %q", short(m.id), prefix, d, m.said())
	}
	at, _ := m.when(prefix)
	return at
}

// quiet fails if there was an event with that beginning.
func (m *member) quiet(prefix string) {
	m.t.Helper()
	if _, ok := m.when(prefix); ok {
		m.t.Errorf("%s: %q; events %q", short(m.id), prefix, m.said())
	}
}

// poll waits until cond holds, at most d.
func poll(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); !cond(); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

func waitFor(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	if !poll(d, cond) {
		t.Fatalf("waited %v for %s", d, what)
	}
}
