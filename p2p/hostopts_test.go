package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

func hostOptions(t testing.TB, c HostConfig) []libp2p.Option {
	t.Helper()
	o, err := HostOptions(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// newHost makes a host of the application's options, then ours.
func newHost(t testing.TB, own []libp2p.Option, ours []libp2p.Option) host.Host {
	t.Helper()
	options := append([]libp2p.Option{libp2p.DisableMetrics()}, own...)
	h, err := libp2p.New(append(options, ours...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// noLimits are the options of a host that shall not be what is tested.
func noLimits() []libp2p.Option {
	return []libp2p.Option{p2ptest.NoLimits()}
}

func TestHostOptionsMakeAHostThatNeedsNothingElse(t *testing.T) {
	a := newHost(t, nil, hostOptions(t, HostConfig{}))
	b := newHost(t, nil, hostOptions(t, HostConfig{}))
	for _, transport := range []string{"udp", "tcp"} {
		var to []ma.Multiaddr
		for _, addr := range b.Network().ListenAddresses() {
			if strings.HasPrefix(addr.String(), "/ip4/0.0.0.0/"+transport) {
				to = append(to, ma.StringCast(strings.Replace(addr.String(), "0.0.0.0", "127.0.0.1", 1)))
			}
		}
		if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: to}); err != nil || len(to) != 1 {
			t.Errorf("over %s to %v: %v", transport, to, err)
		}
		_ = a.Network().ClosePeer(b.ID())
		a.Peerstore().ClearAddrs(b.ID())
	}
	for _, f := range CheckHost(a) {
		if f.Severity == Problem {
			t.Errorf("%+v", f)
		}
	}
}

func TestHostOptionsLeaveTheApplicationsChoices(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := connmgr.NewConnManager(7, 9)
	if err != nil {
		t.Fatal(err)
	}
	limits := &network.NullResourceManager{}
	only := ma.StringCast("/ip4/1.2.3.4/tcp/5")
	h := newHost(t, []libp2p.Option{
		libp2p.Identity(key), libp2p.ListenAddrStrings(p2ptest.QUIC), libp2p.ConnectionManager(m),
		libp2p.ResourceManager(limits), libp2p.DisableRelay(),
		libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return []ma.Multiaddr{only} }),
	}, hostOptions(t, HostConfig{NATPortMap: true}))
	if id, _ := peer.IDFromPrivateKey(key); h.ID() != id {
		t.Error("another identity")
	}
	if h.ConnManager() != m || h.Network().ResourceManager() != limits {
		t.Error("another connection or resource manager")
	}
	if a := h.Addrs(); len(a) != 1 || !a[0].Equal(only) {
		t.Errorf("addresses %v", a)
	}
	if l := h.Network().ListenAddresses(); len(l) != 1 || !strings.Contains(l[0].String(), "127.0.0.1/udp") {
		t.Errorf("listens on %v", l)
	}
	quiet := newHost(t, []libp2p.Option{libp2p.NoListenAddrs}, hostOptions(t, HostConfig{}))
	if l := quiet.Network().ListenAddresses(); len(l) != 0 {
		t.Errorf("listens on %v in spite of NoListenAddrs", l)
	}
}

func TestHostConfigsThatMakeNoSense(t *testing.T) {
	for _, c := range []HostConfig{{Peers: -1}, {PeersPerAddress: -1}, {Peers: mostPeers + 1}} {
		if _, err := HostOptions(c); !errors.Is(err, ErrHostConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []RelayHostConfig{{Members: -1}, {PeersPerAddress: -1}, {Members: mostPeers + 1}} {
		if _, err := RelayHostOptions(c); !errors.Is(err, ErrHostConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// circuitTo is the address of a peer through a relay.
func circuitTo(r, p host.Host) peer.AddrInfo {
	a := fmt.Sprintf("%s/p2p/%s/p2p-circuit", r.Addrs()[0], r.ID())
	return peer.AddrInfo{ID: p.ID(), Addrs: []ma.Multiaddr{ma.StringCast(a)}}
}

// newRelay starts a relay on a host.
func newRelay(t testing.TB, h host.Host) *relay.Relay {
	t.Helper()
	r, err := relay.New(h, relay.WithResources(RelayResources()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestPeersBehindOneRelay(t *testing.T) {
	const callers = 20
	for name, c := range map[string]struct {
		callee func() []libp2p.Option
		want   int
	}{
		"libp2p's defaults": {func() []libp2p.Option { return nil }, 7},
		"our options":       {func() []libp2p.Option { return hostOptions(t, HostConfig{Peers: callers}) }, callers},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 2 + callers, HostOptions: func(i int) []libp2p.Option {
					if i == 1 {
						return c.callee()
					}
					return noLimits()
				}})
				r, callee := net.Host(0), net.Host(1)
				newRelay(t, r)
				connect(t, net, 1, 0)
				if _, err := client.Reserve(t.Context(), callee, peer.AddrInfo{ID: r.ID()}); err != nil {
					t.Fatal(err)
				}
				connected := 0
				for i := range callers {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					ctx = network.WithAllowLimitedConn(ctx, "test")
					if net.Host(2+i).Connect(ctx, circuitTo(r, callee)) == nil {
						connected++
					}
					cancel()
				}
				if connected != c.want {
					t.Errorf("%d of %d were let in, want %d", connected, callers, c.want)
				}
			})
		})
	}
}

// A mesh in which everybody has two connections with all lanes, as while moving
// from one to the other; all come at the same moment, to the smallest machine
// that libp2p knows.
func TestLimitsHoldAMesh(t *testing.T) {
	for _, peers := range []int{16, 64} {
		n := meshNeed(peers, peers)
		rm, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(n.limits(libp2pLimits().Scale(128<<20, 256))), n.perSubnet(), n.connRate())
		if err != nil {
			t.Fatal(err)
		}
		defer rm.Close()
		var conns []network.ConnManagementScope
		for i := range 2 * peers {
			c, err := rm.OpenConnection(network.DirInbound, i%4 > 0, ma.StringCast(fmt.Sprintf("/ip4/1.2.3.4/udp/%d/quic-v1", 1000+i)))
			if err != nil {
				t.Fatalf("connection %d of %d peers: %v", i, peers, err)
			}
			defer c.Done()
			conns = append(conns, c)
		}
		var streams []network.StreamManagementScope
		for i := range peers {
			p := peer.ID(fmt.Sprintf("peer %d", i))
			for j := range 2 {
				if err := conns[2*i+j].SetPeer(p); err != nil {
					t.Fatalf("connection %d of peer %d of %d: %v", j, i, peers, err)
				}
			}
			for _, dir := range []network.Direction{network.DirInbound, network.DirOutbound} {
				for j := range 2 * (maxLanes + 1) {
					s, err := rm.OpenStream(p, dir)
					if err != nil {
						t.Fatalf("stream %d of peer %d of %d: %v", j, i, peers, err)
					}
					defer s.Done()
					streams = append(streams, s)
				}
			}
		}
		for i, s := range streams {
			if err := s.SetProtocol(ProtocolID); err != nil {
				t.Fatalf("the protocol of stream %d with %d peers: %v", i, peers, err)
			}
		}
	}
}

// Dials to a peer behind a NAT that nobody answers don't keep out the circuit that
// replaces the one in use.
func TestDialsInVainLeaveRoomForACircuit(t *testing.T) {
	rm := newHost(t, nil, hostOptions(t, HostConfig{})).Network().ResourceManager()
	open := func(dir network.Direction, fd bool, addr string) {
		t.Helper()
		c, err := rm.OpenConnection(dir, fd, ma.StringCast(addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Done)
		if err := c.SetPeer("a peer"); err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
	}
	for n := range 8 {
		open(network.DirInbound, false, fmt.Sprintf("/ip4/11.0.0.1/udp/%d/quic-v1", 1+n))
	}
	for n := range 6 { // addresses, dialed by libp2p and by us
		for range 2 {
			open(network.DirOutbound, false, fmt.Sprintf("/ip4/11.0.1.%d/udp/1/quic-v1", n))
		}
		open(network.DirOutbound, true, fmt.Sprintf("/ip4/11.0.1.%d/tcp/1", n))
	}
	open(network.DirOutbound, false, "/p2p-circuit")
	open(network.DirInbound, false, "/p2p-circuit")
}

func TestLimitsStillLimit(t *testing.T) {
	h := newHost(t, nil, hostOptions(t, HostConfig{PeersPerAddress: 10}))
	rm := h.Network().ResourceManager()
	open := func(from string) (n int) {
		for ; n < 1000; n++ {
			c, err := rm.OpenConnection(network.DirInbound, false, ma.StringCast(from))
			if err != nil {
				return n
			}
			defer c.Done()
			if c.SetPeer(peer.ID(fmt.Sprintf("peer %s %d", from, n))) != nil {
				return n
			}
		}
		return n
	}
	if n := open("/ip4/1.2.3.4/udp/1/quic-v1"); n != 28 {
		t.Errorf("%d connections with one IPv4 address, want 28", n)
	}
	if n := open("/ip6/2001:4860::1/udp/1/quic-v1"); n != 28 {
		t.Errorf("%d connections with one IPv6 network, want 28", n)
	}
	again := 0
	for range 1000 { // made and broken, over and over
		if c, err := rm.OpenConnection(network.DirInbound, false, ma.StringCast("/ip4/1.2.3.5/udp/1/quic-v1")); err == nil {
			c.Done()
			again++
		}
	}
	if again < 28 || again > 100 {
		t.Errorf("%d connections were made at once with one address, want about 56", again)
	}
}

func TestARelayHostHoldsItsCircuits(t *testing.T) {
	options, err := RelayHostOptions(RelayHostConfig{Members: 200})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, []libp2p.Option{libp2p.ListenAddrStrings(p2ptest.QUIC)}, options)
	rm := h.Network().ResourceManager()
	stream := func(p string, dir network.Direction, id string) {
		t.Helper()
		s, err := rm.OpenStream(peer.ID(p), dir)
		if err == nil {
			t.Cleanup(s.Done)
			err = s.SetProtocol(protocol.ID(id))
		}
		if err == nil {
			err = s.SetService(relay.ServiceName)
		}
		if err != nil {
			t.Fatalf("a stream of %s: %v", p, err)
		}
	}
	for i := range 200 { // 4 circuits for each, and all 64 for one
		c, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast(fmt.Sprintf("/ip4/1.2.%d.4/tcp/1000", i/64)))
		if err != nil {
			t.Fatalf("member %d: %v", i, err)
		}
		defer c.Done()
		if err := c.SetPeer(peer.ID(fmt.Sprint("member ", i))); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			stream(fmt.Sprint("member ", i), network.DirInbound, proto.ProtoIDv2Hop)
			stream(fmt.Sprint("member ", (i+1)%200), network.DirOutbound, proto.ProtoIDv2Stop)
		}
	}
	for range circuitsPerPeer - 8 {
		stream("member 0", network.DirInbound, proto.ProtoIDv2Hop)
	}
	stream("member 0", network.DirInbound, proto.ProtoIDv2Hop) // renews its reservation
	if low := h.ConnManager().(*connmgr.BasicConnMgr).GetInfo().LowWater; low < 200 {
		t.Errorf("members are trimmed from %d connections on", low)
	}
}

