package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/lobbywire"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// blackHole accepts TCP connections and says nothing.
func blackHole(t *testing.T) ma.Multiaddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	a, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mute is a host whose lobby takes streams and does what f does, until the test
// ends.
func mute(t *testing.T, f func(s network.Stream)) host.Host {
	t.Helper()
	h := newHost(t, p2ptest.QUIC, p2ptest.TCP)
	var wg sync.WaitGroup
	h.SetStreamHandler(lobbywire.ProtocolID, func(s network.Stream) {
		wg.Add(1)
		defer wg.Done()
		f(s)
		_, _ = io.Copy(io.Discard, s)
		_ = s.Reset()
	})
	t.Cleanup(func() {
		_ = h.Close()
		wg.Wait()
	})
	return h
}

// Whatever the lobby does, Join keeps to its context.
func TestJoinKeepsToItsContext(t *testing.T) {
	silent := mute(t, func(network.Stream) {})
	half := mute(t, func(s network.Stream) { // a welcome, and no list
		b, err := lobbywire.AppendFrame(nil, &lobbywire.Message{Kind: &lobbywire.Message_Welcome{Welcome: &lobbywire.Welcome{}}})
		if err == nil {
			_, _ = s.Write(b)
		}
	})
	for name, lobby := range map[string]peer.AddrInfo{
		"a lobby that doesn't answer": info(silent),
		"a list that doesn't end":     info(half),
		"no handshake":                {ID: silent.ID(), Addrs: []ma.Multiaddr{blackHole(t)}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, p2ptest.QUIC)
			ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
			defer cancel()
			start := time.Now()
			c, err := client.Join(ctx, h, client.Config{Lobby: lobby, Room: room})
			if err == nil {
				t.Error(errors.Join(errors.New("joined"), c.Close()))
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// Close takes at most a second: when the lobby answers nothing any more, and on
// the way back to a lobby that doesn't answer.
func TestCloseTakesAtMostASecond(t *testing.T) {
	h := newHost(t, p2ptest.QUIC, p2ptest.TCP)
	lobby := server.New(h, server.Config{})
	m := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	_ = lobby.Close()
	stuck := make(chan struct{}, 8)
	var wg sync.WaitGroup
	h.SetStreamHandler(lobbywire.ProtocolID, func(s network.Stream) {
		wg.Add(1)
		defer wg.Done()
		stuck <- struct{}{}
		_, _ = io.Copy(io.Discard, s)
		_ = s.Reset()
	})
	m.waits(5*time.Second, "lost")
	<-stuck
	start := time.Now()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("on the way back: %v", d)
	}
	_ = h.Close()
	wg.Wait()

	deaf := mute(t, func(s network.Stream) {
		for _, m := range []*lobbywire.Message{
			{Kind: &lobbywire.Message_Welcome{Welcome: &lobbywire.Welcome{}}},
			{Kind: &lobbywire.Message_Members{Members: &lobbywire.Members{Last: true}}},
		} {
			if b, err := lobbywire.AppendFrame(nil, m); err == nil {
				_, _ = s.Write(b)
			}
		}
	})
	c := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(deaf)})
	start = time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("without an answer to the leave: %v", d)
	}
}

func TestUnusableConfigurations(t *testing.T) {
	h := newHost(t, p2ptest.QUIC)
	for name, c := range map[string]struct {
		cfg  client.Config
		want error
	}{
		"no room":       {client.Config{Lobby: peer.AddrInfo{ID: newHost(t, p2ptest.QUIC).ID()}}, client.ErrCode},
		"no lobby":      {client.Config{Room: room}, client.ErrConfig},
		"our own lobby": {client.Config{Room: room, Lobby: info(h)}, client.ErrConfig},
	} {
		if _, err := client.Join(context.Background(), h, c.cfg); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A stream that the lobby opens on the client's own connection is refused.
func TestStreamsOnTheOwnConnectionAreRefused(t *testing.T) {
	_, h := newLobby(t, server.Config{})
	m := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	for _, c := range h.Network().ConnsToPeer(m.id) {
		if _, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_TCP); err != nil {
			continue
		}
		s, err := c.NewStream(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = s.Write([]byte("hello"))
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) {
			t.Errorf("%v, want a reset", err)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if n := m.Stats().StreamsRefused; n == 0 {
		t.Error("none was counted")
	}
}
