package sessiontest

import (
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// What every link of a Network has in common; the numbers are those of p2p.
const (
	UnreachableAfter = 2500 * time.Millisecond // a cut path is reported as lost after this time
	HoldTime         = 10 * time.Second        // an unannounced peer is held for this time, then refused
	MaxHeld          = 64                      // unannounced peers that a transport holds at once; more are refused
	MaxQueuedControl = 64                      // control messages per peer that aren't acknowledged yet; more are ErrCongested
)

const (
	maxQueuedControlBytes = 32 << 10               // the same in bytes
	maxQueuedVoice        = 256                    // voice messages that wait for a slow Handler, per peer; newer ones are lost
	unackedBound          = 200 * time.Millisecond // beyond this and the RTT nothing more is written to a peer that doesn't acknowledge
	bandwidthQueue        = 200 * time.Millisecond // what a link with a Bandwidth queues before SendVoice is ErrCongested
	maxResends            = 12                     // a control message is lost at most this often in a row
)

// Config configures a Network. The zero value is a network without delay or
// loss.
type Config struct {
	Seed uint64     // of everything random; default 0, which is a seed like any other
	Link LinkConfig // every direction between two peers, until SetLink
}

// LinkConfig says what one direction between two peers does to what it
// carries. The zero value delivers everything at once.
type LinkConfig struct {
	Delay  time.Duration // one way; default 0
	Jitter time.Duration // mean of an exponentially distributed extra delay that keeps the order; default 0

	Loss  float64 // share of messages lost, 0 to 1; default 0. Lost control is sent again and arrives later
	Burst float64 // mean number of voice messages lost in a row (Gilbert model); default 0: losses are independent

	// Retransmit is how much later a lost message arrives that is sent
	// again; default 3 * Delay + 25 ms, which is a probe timeout of QUIC and
	// the way. Control always is; voice only with RetransmitVoice, as over the
	// striped lanes of p2p, and at most once.
	Retransmit      time.Duration
	RetransmitVoice bool

	Duplicate    float64       // share of voice messages that arrive twice, 0 to 1; the transport drops the second; default 0
	Reorder      float64       // share of voice messages that ReorderDelay holds back, 0 to 1; default 0
	ReorderDelay time.Duration // default 50 ms

	// Bandwidth in bits of voice per second; default 0: unlimited. A queue of
	// at most 200 ms builds up before it, then SendVoice is ErrCongested.
	Bandwidth int

	Kind  link.Kind // of the path that the sending end sees; default link.LAN
	Lanes int       // of that path; default 8
}

func (c LinkConfig) withDefaults() LinkConfig {
	if c.Retransmit <= 0 {
		c.Retransmit = 3*c.Delay + 25*time.Millisecond
	}
	if c.ReorderDelay <= 0 {
		c.ReorderDelay = 50 * time.Millisecond
	}
	if c.Kind == link.None {
		c.Kind = link.LAN
	}
	if c.Lanes <= 0 {
		c.Lanes = 8
	}
	return c
}
