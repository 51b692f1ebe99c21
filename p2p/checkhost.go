package p2p

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
)

// Severity says how much a Finding matters.
type Severity string

// The severities.
const (
	// Problem: some peers won't be heard.
	Problem Severity = "problem"
	// Warning: conversations suffer in some networks, or when many take part.
	Warning Severity = "warning"
	// Note: worth knowing; nothing may have to be done.
	Note Severity = "note"
)

// Finding is something that a host lacks for voice.
type Finding struct {
	Severity Severity
	What     string // in plain words
	WhatToDo string // likewise
}

// checkPeers is the size of the conversations that CheckHost asks for.
const checkPeers = 16

const useHostOptions = "make the host with p2p.HostOptions, "

// CheckHost says what a host lacks for voice between 16 peers, the worst first;
// nothing if nothing. It looks, and for the limits tries: it takes connections
// that don't exist from the resource manager, and gives them back before it
// returns. Nothing goes over the network. What it can't see, with a network or
// managers of another make, it doesn't report. A nil host is a Problem.
func CheckHost(h host.Host) []Finding {
	if h == nil {
		return []Finding{{Problem, "there is no host", useHostOptions + "and pass it"}}
	}
	c := &checker{host: h}
	c.transports()
	c.listening()
	c.punching()
	c.limits()
	c.perAddress()
	c.trimming()
	order := []Severity{Problem, Warning, Note}
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return c.found
}

type checker struct {
	host  host.Host
	found []Finding
}

func (c *checker) add(s Severity, what, todo string) {
	c.found = append(c.found, Finding{s, what, todo})
}

// The kinds of addresses that are looked for.
var (
	anyQUIC    = ma.StringCast("/ip4/240.0.0.1/udp/1/quic-v1")
	anyTCP     = ma.StringCast("/ip4/240.0.0.1/tcp/1")
	anyCircuit = ma.StringCast("/p2p-circuit")

	publicQUIC = ma.StringCast("/ip4/11.0.0.1/udp/1/quic-v1") // only public ones are judged; nobody is dialed
)

func (c *checker) transports() {
	n, ok := c.host.Network().(interface {
		TransportForDialing(a ma.Multiaddr) transport.Transport
	})
	if !ok {
		return
	}
	if n.TransportForDialing(anyQUIC) == nil {
		c.add(Problem, "the host has no QUIC transport: every lost packet stops all that follow, and hole punching fails more often",
			useHostOptions+"or add libp2p.Transport(quic.NewTransport)")
	}
	// The detector lets every hundredth dial through.
	if d, ok := n.(interface {
		CanDial(peer.ID, ma.Multiaddr) bool
	}); ok && n.TransportForDialing(anyQUIC) != nil &&
		!d.CanDial(unknownPeer(0), publicQUIC) && !d.CanDial(unknownPeer(0), publicQUIC) {
		c.add(Problem, "the host refuses to dial over QUIC now: libp2p's black hole detector thinks that UDP is blocked, or a connection gater forbids it",
			useHostOptions+"or add libp2p.UDPBlackHoleSuccessCounter(nil); look at the gater")
	}
	if n.TransportForDialing(anyTCP) == nil {
		c.add(Warning, "the host has no TCP transport: peers in networks that block UDP can't be reached",
			useHostOptions+"or add libp2p.Transport(tcp.NewTCPTransport)")
	}
	if n.TransportForDialing(anyCircuit) == nil {
		c.add(Problem, "the host has no relay transport: it can't reach peers behind NATs, nor they it",
			useHostOptions+"or add libp2p.EnableRelay(); libp2p.NoListenAddrs turns it off")
	}
}

func (c *checker) listening() {
	quic, tcp := false, false
	for _, a := range c.host.Network().ListenAddresses() {
		switch {
		case isCircuit(a):
		case has(a, ma.P_QUIC_V1) && !has(a, ma.P_WEBTRANSPORT):
			quic = true
		case has(a, ma.P_TCP):
			tcp = true
		}
	}
	switch {
	case !quic && !tcp:
		c.add(Warning, "the host listens nowhere: it is reached through relays only, and no hole can be punched to it. With HostConfig.RelayOnly that is meant",
			`add libp2p.ListenAddrStrings("/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0")`)
	case !quic:
		c.add(Warning, "the host doesn't listen on QUIC: whoever connects to it comes over TCP, where every lost packet stops all that follow",
			`add libp2p.ListenAddrStrings("/ip4/0.0.0.0/udp/0/quic-v1")`)
	case !tcp:
		c.add(Warning, "the host doesn't listen on TCP: peers in networks that block UDP can't connect to it",
			`add libp2p.ListenAddrStrings("/ip4/0.0.0.0/tcp/0")`)
	}
}

func has(a ma.Multiaddr, code int) bool {
	_, err := a.ValueForProtocol(code)
	return err == nil
}

