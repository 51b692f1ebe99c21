package p2p

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
)

// circuitsPerPeer is how many circuits one peer may have at a relay.
const circuitsPerPeer = 64

// RelayResources are the resources of a circuit relay that carries voice, to be
// given to relay.New with relay.WithResources. libp2p's own cut a circuit after
// 22 s of speech.
func RelayResources() relay.Resources {
	return relay.Resources{
		// A circuit carries one pair's conversation, 6 kB/s while somebody
		// talks: 12 h of it are 0.26 GB. There is a limit all the same: to
		// libp2p a circuit without one is as good as a direct connection, and
		// neither a hole punch nor the pubsub of the application would tell
		// them apart.
		Limit: &relay.RelayLimit{Duration: 12 * time.Hour, Data: 1 << 30},

		// For how long a peer can be reached that vanished without a word;
		// whoever is there renews in time.
		ReservationTTL: time.Hour,

		// Everybody in every lobby holds a reservation, whether anybody needs
		// a circuit or not.
		MaxReservations: 4096,

		// Of one peer, as either end: everybody in a mesh of 64 but itself.
		MaxCircuits: circuitsPerPeer,

		// Each circuit has two; a voice packet has about 120 bytes.
		BufferSize: 2048,

		// Peers behind one NAT: a LAN party, a dormitory, a mobile carrier.
		MaxReservationsPerIP: 64,

		// Peers of one provider, counted on IPv6 only: a country has few.
		MaxReservationsPerASN: 1024,
	}
}

// RelayHostConfig says what the host of a relay, or of a lobby, is for. The
// zero value is the good default.
type RelayHostConfig struct {
	// Members is the number of peers that are connected at a time. Default
	// 1000.
	Members int

	// PeersPerAddress is how many of them may come from one IP address.
	// Default 64.
	PeersPerAddress int
}

// RelayHostOptions returns what the libp2p host of a relay or a lobby on a
// public machine needs: QUIC and TCP, resource limits for its members and the
// circuits between them, and a connection manager that trims none of them. Like
// those of [HostOptions] they go after the application's own options, the
// listen addresses for one, and leave alone what those set. The relay itself is
// started on the host with relay.New and [RelayResources]. The machine must
// allow the process two file descriptors for each member. It fails with
// ErrHostConfig.
func RelayHostOptions(c RelayHostConfig) ([]libp2p.Option, error) {
	if c.Members < 0 || c.Members > mostPeers || c.PeersPerAddress < 0 || c.PeersPerAddress > mostPeers {
		return nil, fmt.Errorf("%w: %d members, %d per address", ErrHostConfig, c.Members, c.PeersPerAddress)
	}
	if c.Members == 0 {
		c.Members = 1000
	}
	if c.PeersPerAddress == 0 {
		c.PeersPerAddress = 64
	}
	n := relayNeed(c.Members, c.PeersPerAddress)
	return []libp2p.Option{
		transports(true),
		noBlackHoles,
		resourceManager(n),
		connectionManager(n),
	}, nil
}
