package client_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestMembersComeAndGo(t *testing.T) {
	lobby, h := newLobby(t, server.Config{})
	a := join(t, newHost(t, p2ptest.QUIC, p2ptest.TCP), client.Config{Lobby: info(h), Name: "Anna"})
	b := join(t, newHost(t, p2ptest.QUIC, p2ptest.TCP), client.Config{Lobby: info(h), Name: "Ben"})
	a.sees(5*time.Second, b)
	b.sees(5*time.Second, a)
	c := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Name: "Cleo"})
	other := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h), Room: "another room"})
	for _, m := range []*member{a, b, c} {
		m.sees(5*time.Second, slices.DeleteFunc([]*member{a, b, c}, func(o *member) bool { return o == m })...)
	}
	if got := a.said(); !slices.Contains(got, "joined "+short(b.id)+" Ben") || !slices.Contains(got, "joined "+short(c.id)+" Cleo") {
		t.Errorf("events %q", got)
	}
	if !a.Stats().OwnConnection || !c.Stats().OwnConnection {
		t.Errorf("no connection of their own: %+v, %+v", a.Stats(), c.Stats())
	}

	start := time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("Close took %v", d)
	}
	if d := a.waits(5*time.Second, "left "+short(b.id)+" left").Sub(start); d > time.Second {
		t.Errorf("the others knew after %v", d)
	}
	a.sees(5*time.Second, c)
	c.sees(5*time.Second, a)
	other.sees(5 * time.Second)
	if st := lobby.Stats(); st.Members != 3 || st.Rooms != 2 || st.Left != 1 || st.Vanished != 0 {
		t.Errorf("%+v", st)
	}
	// The lobby is told of a closed connection after the others are of Leave.
	waitFor(t, 5*time.Second, "connections of three members", func() bool { return lobby.Stats().OwnConnections == 3 })
}

// Before anything else is said of a member, the host can connect to it.
func TestAddressesOfMembersAreInThePeerstore(t *testing.T) {
	_, h := newLobby(t, server.Config{Relay: true})
	a := join(t, newHost(t, p2ptest.QUIC, p2ptest.TCP), client.Config{Lobby: info(h)})
	b := join(t, newHost(t, p2ptest.QUIC, p2ptest.TCP), client.Config{Lobby: info(h)})
	a.sees(5*time.Second, b)
	if err := a.host.Connect(context.Background(), peer.AddrInfo{ID: b.id}); err != nil {
		t.Error(err)
	}
	through := 0
	for _, addr := range a.host.Peerstore().Addrs(b.id) {
		if _, err := addr.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			through++
		}
	}
	if through == 0 {
		t.Errorf("none through the relay: %v", a.host.Peerstore().Addrs(b.id))
	}
}