func (c *checker) punching() {
	if !slices.Contains(c.host.Mux().Protocols(), holepunch.Protocol) {
		c.add(Note, "hole punching is off, or not on yet: libp2p offers it only once it knows a public address of the host, "+
			"which the first peer outside of its network tells it. Until then relayed connections stay relayed",
			useHostOptions+"or add libp2p.EnableHolePunching(), connect to a relay with a public address, and check again")
	}
}

// limits looks at those limits of the resource manager that it shows.
func (c *checker) limits() {
	rm := c.host.Network().ResourceManager()
	if _, ok := rm.(*network.NullResourceManager); ok {
		c.add(Note, "the host has no resource limits: a hostile peer may take all memory", useHostOptions+"without a resource manager of your own")
		return
	}
	need := meshNeed(checkPeers, checkPeers)
	few := func(l rcmgr.Limit) int {
		return min(l.GetConnLimit(network.DirInbound), l.GetConnLimit(network.DirOutbound), l.GetConnTotalLimit())
	}
	see := func(scope network.ResourceScope, name string, conns, streams int) {
		s, ok := scope.(rcmgr.ResourceScopeLimiter)
		if !ok {
			return
		}
		l := s.Limit()
		if n := few(l); n < conns {
			c.add(Problem, fmt.Sprintf("the resource manager allows %d connections %s, %d peers need %d", n, name, checkPeers, conns), raiseLimits)
		}
		if n := min(l.GetStreamLimit(network.DirInbound), l.GetStreamLimit(network.DirOutbound)); n < streams {
			c.add(Problem, fmt.Sprintf("the resource manager allows %d streams each way %s, %d peers need %d", n, name, checkPeers, streams), raiseLimits)
		}
	}
	_ = rm.ViewSystem(func(s network.ResourceScope) error {
		see(s, "in all", 2*checkPeers, need.voice)
		return nil
	})
	_ = rm.ViewProtocol(ProtocolID, func(s network.ProtocolScope) error {
		// On one connection each; libp2p's defaults have no room for more.
		see(s, "of "+ProtocolID, 0, checkPeers*(maxLanes+1))
		return nil
	})
	_ = rm.ViewPeer(unknownPeer(0), func(s network.PeerScope) error {
		see(s, "with one peer", 2, streamsPerPeer)
		if l, ok := s.(rcmgr.ResourceScopeLimiter); ok {
			if n := few(l.Limit()); n >= 2 && n < connsWithOne {
				c.add(Warning, fmt.Sprintf("the resource manager allows %d connections with one peer, dials that are under way included: "+
					"while holes are punched, a relay that limits circuits may cut one before there is another; %d are enough", n, connsWithOne), raiseLimits)
			}
		}
		return nil
	})
}

const raiseLimits = useHostOptions + "whose resource manager has room for HostConfig.Peers"

// unknownPeer is the name of a peer that can't exist.
func unknownPeer(i int) peer.ID { return peer.ID(fmt.Sprintf("parley check %d", i)) }

// perAddress finds out how many peers may come from one IP address by trying:
// the limit isn't to be seen. The address is of a range that nobody has
// (RFC 1112 section 4), another one each time since the rate is limited too.
func (c *checker) perAddress() {
	rm := c.host.Network().ResourceManager()
	n := rand.Uint32()
	addr := ma.StringCast(fmt.Sprintf("/ip4/%d.%d.%d.%d/udp/4001/quic-v1", 240+n>>28%15, n>>16&255, n>>8&255, n&255))
	const want = checkPeers + 1 // and the relay itself
	opened := 0
	for ; opened < want; opened++ {
		conn, err := rm.OpenConnection(network.DirInbound, false, addr)
		if err != nil {
			break
		}
		defer conn.Done()
		// Out of the scope of connections in their handshake, which has room
		// for fewer.
		if conn.SetPeer(unknownPeer(opened)) != nil {
			break
		}
	}
	if opened < want {
		c.add(Problem, fmt.Sprintf("the resource manager allows %d connections with one IP address: no more than %d peers are reached through one relay, "+
			"nor from behind one NAT", opened, max(0, opened-1)),
			useHostOptions+"or give the resource manager rcmgr.WithLimitPerSubnet and rcmgr.WithConnRateLimiters with higher limits")
	}
}

// trimming looks at when the connection manager begins to close connections.
func (c *checker) trimming() {
	m, ok := c.host.ConnManager().(interface{ GetInfo() connmgr.CMInfo })
	if !ok {
		return
	}
	need := meshNeed(checkPeers, checkPeers)
	if low := m.GetInfo().LowWater; low < need.conns {
		c.add(Warning, fmt.Sprintf("the connection manager closes connections when there are more than %d, down to %d; %d peers and their relays may need %d. "+
			"It spares joined peers and relays, not those whom the application's lobby has yet to announce", m.GetInfo().HighWater, low, checkPeers, need.conns),
			useHostOptions+"or with connmgr.NewConnManager and higher watermarks")
	}
}
