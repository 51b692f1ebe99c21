package p2p

import (
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/p2p/link"
)

// ProtocolID is the name under which hosts offer Parley's streams.
const ProtocolID = "/parley/voice/1.0.0"

// MaxSessionName is the longest name of a session in bytes.
const MaxSessionName = 64

// Config holds the settings of a Node. The zero value is the good default.
type Config struct {
	// PacketInterval is the time between two voice packets, from which the
	// number of lanes is computed. Default 20 ms.
	PacketInterval time.Duration

	// MaxLanes is the largest number of lanes per connection, 1 to 16.
	// Default 16.
	MaxLanes int

	// Lanes, if above 0, is the number of lanes on every connection, whatever
	// its round-trip time and kind; at most 16. For tests and measurements.
	// Default 0: automatic.
	Lanes int

	// NoDial says that connecting is the application's business alone. By
	// default the host is asked to connect to joined peers that aren't
	// connected, with the addresses its peerstore knows.
	NoDial bool

	// Relaying says whether voice may go through relays, or must. Default
	// AllowRelayed.
	Relaying Relaying

	// HideLAN keeps our addresses on local networks from peers. By default
	// they are told to joined peers, who otherwise can't find out that they
	// are in the same house.
	HideLAN bool

	// NoProtect leaves the host's connection manager alone. By default the
	// connections of joined peers are protected from trimming.
	NoProtect bool

	// Relays are circuit relays through which peers behind NATs can reach us
	// and we them. The node stays connected to each and holds a reservation
	// there. At most 8 are used. [Node.SetRelays] changes them later. Default
	// none.
	Relays []peer.AddrInfo

	// Logger receives what happens to peers: Info for paths, Debug for
	// streams, nothing per packet. Default nil: silent.
	Logger *slog.Logger

	// HoldTime is how long a control stream of a peer that isn't joined is
	// held before it is refused. Default 10 s.
	HoldTime time.Duration

	// MaxHeld is the number of streams a session holds for peers that aren't
	// joined. Default 64. Per peer it is 2.
	MaxHeld int

	// MaxEarly is the number of incoming streams of the node, of peers that
	// aren't joined, whose preamble isn't complete. Default 512; at most 8 of
	// them are of one peer.
	MaxEarly int

	// MaxEarlyPerPeer is the same for one peer that is joined, whom the others
	// can't crowd out. Default 64.
	MaxEarlyPerPeer int
}

// Relaying is a policy about relays.
type Relaying uint8

// The policies.
const (
	AllowRelayed Relaying = iota // through a relay while there is no direct way
	OnlyRelayed                  // never directly: no address of ours is given to a peer
	NeverRelayed                 // never through a relay
)

func (c *Config) mayRelay() bool    { return c.Relaying != NeverRelayed }
func (c *Config) mayGoDirect() bool { return c.Relaying != OnlyRelayed }

// allows reports whether a kind of path may be used.
func (c *Config) allows(k link.Kind) bool {
	if k == link.Relayed {
		return c.mayRelay()
	}
	return c.mayGoDirect()
}

// Limits that are part of the protocol or that nobody needs to change.
const (
	maxPeerID      = 64               // bytes; more than any peer ID has, and cheap to write as text
	maxLanes       = 16               // lanes per path and direction; a lane number is below it
	maxHeldPerPeer = 2                // held control streams of one peer
	maxHeldBytes   = 256              // bytes that a held stream may carry beyond its preamble
	earlyTime      = 10 * time.Second // for a preamble to be complete
	maxControl     = 64               // control messages queued or unacknowledged per peer
	maxControlSize = 32 << 10         // bytes of the same
	maxEarly       = 8                // streams of a peer that isn't joined whose preamble isn't complete
	maxWaiting     = maxLanes         // lanes that wait for the control stream of their epoch
	joinRate       = 5                // times a second that a peer may join anew, with a
	joinBurst      = 50               // burst of so many
	maxPaths       = 16               // connections to one peer that are used: some from when both dialed, on several transports, and those that replace used up circuits
)

func (c Config) withDefaults() Config {
	if c.PacketInterval <= 0 {
		c.PacketInterval = 20 * time.Millisecond
	}
	if c.MaxLanes <= 0 || c.MaxLanes > maxLanes {
		c.MaxLanes = maxLanes
	}
	c.Lanes = min(max(c.Lanes, 0), maxLanes)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.HoldTime <= 0 {
		c.HoldTime = 10 * time.Second
	}
	if c.MaxHeld <= 0 {
		c.MaxHeld = 64
	}
	if c.MaxEarly <= 0 {
		c.MaxEarly = 512
	}
	if c.MaxEarlyPerPeer <= 0 {
		c.MaxEarlyPerPeer = 64
	}
	return c
}

// laneCount says over how many lanes voice is dealt. A lane is used again after
// as many packet intervals as there are lanes; by then a lost packet on it
// should have been retransmitted, which takes about 1.5 RTT and the receiver's
// 25 ms of acknowledgement delay (RFC 9002 section 6.1.2, max_ack_delay of
// RFC 9000). A burst of losses takes longer, by its own length: where packets
// get lost there are as many lanes as can be. Connections that are one ordered
// stream have one lane; large meshes have fewer, since the resource manager's
// default limits allow 512 incoming streams per protocol.
func (c Config) laneCount(striped, lossy bool, rtt time.Duration, joined int) int {
	if c.Lanes > 0 {
		return c.Lanes
	}
	if !striped {
		return 1
	}
	n := 8
	switch {
	case lossy:
		n = maxLanes
	case rtt > 0:
		need := rtt*3/2 + 25*time.Millisecond
		n = int((need + c.PacketInterval - 1) / c.PacketInterval)
	}
	n = min(max(n, 4), c.MaxLanes)
	switch {
	case joined > 32:
		return min(n, 4)
	case joined > 16:
		return min(n, 8)
	}
	return n
}
