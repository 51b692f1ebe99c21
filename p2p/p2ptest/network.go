package p2ptest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// Config describes a simulated network. The zero value is two hosts 20 ms
// apart without loss.
type Config struct {
	// Hosts is the number of hosts. Default 2.
	Hosts int

	// Delay is the one-way delay between any two hosts. Default 20 ms.
	Delay time.Duration

	// DelayFunc, if set, gives the delay of each packet; it is called from
	// one goroutine.
	DelayFunc func(from, to net.Addr) time.Duration

	// Fate, if set, decides what becomes of each packet that a host sends to
	// another, at a time since the network was made: after how long it
	// arrives, or false if it never does. size is its length at IP level. The
	// time is that at which it has left the host's uplink, see SetUplink. It
	// is called for one sender at a time. Delay and DelayFunc don't apply then.
	Fate func(from, to int, at time.Duration, size int) (after time.Duration, arrives bool)

	// BitsPerSecond is the rate of each host's link each way. Default
	// 100 Mb/s.
	BitsPerSecond int

	// Seed seeds the losses. Default 1.
	Seed uint64

	// Options are appended to those of each host.
	Options []libp2p.Option

	// HostOptions, if set, makes further options of host i, and again when it
	// is restarted. Resource limits and the relay transport are then its
	// business; by default hosts have neither.
	HostOptions func(i int) []libp2p.Option
}

// Network is a set of hosts on a simulated network. Its methods are safe for
// concurrent use.
type Network struct {
	net     *simnet.Simnet
	cfg     Config
	began   time.Time
	uplinks []*uplink // of each host; fixed

	mu    sync.Mutex // guards what follows
	hosts []host.Host
	links []*packetConn
}

// NewNetwork makes a network for the test, inside a synctest bubble, and closes
// it with the test. The hosts aren't connected and don't know each other's
// addresses: see Connect and Introduce.
func NewNetwork(t testing.TB, cfg Config) *Network {
	t.Helper()
	n, err := newNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// New makes a network outside of a test, still inside a synctest bubble or in
// real time. The caller closes it.
func New(cfg Config) (*Network, error) { return newNetwork(cfg) }

func newNetwork(cfg Config) (*Network, error) {
	if cfg.Hosts <= 0 {
		cfg.Hosts = 2
	}
	if cfg.Delay <= 0 {
		cfg.Delay = 20 * time.Millisecond
	}
	if cfg.BitsPerSecond <= 0 {
		cfg.BitsPerSecond = 100_000_000
	}
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	latency := simnet.StaticLatency(cfg.Delay)
	if cfg.DelayFunc != nil {
		latency = func(p *simnet.Packet) time.Duration { return cfg.DelayFunc(p.From, p.To) }
	}
	if cfg.Fate != nil {
		latency = simnet.StaticLatency(0)
	}
	n := &Network{cfg: cfg, began: time.Now()}
	for range cfg.Hosts {
		n.uplinks = append(n.uplinks, &uplink{})
	}
	n.net = &simnet.Simnet{
		LatencyFunc: func(p *simnet.Packet) time.Duration {
			return latency(p) + n.link(indexOf(p.From)).fated(indexOf(p.To))
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for i := range cfg.Hosts {
		h, link, err := n.make(i)
		if err != nil {
			n.Close()
			return nil, err
		}
		n.hosts, n.links = append(n.hosts, h), append(n.links, link)
	}
	n.net.Start()
	return n, nil
}

// make makes host i. The options are a short form of x/simlibp2p's, which
// appends its own OverrideListenUDP and so leaves no room for losses.
func (n *Network) make(i int, options ...libp2p.Option) (host.Host, *packetConn, error) {
	ip := ipOf(i)
	rate := simnet.LinkSettings{BitsPerSecond: n.cfg.BitsPerSecond}
	link := newPacketConn(n.cfg.Seed + uint64(i)*7919)
	link.uplink = n.uplinks[i]
	link.began = n.began
	if n.cfg.Fate != nil {
		link.fate = func(to int, at time.Duration, size int) (time.Duration, bool) {
			return n.cfg.Fate(i, to, at, size)
		}
	}
	quicOptions := []quicreuse.Option{
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) {
			return sourceIP(ip), nil
		}),
		quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
			link.PacketConn = n.net.NewEndpoint(a, simnet.NodeBiDiLinkSettings{Downlink: rate, Uplink: rate})
			return link, nil
		}),
	}
	options = append(options,
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", ip)),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.QUICReuse(newQUIC, quicOptions...),
		libp2p.DisableIdentifyAddressDiscovery(), // would keep virtual time from advancing
		libp2p.DisableMetrics(),
	)
	if n.cfg.HostOptions != nil {
		options = append(options, n.cfg.HostOptions(i)...)
	} else {
		options = append(options, NoLimits(), libp2p.DisableRelay())
	}
	h, err := libp2p.New(append(options, n.cfg.Options...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("p2ptest: host %d: %w", i, err)
	}
	return h, link, nil
}

