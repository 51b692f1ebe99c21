package p2p

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
)

// NodeStats counts what came to a node and belonged to no joined peer, since it
// was made. What a joined peer does is in its link.Stats.
type NodeStats struct {
	Held         int    // control streams held now, of peers that aren't joined
	Expired      uint64 // of those held, those for which no Join came in time
	NotAnnounced uint64 // streams refused since the peer isn't joined, those expired included
	NoSession    uint64 // streams refused since no such session is open
	Version      uint64 // streams refused for an unknown version or kind
	Malformed    uint64 // streams refused since their preamble made no sense, or wasn't complete within 10 s
	TooMany      uint64 // streams refused since a limit was reached
}

// nodeCounts are the counters behind NodeStats.
type nodeCounts struct {
	expired, notAnnounced, noSession, version, malformed, tooMany atomic.Uint64
}

// refused counts a stream that was refused with a code.
func (c *nodeCounts) refused(code network.StreamErrorCode) {
	switch code { //nolint:exhaustive // the others are no refusals of strangers
	case codeNotAnnounced:
		c.notAnnounced.Add(1)
	case codeNoSession:
		c.noSession.Add(1)
	case codeVersion:
		c.version.Add(1)
	case codeMalformed:
		c.malformed.Add(1)
	case codeTooMany:
		c.tooMany.Add(1)
	}
}

// refuse counts an incoming stream as refused, and resets it.
func (n *Node) refuse(s network.Stream, code network.StreamErrorCode) {
	n.counts.refused(code)
	n.reset(s, code)
}

// Stats returns the node's counters.
func (n *Node) Stats() NodeStats {
	st := NodeStats{
		Expired:      n.counts.expired.Load(),
		NotAnnounced: n.counts.notAnnounced.Load(),
		NoSession:    n.counts.noSession.Load(),
		Version:      n.counts.version.Load(),
		Malformed:    n.counts.malformed.Load(),
		TooMany:      n.counts.tooMany.Load(),
	}
	for _, t := range n.all() {
		t.mu.RLock()
		st.Held += t.held
		t.mu.RUnlock()
	}
	return st
}
