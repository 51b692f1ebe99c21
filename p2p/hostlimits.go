package p2p

import (
	"maps"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/x/rate"
)

// need is what a host needs at once of what the resource manager limits. Limits
// that are higher already stay.
type need struct {
	peers      int
	perAddress int   // peers at one IP address
	conns      int   // of everybody
	withOne    int   // with one peer
	transient  int   // connections in their handshake
	voice      int   // streams of ProtocolID each way
	circuits   int   // that are relayed for others
	memory     int64 // bytes of accounted buffers
}

// streamsPerPeer is a control stream and all lanes, and one more of each kind
// that isn't known to be over, on two connections: while a conversation moves
// from one to the other both are in use.
const streamsPerPeer = 2 * (maxLanes + 2)

// connsWithOne is how many connections with one peer there may be at a time. A
// dial counts from its beginning, and one that nobody answers for 5 s: hole
// punching makes one for each address of the peer, libp2p's own and ours. With
// libp2p's 8 in all there were times when nothing was left for the circuit that
// had to replace one used up.
const connsWithOne = 32

// meshNeed is what a host needs that talks to that many peers.
func meshNeed(peers, perAddress int) need {
	return need{
		peers:      peers,
		perAddress: perAddress,
		// A direct connection and a relayed spare, twice while they are
		// replaced; the rest for relays and the application.
		conns:     4*peers + 32,
		withOne:   connsWithOne,
		transient: 2*peers + 32, // all come at once
		voice:     peers * streamsPerPeer,
		// A stream on yamux, that is on TCP or a circuit, is accounted with
		// 256 KiB: four of them on each of two connections and something to
		// spare.
		memory: 64<<20 + int64(peers)*4<<20,
	}
}

// relayNeed is what a relay needs for that many members of lobbies.
func relayNeed(members, perAddress int) need {
	return need{
		peers:      members,
		perAddress: perAddress,
		conns:      2*members + 64, // QUIC and TCP
		withOne:    16,             // who comes back has some that nobody knows to be dead
		transient:  members + 64,   // a relay that was restarted gets all of them at once
		circuits:   8 * members,    // a mesh of 16 in which nobody is reached directly: 15 each, and each has two ends
		memory:     64<<20 + int64(members)*2<<20,
	}
}

// resourceManager gives the host a resource manager with room for n unless it
// has one.
func resourceManager(n need) libp2p.Option {
	return func(cfg *libp2p.Config) error {
		if cfg.ResourceManager != nil {
			return nil
		}
		m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(n.limits(libp2pLimits().AutoScale())), n.perSubnet(), n.connRate())
		if err != nil {
			return err
		}
		return cfg.Apply(libp2p.ResourceManager(m))
	}
}

// libp2pLimits are libp2p's default limits, to be scaled to a machine.
func libp2pLimits() *rcmgr.ScalingLimitConfig {
	l := rcmgr.DefaultLimits
	l.ServiceLimits = maps.Clone(l.ServiceLimits)
	l.ServicePeerLimits = maps.Clone(l.ServicePeerLimits)
	l.ProtocolLimits = maps.Clone(l.ProtocolLimits)
	l.ProtocolPeerLimits = maps.Clone(l.ProtocolPeerLimits)
	libp2p.SetDefaultServiceLimits(&l)
	return &l
}

// limits are those of base raised to what is needed.
func (n need) limits(base rcmgr.ConcreteLimitConfig) rcmgr.ConcreteLimitConfig {
	p := base.ToPartialLimitConfig()

	// A stream is transient until its protocol is known, which for a lane is
	// when its first packet comes.
	streams := n.voice + 2*n.circuits + 8*n.peers
	raise(&p.System, n.conns, streams)
	raise(&p.Transient, n.transient, n.voice+4*n.peers)
	// libp2p takes an eighth of the memory; more than half isn't given, whatever
	// is needed.
	atLeast(&p.System.Memory, rcmgr.LimitVal64(min(n.memory, 4*int64(p.System.Memory))))
	atLeast(&p.System.FD, rcmgr.LimitVal(n.conns))
	atLeast(&p.Transient.FD, rcmgr.LimitVal(n.transient))
	raise(&p.PeerDefault, n.withOne, 0)
	atLeast(&p.PeerDefault.FD, rcmgr.LimitVal(n.withOne/2)) // TCP

	p.Protocol = each(p.Protocol, p.ProtocolDefault, func(l *rcmgr.ResourceLimits) {
		raise(l, 0, n.voice)
		atLeast(&l.Memory, rcmgr.LimitVal64(n.memory))
	}, ProtocolID)
	n.services(&p)
	return p.Build(base)
}

