package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// A lobby that is started anew, with the same identity at the same address,
// finds its members back, and nobody of those who come back is said to have
// left.
func TestALobbyThatRestartsEndsNothing(t *testing.T) {
	t.Parallel()
	lobby, h := newLobby(t, server.Config{})
	a := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Name: "Anna"})
	b := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Name: "Ben"})
	gone := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Name: "Gone"})
	a.sees(5*time.Second, b, gone)
	start := time.Now()
	if err := lobby.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("Close took %v", d)
	}
	a.waits(5*time.Second, "lost the lobby is shutting down")
	if err := gone.Close(); err != nil { // nobody is there to be told
		t.Error(err)
	}
	openLobby(t, h, server.Config{})
	back := a.waits(4*time.Second, "back")
	b.waits(4*time.Second, "back")
	a.sees(5*time.Second, b, gone) // who isn't back yet is kept
	left := a.waits(10*time.Second, "left "+short(gone.id)+" vanished")
	if d := left.Sub(back); d < 7*time.Second || d > 9500*time.Millisecond {
		t.Errorf("who didn't come back left %v after the lobby was back, want 8 s", d)
	}
	a.sees(5*time.Second, b)
	b.sees(5*time.Second, a)
	for _, m := range []*member{a, b} {
		m.quiet("left " + short(a.id))
		m.quiet("left " + short(b.id))
	}
	c := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	a.sees(5*time.Second, b, c)
}

// While the lobby is away nobody leaves, however long.
func TestWithoutALobbyNobodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 3})
		s := server.New(net.Host(0), server.Config{})
		a := join(t, net.Host(1), client.Config{Lobby: info(net.Host(0))})
		b := join(t, net.Host(2), client.Config{Lobby: info(net.Host(0))})
		a.sees(5*time.Second, b)
		if a.Stats().OwnConnection {
			t.Error("a TCP connection on a network without TCP")
		}
		before := net.Host(1).Network().ConnsToPeer(net.Host(0).ID())
		net.Cut(0)
		start := time.Now()
		if d := a.waits(10*time.Second, "lost the lobby doesn't answer").Sub(start); d > 7*time.Second {
			t.Errorf("the client knew after %v", d)
		}
		// The host would hold it for alive for 30 s, and use no other.
		waitFor(t, 5*time.Second, "the dead connection to be closed", func() bool { return len(before) == 1 && before[0].IsClosed() })
		time.Sleep(5 * time.Minute)
		a.sees(0, b)
		net.Restore(0)
		start = time.Now()
		if d := a.waits(time.Minute, "back").Sub(start); d > 8*time.Second {
			t.Errorf("back after %v", d)
		}
		b.waits(8*time.Second, "back")
		time.Sleep(20 * time.Second)
		a.sees(0, b)
		b.sees(0, a)
		a.quiet("left")
		b.quiet("left")
		_ = s.Close()
		_ = a.Close()
		_ = b.Close()
	})
}

// The cable of a member is pulled.
func TestAMemberWithoutNetworkVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 3})
		s := server.New(net.Host(0), server.Config{})
		a := join(t, net.Host(1), client.Config{Lobby: info(net.Host(0))})
		b := join(t, net.Host(2), client.Config{Lobby: info(net.Host(0))})
		a.sees(5*time.Second, b)

		net.Cut(2)
		time.Sleep(5 * time.Second) // a short disturbance
		net.Restore(2)
		time.Sleep(10 * time.Second)
		a.quiet("left")
		b.quiet("lost")

		net.Cut(2)
		start := time.Now()
		d := a.waits(time.Minute, "left "+short(b.id)+" vanished").Sub(start)
		if d < 8*time.Second || d > 12*time.Second {
			t.Errorf("vanished after %v, want about 10 s", d)
		}
		if st := s.Stats(); st.Silent != 1 || st.Vanished != 1 {
			t.Errorf("%+v", st)
		}
		net.Restore(2)
		b.waits(20*time.Second, "back")
		a.sees(5*time.Second, b)
		b.sees(5*time.Second, a)
		b.quiet("left")
		_ = a.Close()
		_ = b.Close()
		_ = s.Close()
	})
}