func TestRelayOnlyGivesNoAddressAway(t *testing.T) {
	own := ma.StringCast("/ip4/11.0.0.1/udp/4001/quic-v1")
	through := ma.StringCast("/ip4/11.0.0.2/udp/4001/quic-v1/p2p/12D3KooWGzh5JTSDqSQy6LVmB2bAaeQQTXaV1qSUgCaUxZQBzXZM/p2p-circuit")
	h := newHost(t, []libp2p.Option{
		libp2p.EnableHolePunching(),
		libp2p.AddrsFactory(func(a []ma.Multiaddr) []ma.Multiaddr { return append(slices.Clone(a), own, through) }),
	}, hostOptions(t, HostConfig{RelayOnly: true, NATPortMap: true}))
	if l := h.Network().ListenAddresses(); len(l) > 1 || len(l) == 1 && l[0].String() != "/p2p-circuit" {
		t.Errorf("listens on %v", l)
	}
	if a := h.Addrs(); len(a) != 1 || !a[0].Equal(through) {
		t.Errorf("advertises %v", a)
	}
	// What a peer is told that the host itself dials.
	o := p2ptest.Loopback(t, p2ptest.QUIC)
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: o.ID(), Addrs: o.Addrs()}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 5*time.Second, "identify", func() bool { return len(o.Peerstore().Addrs(h.ID())) > 0 })
	for _, a := range o.Peerstore().Addrs(h.ID()) {
		if !isCircuit(a) && !a.Equal(o.Network().ConnsToPeer(h.ID())[0].RemoteMultiaddr()) {
			t.Errorf("the peer was told %v", a)
		}
	}
	if slices.Contains(h.Mux().Protocols(), holepunch.Protocol) {
		t.Error("punches holes")
	}
}

func TestHostOptionsServeSeveralHosts(t *testing.T) {
	o := hostOptions(t, HostConfig{})
	a, b := newHost(t, nil, o), newHost(t, nil, o)
	if a.ConnManager() == b.ConnManager() || a.Network().ResourceManager() == b.Network().ResourceManager() {
		t.Error("two hosts share a manager")
	}
	if _, ok := a.Network().ResourceManager().(rcmgr.ResourceManagerState); !ok {
		t.Error("no limits")
	}
}
