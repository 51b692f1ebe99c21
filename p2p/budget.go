package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

// budget is what a relay allows one connection through it: so many bytes each
// way, for so long. It cuts without a word.
type budget struct {
	data       uint64    // bytes; 0 if there is no limit
	from, ends time.Time // zero if there is no limit
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
		b.from, b.ends = st.Opened, st.Opened.Add(d)
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

// wear is how much of a path's budget is gone.
type wear int

const (
	unworn wear = iota
	worn        // half: it is to be replaced, while there still is time
	spent       // seven eighths: one that is only worn is better
)

func (pt *path) wear(now time.Time) wear {
	b := &pt.budget
	w := unworn
	if !b.ends.IsZero() {
		total := b.ends.Sub(b.from)
		w = max(w, wornBy(uint64(max(0, now.Sub(b.from))), uint64(total)))
	}
	if b.data > 0 {
		w = max(w, wornBy(max(pt.sent, pt.got)+circuitSetup, b.data))
	}
	return w
}

// wornBy is how worn something is of which so much is used.
func wornBy(used, all uint64) wear {
	switch {
	case used > all/8*7:
		return spent
	case used > all/2:
		return worn
	}
	return unworn
}
