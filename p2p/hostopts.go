package p2p

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// ErrHostConfig says that a HostConfig or RelayHostConfig makes no sense.
var ErrHostConfig = errors.New("p2p: invalid host configuration")

// mostPeers bounds what a HostConfig or RelayHostConfig may ask for: limits are
// computed from it.
const mostPeers = 100_000

// HostConfig says what the host of a voice application is for. The zero value
// is the good default.
type HostConfig struct {
	// Peers is the number of peers in all of the host's conversations
	// together, for which there must be room. Default 16.
	Peers int

	// PeersPerAddress is how many peers may come from one IP address: those
	// behind one NAT, and all that are reached through one relay, since a
	// relayed connection counts for the relay's address. libp2p's own limit
	// leaves room for 7 peers behind a relay. Default 64, or Peers if that is
	// more.
	PeersPerAddress int

	// NATPortMap asks the router for a port (UPnP, NAT-PMP). Default false:
	// it takes seconds and few routers agree; hole punching doesn't need it.
	NATPortMap bool

	// NoHolePunching leaves relayed connections relayed. Default false.
	NoHolePunching bool

	// RelayOnly gives none of the host's own addresses away: it advertises
	// addresses through relays only, listens nowhere else unless the
	// application's options say so, isn't found by hole punching and asks
	// nobody whether it is reachable. What it can't hide is the address from
	// those whom the host itself dials directly: that is the relays', and the
	// application's own affair. Default false.
	RelayOnly bool
}

func (c HostConfig) withDefaults() (HostConfig, error) {
	if c.Peers < 0 || c.Peers > mostPeers || c.PeersPerAddress < 0 || c.PeersPerAddress > mostPeers {
		return c, fmt.Errorf("%w: %d peers, %d per address", ErrHostConfig, c.Peers, c.PeersPerAddress)
	}
	if c.Peers == 0 {
		c.Peers = 16
	}
	if c.PeersPerAddress == 0 {
		c.PeersPerAddress = max(64, c.Peers)
	}
	return c, nil
}

// HostOptions returns what the libp2p host of a voice application needs. They
// go after the application's own options, and leave alone what those set: the
// transports, listen addresses, resource manager, connection manager, address
// factory and NAT manager. A host gets
//
//   - QUIC, and TCP for networks that block UDP, on all addresses at ports that
//     the system chooses;
//   - the relay transport, so that peers behind NATs are reached through
//     relays, and hole punching, which turns relayed connections into direct
//     ones;
//   - limits with room for that many peers, several of them at one address;
//   - a connection manager that trims nothing that these peers need;
//   - no black hole detection: when 96 of 100 dials over UDP failed, libp2p all
//     but stops dialing over UDP. A relay that is down, dialed again and again,
//     is no sign of that.
//
// Identify, and with it the discovery of the addresses under which others see
// the host, is on in libp2p unless the application turns it off. The options
// may be used for several hosts. It fails with ErrHostConfig.
func HostOptions(c HostConfig) ([]libp2p.Option, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	n := meshNeed(c.Peers, c.PeersPerAddress)
	options := []libp2p.Option{
		transports(!c.RelayOnly),
		relayTransport,
		noBlackHoles,
		resourceManager(n),
		connectionManager(n),
	}
	if c.NATPortMap && !c.RelayOnly {
		options = append(options, natPortMap)
	}
	if !c.NoHolePunching && !c.RelayOnly {
		options = append(options, holePunching)
	}
	if c.RelayOnly {
		options = append(options, hidden)
	}
	return options, nil
}

// transports gives the host QUIC and TCP unless it has transports, and, if it
// shall listen and isn't told where, addresses to listen on.
func transports(listen bool) libp2p.Option {
	return func(cfg *libp2p.Config) error {
		if cfg.ListenAddrs == nil {
			addrs := []string{}
			// Transports of the application's come with addresses of the
			// application's, or none.
			if listen && cfg.Transports == nil {
				addrs = []string{
					"/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1",
					"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0",
				}
			}
			cfg.ListenAddrs = []ma.Multiaddr{} // not nil: libp2p would choose
			if err := cfg.Apply(libp2p.ListenAddrStrings(addrs...)); err != nil {
				return err
			}
		}
		if cfg.Transports != nil {
			return nil
		}
		if cfg.PSK != nil { // QUIC has no pre-shared keys
			return cfg.Apply(libp2p.Transport(tcp.NewTCPTransport))
		}
		return cfg.Apply(libp2p.Transport(quic.NewTransport), libp2p.Transport(tcp.NewTCPTransport))
	}
}

// relayTransport lets the host be reached and reach others through relays.
func relayTransport(cfg *libp2p.Config) error {
	if cfg.RelayCustom {
		return nil
	}
	return cfg.Apply(libp2p.EnableRelay())
}

// noBlackHoles turns off what would turn off QUIC, or IPv6, while a relay or a
// peer is away for long. Where UDP really is blocked the cost is small: TCP is
// dialed 250 ms later.
func noBlackHoles(cfg *libp2p.Config) error {
	if !cfg.CustomUDPBlackHoleSuccessCounter && cfg.UDPBlackHoleSuccessCounter == nil {
		cfg.CustomUDPBlackHoleSuccessCounter = true
	}
	if !cfg.CustomIPv6BlackHoleSuccessCounter && cfg.IPv6BlackHoleSuccessCounter == nil {
		cfg.CustomIPv6BlackHoleSuccessCounter = true
	}
	return nil
}

func natPortMap(cfg *libp2p.Config) error {
	if cfg.NATManager != nil {
		return nil
	}
	return cfg.Apply(libp2p.NATPortMap())
}

func holePunching(cfg *libp2p.Config) error {
	if !cfg.Relay || cfg.EnableHolePunching {
		return nil
	}
	return cfg.Apply(libp2p.EnableHolePunching())
}

// connectionManager sets watermarks above what the peers need. Those between
// them are trimmed after a minute at the earliest.
func connectionManager(n need) libp2p.Option {
	return func(cfg *libp2p.Config) error {
		if cfg.ConnManager != nil {
			return nil
		}
		// libp2p's own watermarks are 160 and 192.
		low := max(160, n.conns)
		m, err := connmgr.NewConnManager(low, low+max(32, n.conns/4), connmgr.WithGracePeriod(time.Minute))
		if err != nil {
			return err
		}
		return cfg.Apply(libp2p.ConnectionManager(m))
	}
}

// hidden makes the host advertise nothing but addresses through relays. The
// address manager, the observed addresses and AutoNAT, which would ask others
// to dial the host, are the ways by which its own would leave.
func hidden(cfg *libp2p.Config) error {
	own := cfg.AddrsFactory
	cfg.AddrsFactory = func(addrs []ma.Multiaddr) []ma.Multiaddr {
		if own != nil {
			addrs = own(addrs)
		}
		var through []ma.Multiaddr
		for _, a := range addrs {
			if len(a) > 1 && isCircuit(a) { // and not the bare "/p2p-circuit" that is listened on
				through = append(through, a)
			}
		}
		return through
	}
	cfg.EnableHolePunching = false
	cfg.EnableAutoNATv2 = false
	return cfg.Apply(libp2p.ForceReachabilityPrivate(), libp2p.DisableIdentifyAddressDiscovery())
}