// A stream that ends without a word has 2 s to come back, and nobody is told.
func TestAMemberThatComesBackIsNotMissed(t *testing.T) {
	lobby, h := newLobby(t, server.Config{})
	a := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	b := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	a.sees(5*time.Second, b)
	for _, c := range h.Network().ConnsToPeer(b.id) {
		_ = c.Close()
	}
	b.waits(2*time.Second, "lost")
	b.waits(2*time.Second, "back")
	waitFor(t, 3*time.Second, "the member to be back", func() bool { return lobby.Stats().Resumed == 1 })
	c := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	a.sees(5*time.Second, b, c)
	if got := a.said(); len(got) != 2 || !strings.HasPrefix(got[0], "joined "+short(b.id)) || !strings.HasPrefix(got[1], "joined "+short(c.id)) {
		t.Errorf("events %q", got)
	}
}

// Who left while a client was cut off, and the lobby kept its place, is known to
// have left when it is back.
func TestWhoLeftMeanwhileHasLeft(t *testing.T) {
	_, h := newLobby(t, server.Config{})
	a := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	b := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	a.sees(5*time.Second, b)
	for _, c := range h.Network().ConnsToPeer(a.id) {
		_ = c.Close()
	}
	_ = b.Close()
	a.waits(2*time.Second, "back")
	a.sees(5 * time.Second)
}

func TestTheSameIdentityElsewhereEndsAClient(t *testing.T) {
	for name, listen := range map[string][]string{"on their own connections": {p2ptest.QUIC, p2ptest.TCP}, "on the host's": {p2ptest.QUIC}} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, listen...)
			lobby := openLobby(t, h, server.Config{})
			host := newHost(t, p2ptest.QUIC)
			first := join(t, host, client.Config{Lobby: info(h)})
			watcher := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
			watcher.sees(5*time.Second, first)
			second := join(t, host, client.Config{Lobby: info(h)})
			first.waits(2*time.Second, "lost the same identity joined")
			select {
			case <-first.done:
			case <-time.After(2 * time.Second):
				t.Fatal("events go on")
			}
			second.sees(5*time.Second, watcher)
			watcher.sees(5*time.Second, second)
			watcher.quiet("left")
			if st := lobby.Stats(); st.Replaced != 1 || st.Members != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestAddressesThatChangeAreTold(t *testing.T) {
	t.Parallel()
	_, h := newLobby(t, server.Config{})
	changing := make(chan []ma.Multiaddr, 1)
	current := []ma.Multiaddr{ma.StringCast("/ip4/11.1.1.1/udp/1/quic-v1")}
	host := newHost(t, p2ptest.QUIC)
	emitter, err := host.EventBus().Emitter(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		t.Fatal(err)
	}
	defer emitter.Close()
	a := join(t, host, client.Config{Lobby: info(h), Addresses: func() []ma.Multiaddr {
		select {
		case current = <-changing:
		default:
		}
		return current
	}})
	b := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	b.sees(5*time.Second, a)
	addrs := func() string { return b.Members()[0].Addrs[0].String() }
	if got := addrs(); got != "/ip4/11.1.1.1/udp/1/quic-v1" {
		t.Error(got)
	}
	changing <- []ma.Multiaddr{ma.StringCast("/ip4/11.2.2.2/udp/2/quic-v1"), ma.StringCast("/ip4/11.1.1.1/udp/1/quic-v1")}
	if err := emitter.Emit(event.EvtLocalAddressesUpdated{}); err != nil {
		t.Fatal(err)
	}
	b.waits(3*time.Second, "updated "+short(a.id))
	if got := len(b.Members()[0].Addrs); got != 2 {
		t.Errorf("%d addresses", got)
	}
	known := b.host.Peerstore().Addrs(a.id)
	if !slices.ContainsFunc(known, ma.StringCast("/ip4/11.2.2.2/udp/2/quic-v1").Equal) {
		t.Errorf("peerstore: %v", known)
	}
	// Without an event they are looked at every 5 s.
	changing <- []ma.Multiaddr{ma.StringCast("/ip4/11.3.3.3/udp/3/quic-v1")}
	waitFor(t, 8*time.Second, "another address", func() bool { return addrs() == "/ip4/11.3.3.3/udp/3/quic-v1" })
}