// Restart replaces host i by a new one with the same key and address, as if its
// process had been killed, down for that long, and started again: its peers
// aren't told, and the new host knows nothing of the old one. The losses of its
// link are over.
func (n *Network) Restart(i int, down time.Duration) (host.Host, error) {
	old := n.Host(i)
	key := old.Peerstore().PrivKey(old.ID())
	n.Cut(i)
	if err := old.Close(); err != nil {
		return nil, err
	}
	time.Sleep(down)
	h, link, err := n.make(i, libp2p.Identity(key))
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[i], n.links[i] = h, link
	return h, nil
}

// ipOf is the address of host i: public, or identify and dialing treat it
// differently.
func ipOf(i int) net.IP { return net.IPv4(1, 0, byte(i>>8), byte(i+1)).To4() }

// indexOf is the host that has an address.
func indexOf(a net.Addr) int {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return 0
	}
	ip := u.IP.To4()
	return int(ip[2])<<8 + int(ip[3]) - 1
}

func addressOf(i int) string { return ipOf(i).String() }

// NoLimits has a host count its connections and limit nothing. libp2p's
// NullResourceManager doesn't count, which p2p does with.
func NoLimits() libp2p.Option {
	return func(cfg *libp2p.Config) error {
		rm, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.InfiniteLimits))
		if err != nil {
			return err
		}
		return cfg.Apply(libp2p.ResourceManager(rm))
	}
}

// newQUIC makes a connection manager that is closed with its host. As in libp2p's own,
// the resource manager knows of a connection from its first packet on.
func newQUIC(l fx.Lifecycle, rm network.ResourceManager, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, o ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	known := quicreuse.ConnContext(func(ctx context.Context, who *quic.ClientInfo) (context.Context, error) {
		addr, err := quicreuse.ToQuicMultiaddr(who.RemoteAddr, quic.Version1)
		if err != nil {
			return ctx, err
		}
		scope, err := rm.OpenConnection(network.DirInbound, false, addr)
		if err != nil {
			return ctx, err
		}
		context.AfterFunc(ctx, scope.Done)
		return network.WithConnManagementScope(ctx, scope), nil
	})
	cm, err := quicreuse.NewConnManager(reset, token, append(o, known)...)
	if err != nil {
		return nil, err
	}
	l.Append(fx.StopHook(cm.Close))
	return cm, nil
}

type sourceIP net.IP

func (s sourceIP) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return net.IP(s), nil
}

// Close closes the hosts and the network. A network of NewNetwork is closed by
// its test.
func (n *Network) Close() {
	n.mu.Lock()
	hosts := n.hosts
	n.mu.Unlock()
	for _, h := range hosts {
		_ = h.Close()
	}
	n.net.Close()
}

// Host returns host i.
func (n *Network) Host(i int) host.Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[i]
}

func (n *Network) link(i int) *packetConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links[i]
}

// Introduce makes host i know the addresses of host j.
func (n *Network) Introduce(i, j int) {
	to := n.Host(j)
	n.Host(i).Peerstore().AddAddrs(to.ID(), to.Addrs(), peerstore.PermanentAddrTTL)
}

// Connect connects host i to host j.
func (n *Network) Connect(i, j int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	to := n.Host(j)
	return n.Host(i).Connect(ctx, peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()})
}

// Disconnect closes every connection between host i and host j.
func (n *Network) Disconnect(i, j int) error {
	return n.Host(i).Network().ClosePeer(n.Host(j).ID())
}

// SetLoss makes host i lose that share of the packets it sends, at random.
func (n *Network) SetLoss(i int, share float64) { n.link(i).setLoss(share, 1) }

// SetBurstLoss makes host i lose that share of the packets it sends, in bursts
// of that mean length (a Gilbert model).
func (n *Network) SetBurstLoss(i int, share, meanBurst float64) { n.link(i).setLoss(share, meanBurst) }

// Cut makes host i lose every packet in both directions, silently.
func (n *Network) Cut(i int) { n.link(i).cut.Store(true) }

// Bar makes every packet between hosts i and j get lost, silently; others reach
// both. Unbar ends it.
func (n *Network) Bar(i, j int) {
	n.link(i).barred.Store(addressOf(j), nil)
	n.link(j).barred.Store(addressOf(i), nil)
}

// Unbar ends a Bar.
func (n *Network) Unbar(i, j int) {
	n.link(i).barred.Delete(addressOf(j))
	n.link(j).barred.Delete(addressOf(i))
}

// Restore ends a Cut.
func (n *Network) Restore(i int) { n.link(i).cut.Store(false) }

// Traffic counts UDP datagrams and their payload bytes. At IP level each
// datagram has 28 bytes more (IPv4).
type Traffic struct {
	PacketsSent, BytesSent         uint64
	PacketsReceived, BytesReceived uint64
}

// ipHeaders is what IPv4 and UDP add to a datagram.
const ipHeaders = 28

// IPBytesSent is what was sent, with the IPv4 and UDP headers.
func (t Traffic) IPBytesSent() uint64 { return t.BytesSent + ipHeaders*t.PacketsSent }

// IPBytesReceived is what was received, with the IPv4 and UDP headers.
func (t Traffic) IPBytesReceived() uint64 { return t.BytesReceived + ipHeaders*t.PacketsReceived }

// Bytes returns what host i sent, lost packets included, and received.
func (n *Network) Bytes(i int) Traffic { return n.link(i).traffic() }
