package client

import (
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

// memberTTL is how long the peerstore keeps a member's address: until Forget.
// No other code uses this time, which tells these addresses from others.
const memberTTL = peerstore.ConnectedAddrTTL - 7

// maxLobbyAddrs is through how many addresses of the lobby a member's relayed
// address is noted.
const maxLobbyAddrs = 4

// Remember notes addresses of a member in a host's peerstore, in place of those
// of an earlier Remember. A client does so itself unless Config.NoPeerstore.
func Remember(h host.Host, id peer.ID, addrs []ma.Multiaddr) {
	h.Peerstore().UpdateAddrs(id, memberTTL, peerstore.TempAddrTTL)
	h.Peerstore().AddAddrs(id, addrs, memberTTL)
}

// Forget lets a member's addresses expire soon; those that the application noted
// itself stay.
func Forget(h host.Host, id peer.ID) {
	h.Peerstore().UpdateAddrs(id, memberTTL, peerstore.TempAddrTTL)
}

// note notes what an event says of addresses.
func (c *Client) note(e Event, relay bool) {
	switch e := e.(type) {
	case Joined:
		c.remember(e.Peer, e.Addrs, relay)
	case Updated:
		c.remember(e.Peer, e.Addrs, relay)
	case Left:
		Forget(c.host, e.Peer)
	}
}

func (c *Client) remember(id peer.ID, addrs []ma.Multiaddr, relay bool) {
	var all []ma.Multiaddr
	for _, a := range addrs {
		if !c.cfg.HideAddresses || isCircuit(a) {
			all = append(all, a)
		}
	}
	if relay && !c.cfg.NoLobbyRelay {
		all = append(all, c.throughLobby()...)
	}
	Remember(c.host, id, all)
}

// throughLobby are addresses through the lobby's relay: they are the same for
// every member.
func (c *Client) throughLobby() []ma.Multiaddr {
	suffix, err := ma.NewMultiaddr("/p2p/" + c.lobby.String() + "/p2p-circuit")
	if err != nil {
		return nil
	}
	var all []ma.Multiaddr
	for _, a := range choose(c.lobby, c.lobbyAddrs(), false) {
		if len(all) < maxLobbyAddrs && !isCircuit(a) {
			all = append(all, a.Encapsulate(suffix))
		}
	}
	return all
}