func TestHiddenAddressesAreThoseOfRelaysOnly(t *testing.T) {
	_, h := newLobby(t, server.Config{})
	circuit := "/ip4/11.0.0.1/tcp/4001/p2p/" + h.ID().String() + "/p2p-circuit"
	addresses := func() []ma.Multiaddr {
		return []ma.Multiaddr{ma.StringCast("/ip4/11.1.1.1/udp/1/quic-v1"), ma.StringCast(circuit), ma.StringCast("/ip4/192.168.1.1/tcp/1")}
	}
	hidden := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), HideAddresses: true, Addresses: addresses})
	open := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Addresses: addresses})
	hidden.sees(5*time.Second, open)
	open.sees(5*time.Second, hidden)
	if got := open.Members()[0].Addrs; len(got) != 1 || got[0].String() != circuit {
		t.Errorf("the hidden one is said to be at %v", got)
	}
	if got := hidden.Members()[0].Addrs; len(got) != 3 {
		t.Errorf("the open one is said to be at %v", got)
	}
	for _, a := range hidden.host.Peerstore().Addrs(open.id) {
		if a.String() != circuit {
			t.Errorf("the hidden one would dial %s", a)
		}
	}
}

func TestWaysToTheLobby(t *testing.T) {
	t.Parallel()
	_, h := newLobby(t, server.Config{})
	quic, tcp := only(info(h), ma.P_QUIC_V1), only(info(h), ma.P_TCP)
	port, err := tcp.Addrs[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	named := peer.AddrInfo{ID: h.ID(), Addrs: []ma.Multiaddr{ma.StringCast("/dns4/localhost/tcp/" + port)}}
	for name, c := range map[string]struct {
		lobby  peer.AddrInfo
		listen []string
	}{
		"TCP and QUIC":               {info(h), []string{p2ptest.QUIC, p2ptest.TCP}},
		"QUIC: TCP is found out":     {quic, []string{p2ptest.QUIC}},
		"TCP":                        {tcp, []string{p2ptest.QUIC}},
		"TCP, listening on TCP only": {tcp, []string{p2ptest.TCP}},
		"a name":                     {named, []string{p2ptest.QUIC}},
	} {
		t.Run(name, func(t *testing.T) {
			m := join(t, newHost(t, c.listen...), client.Config{Lobby: c.lobby})
			if !m.Stats().OwnConnection {
				t.Error("no connection of its own")
			}
		})
	}
	t.Run("without TCP", func(t *testing.T) {
		h := newHost(t, p2ptest.QUIC)
		openLobby(t, h, server.Config{})
		m := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
		if m.Stats().OwnConnection {
			t.Error("a connection of its own")
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err := client.Join(ctx, newHost(t, p2ptest.QUIC), client.Config{Room: room, Lobby: peer.AddrInfo{ID: h.ID(), Addrs: []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/udp/1/quic-v1")}}})
		if !errors.Is(err, client.ErrLobby) {
			t.Errorf("%v, want ErrLobby", err)
		}
	})
	t.Run("somebody else there", func(t *testing.T) {
		other := newHost(t, p2ptest.QUIC, p2ptest.TCP)
		_, err := tryJoin(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: peer.AddrInfo{ID: other.ID(), Addrs: info(h).Addrs}})
		if !errors.Is(err, client.ErrLobby) {
			t.Errorf("%v, want ErrLobby", err)
		}
	})
}

// A member that came by the host's connection, when TCP didn't work, moves to a
// connection of its own when it does; nobody notices.
func TestPresenceMovesToAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t, p2ptest.QUIC)
	lobby := openLobby(t, h, server.Config{})
	moving := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	watcher := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	watcher.sees(5*time.Second, moving)
	moving.sees(5*time.Second, watcher)
	if moving.Stats().OwnConnection {
		t.Fatal("a TCP connection without TCP")
	}
	if err := h.Network().Listen(ma.StringCast(p2ptest.TCP)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 20*time.Second, "connections of their own", func() bool { return lobby.Stats().OwnConnections == 2 })
	waitFor(t, 5*time.Second, "the clients to know", func() bool { return moving.Stats().OwnConnection && watcher.Stats().OwnConnection })
	moving.sees(5*time.Second, watcher)
	watcher.sees(5*time.Second, moving)
	for _, m := range []*member{moving, watcher} {
		if got := m.said(); len(got) != 1 || m.Stats().Lost != 0 {
			t.Errorf("events %q, %+v", got, m.Stats())
		}
	}
	if st := lobby.Stats(); st.Joins != 2 || st.Replaced != 2 || st.Left+st.Vanished != 0 {
		t.Errorf("%+v", st)
	}
	if err := moving.Close(); err != nil {
		t.Error(err)
	}
	watcher.waits(5*time.Second, "left "+short(moving.id)+" left")
}
