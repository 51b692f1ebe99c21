package main

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/lobbywire"
	"github.com/parley-voice/parley/identity"
)

// How many connections there may be. A member has two as a rule: one for the
// lobby alone, and its host's.
const (
	maxConns        = 16384
	connsPerPeer    = 16
	connsPerAddress = 1024 // many people may be behind one NAT
)

func newHost(opt *options) (host.Host, error) {
	key, err := identity.LoadOrCreateKey(opt.key)
	if err != nil {
		return nil, err
	}
	manager, err := newResourceManager()
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(maxConns/2, maxConns*3/4, connmgr.WithGracePeriod(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("start the connection manager: %w", err)
	}
	h, err := libp2p.New(
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(opt.listen...),
		libp2p.UserAgent("parley-lobby"),
		libp2p.ResourceManager(manager),
		libp2p.ConnectionManager(conns),
		libp2p.ForceReachabilityPublic(),
		libp2p.DisableMetrics(), // of the default registry, which nobody sees
		libp2p.AddrsFactory(func(own []ma.Multiaddr) []ma.Multiaddr { return slices.Concat(opt.announce, own) }),
	)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	return h, nil
}

// newResourceManager makes libp2p's resource manager with room for a thousand
// members and dozens of them at one address. Its defaults are for a program
// with a hundred connections, and take 8 from an address.
func newResourceManager() (network.ResourceManager, error) {
	unlimited := rcmgr.ResourceLimits{
		Streams: rcmgr.Unlimited, StreamsInbound: rcmgr.Unlimited, StreamsOutbound: rcmgr.Unlimited,
		Conns: rcmgr.Unlimited, ConnsInbound: rcmgr.Unlimited, ConnsOutbound: rcmgr.Unlimited,
		FD: rcmgr.Unlimited, Memory: rcmgr.Unlimited64,
	}
	conns := func(n int) rcmgr.ResourceLimits {
		r := unlimited
		r.Conns, r.ConnsInbound, r.ConnsOutbound, r.FD = rcmgr.LimitVal(n), rcmgr.LimitVal(n), rcmgr.LimitVal(n), rcmgr.LimitVal(n)
		return r
	}
	streams := func(r rcmgr.ResourceLimits, n int) rcmgr.ResourceLimits {
		r.Streams, r.StreamsInbound, r.StreamsOutbound = rcmgr.LimitVal(n), rcmgr.LimitVal(n), rcmgr.LimitVal(n)
		return r
	}
	// What a circuit needs: a stream from one peer and a stream to the other.
	// Memory is what streams could come to use, 256 KiB each, and not limited
	// beside them.
	circuits := streams(unlimited, maxConns)
	perPeer := streams(unlimited, 256)
	limits := rcmgr.PartialLimitConfig{
		System:      streams(conns(maxConns), 4*maxConns),
		Transient:   streams(conns(maxConns/8), maxConns/8),
		PeerDefault: streams(conns(connsPerPeer), 512),
		Service: map[string]rcmgr.ResourceLimits{
			relay.ServiceName:    circuits,
			identify.ServiceName: streams(unlimited, maxConns),
		},
		ServicePeer: map[string]rcmgr.ResourceLimits{relay.ServiceName: perPeer},
		Protocol: map[protocol.ID]rcmgr.ResourceLimits{
			proto.ProtoIDv2Hop:   circuits,
			proto.ProtoIDv2Stop:  circuits,
			identify.ID:          streams(unlimited, maxConns),
			identify.IDPush:      streams(unlimited, maxConns),
			lobbywire.ProtocolID: streams(unlimited, maxConns),
		},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{
			proto.ProtoIDv2Hop:   perPeer,
			proto.ProtoIDv2Stop:  perPeer,
			lobbywire.ProtocolID: streams(unlimited, 32),
		},
	}.Build(rcmgr.DefaultLimits.AutoScale())
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddress}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerAddress}, {PrefixLength: 48, ConnCount: 4 * connsPerAddress}}),
		rcmgr.WithConnRateLimiters(connRates()))
	if err != nil {
		return nil, fmt.Errorf("start the resource manager: %w", err)
	}
	return m, nil
}

// connRates limits new connections from an address: after a restart of the
// lobby all of those behind a NAT come back within seconds.
func connRates() *rate.Limiter {
	perAddress := rate.Limit{RPS: 20, Burst: connsPerAddress}
	loopback := rate.Limit{} // unlimited
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Limit: loopback}, {Prefix: netip.MustParsePrefix("::1/128"), Limit: loopback}},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perAddress}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perAddress}},
			GracePeriod:      time.Minute,
		},
	}
}

// notNarrow reports whether an address is of use beyond this machine, or all of
// the host's are not.
func notNarrow(h host.Host) func(ma.Multiaddr) bool {
	return func(a ma.Multiaddr) bool {
		return !manet.IsIPLoopback(a) || !slices.ContainsFunc(h.Addrs(), func(o ma.Multiaddr) bool { return !manet.IsIPLoopback(o) })
	}
}

// printAddresses says how others reach the lobby.
func printAddresses(h host.Host) {
	addrs := h.Addrs()
	for _, a := range addrs {
		fmt.Printf("listening %s/p2p/%s\n", a, h.ID())
	}
	if len(addrs) == 0 {
		return
	}
	best := slices.MinFunc(addrs, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
	fmt.Printf("join with: chat --lobby %s/p2p/%s --room %s\n", best, h.ID(), client.NewCode())
}

// rank is smaller for an address that more people can use.
func rank(a ma.Multiaddr) int {
	n := 0
	switch {
	case manet.IsPublicAddr(a):
	case manet.IsIPLoopback(a), manet.IsIP6LinkLocal(a):
		n = 8
	default:
		n = 4
	}
	if _, err := a.ValueForProtocol(ma.P_IP6); err == nil {
		n += 2
	}
	if _, err := a.ValueForProtocol(ma.P_QUIC_V1); err != nil {
		n++
	}
	if _, err := a.ValueForProtocol(ma.P_WEBTRANSPORT); err == nil {
		n = math.MaxInt32
	}
	return n
}