// services raises the limits of what libp2p itself does with every peer, and of
// relaying.
func (n need) services(p *rcmgr.PartialLimitConfig) {
	brief := func(l *rcmgr.ResourceLimits) {
		raise(l, 0, 2*n.peers)
		atLeast(&l.Memory, rcmgr.LimitVal64(2*n.peers)*(16<<10))
	}
	p.Protocol = each(p.Protocol, p.ProtocolDefault, brief, identify.ID, identify.IDPush, ping.ID)
	p.Service = each(p.Service, p.ServiceDefault, brief, identify.ServiceName, ping.ServiceName)

	// A circuit is a stream in and a stream out; a peer who opens one has the
	// first, the peer who is reached the second.
	circuits := func(l *rcmgr.ResourceLimits) {
		raise(l, 0, max(n.circuits, 2*n.peers))
		atLeast(&l.Memory, rcmgr.LimitVal64(n.circuits)*(16<<10))
	}
	p.Protocol = each(p.Protocol, p.ProtocolDefault, circuits, proto.ProtoIDv2Hop, proto.ProtoIDv2Stop)
	if n.circuits == 0 {
		return
	}
	perPeer := func(l *rcmgr.ResourceLimits) {
		raise(l, 0, 2*circuitsPerPeer)
		atLeast(&l.Memory, 4<<20)
	}
	p.Service = each(p.Service, p.ServiceDefault, circuits, relay.ServiceName)
	p.ServicePeer = each(p.ServicePeer, p.ServicePeerDefault, perPeer, relay.ServiceName)
	p.ProtocolPeer = each(p.ProtocolPeer, p.ProtocolPeerDefault, perPeer, proto.ProtoIDv2Hop, proto.ProtoIDv2Stop)
	// What else runs there, a lobby, has a stream or two of every member.
	raise(&p.ProtocolDefault, 0, 2*n.peers)
	raise(&p.ServiceDefault, 0, 2*n.peers)
}

// each changes the limits of some services or protocols, those that have the
// default ones too.
func each[K ~string](m map[K]rcmgr.ResourceLimits, otherwise rcmgr.ResourceLimits, change func(*rcmgr.ResourceLimits), names ...K) map[K]rcmgr.ResourceLimits {
	if m == nil {
		m = map[K]rcmgr.ResourceLimits{}
	}
	for _, k := range names {
		l, ok := m[k]
		if !ok {
			l = otherwise
		}
		change(&l)
		m[k] = l
	}
	return m
}

// raise makes room for that many connections, of either direction, and that
// many streams each way.
func raise(l *rcmgr.ResourceLimits, conns, streams int) {
	atLeast(&l.ConnsInbound, rcmgr.LimitVal(conns))
	atLeast(&l.ConnsOutbound, rcmgr.LimitVal(conns))
	atLeast(&l.Conns, rcmgr.LimitVal(conns))
	atLeast(&l.StreamsInbound, rcmgr.LimitVal(streams))
	atLeast(&l.StreamsOutbound, rcmgr.LimitVal(streams))
	atLeast(&l.Streams, rcmgr.LimitVal(2*streams))
}

// atLeast raises a limit that is lower. Negative limits have a meaning of their
// own.
func atLeast[V rcmgr.LimitVal | rcmgr.LimitVal64](l *V, n V) {
	if *l >= 0 && *l < n {
		*l = n
	}
}

// connsPerPeer is how many connections a peer has from one address, on average:
// one and the one that replaces it.
const connsPerPeer = 2

// connsPerAddress is the number of connections with one IP address. The rest is
// for dialing over several transports at once.
func (n need) connsPerAddress() int { return connsPerPeer*n.perAddress + 8 }

// perSubnet sets how many connections may be with one IP address at a time;
// libp2p's prefixes, with higher counts. Loopback stays unlimited.
func (n need) perSubnet() rcmgr.Option {
	c := n.connsPerAddress()
	return rcmgr.WithLimitPerSubnet(
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: c}},
		[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: c}, {PrefixLength: 48, ConnCount: 8 * c}},
	)
}

// connRate sets how fast connections with one IP address may be made. libp2p's
// own limit, 16 and then one in five seconds, keeps peers out for minutes after
// a relay was restarted. Here all may come at once, and again after ten seconds.
func (n need) connRate() rcmgr.Option {
	c := n.connsPerAddress()
	limit := func(n int) rate.Limit { return rate.Limit{RPS: float64(n) / 10, Burst: 2 * n} }
	return rcmgr.WithConnRateLimiters(&rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, // without a limit
			{Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: limit(c)}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: limit(c)}, {PrefixLength: 48, Limit: limit(8 * c)}},
			GracePeriod:      time.Minute,
		},
	})
}
