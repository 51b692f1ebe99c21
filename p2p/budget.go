package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

// budget is what a relay allows one connection through it: so many bytes each
// way, for so long. It cuts without a word.
type budget struct {
	data uint64 // bytes; 0 if there is no limit
	ends time.Time
	half time.Time // of the time
}

// budgetOf reads the limits that a relay told.
func budgetOf(c network.Conn) budget {
	var b budget
	st := c.Stat()
	if !st.Limited {
		return b
	}
	b.data, _ = st.Extra[client.StatLimitData].(uint64)
	if d, _ := st.Extra[client.StatLimitDuration].(time.Duration); d > 0 {
		b.ends, b.half = st.Opened.Add(d), st.Opened.Add(d/2)
	}
	return b
}

const (
	// circuitOverhead is what a relay counts beside a lane message: yamux's
	// header and the cipher's, 12 and 22 bytes, of a message and its share of
	// acknowledgements.
	circuitOverhead = 40
	// circuitSetup is what setting up a connection takes of the budget:
	// handshakes and identify.
	circuitSetup = 8 << 10
)

// spend notes bytes of ours that a path carried.
func (pt *path) spend(n int) { pt.sent += uint64(n + circuitOverhead) }

// gain notes bytes of the peer's.
func (pt *path) gain(n int) { pt.got += uint64(n + circuitOverhead) }

// worn reports whether half of a path's budget is gone: then it is replaced,
// while there still is time.
func (pt *path) worn(now time.Time) bool {
	b := &pt.budget
	if !b.half.IsZero() && now.After(b.half) {
		return true
	}
	return b.data > 0 && max(pt.sent, pt.got)+circuitSetup > b.data/2
}
