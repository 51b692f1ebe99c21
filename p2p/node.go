package p2p

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Node is Parley's presence on one libp2p host. It owns the host's handler for
// [ProtocolID] and hands incoming streams to the sessions. Its methods are safe
// for concurrent use.
type Node struct {
	host   host.Host
	cfg    Config
	uses   int // guarded by the registry
	events network.NotifyBundle
	relays *relays
	wg     sync.WaitGroup // one for every goroutine and every incoming stream
	counts nodeCounts
	sub    event.Subscription     // nil if there is none
	told   atomic.Pointer[[]byte] // our addresses, as peers are told them

	// mu guards what follows. It is never held while anything else is locked
	// or waited for.
	mu        sync.Mutex
	closed    bool
	sessions  map[string]*Transport
	early     map[network.Stream]bool // streams whose preamble isn't complete; true if the peer was joined
	earlyBy   map[peer.ID]int
	observed  []ma.Multiaddr          // public addresses under which peers see us, the newest first
	sides     map[peer.ID][]*sideConn // connections of ours that the swarm doesn't know
	strangers int                     // of early, those of peers that weren't joined
}

func newNode(h host.Host, cfg Config) *Node {
	n := &Node{
		host:     h,
		cfg:      cfg.withDefaults(),
		sessions: map[string]*Transport{},
		early:    map[network.Stream]bool{},
		earlyBy:  map[peer.ID]int{},
		sides:    map[peer.ID][]*sideConn{},
	}
	n.events.ConnectedF = n.connectionsChanged
	n.events.DisconnectedF = n.connectionsChanged
	n.relays = newRelays(n)
	h.Network().Notify(&n.events)
	h.SetStreamHandler(ProtocolID, n.handle)
	n.relays.set(n.cfg.Relays)
	n.subscribe()
	changed, _ := n.relays.watch()
	n.wg.Go(func() { n.runRelays(changed) })
	return n
}

// Host returns the host the node was made for.
func (n *Node) Host() host.Host { return n.host }

// Session makes the transport of one session on this host. Sessions with
// different names don't disturb each other; the default one is "". It fails
// with ErrSessionName, ErrNodeClosed, or ErrSessionExists until the transport
// of that name was released.
func (n *Node) Session(name string) (*Transport, error) {
	if len(name) > MaxSessionName {
		return nil, ErrSessionName
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrNodeClosed
	}
	if n.sessions[name] != nil {
		return nil, ErrSessionExists
	}
	t := newTransport(n, name)
	n.sessions[name] = t
	return t, nil
}

func (n *Node) session(name string) *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sessions[name]
}

func (n *Node) forget(t *Transport) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sessions[t.name] == t {
		delete(n.sessions, t.name)
	}
}

func (n *Node) all() []*Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	ts := make([]*Transport, 0, len(n.sessions))
	for _, t := range n.sessions {
		ts = append(ts, t)
	}
	return ts
}

// connectionsChanged runs inside the swarm, before the connection's accept
// loop: it only marks and wakes.
func (n *Node) connectionsChanged(_ network.Network, c network.Conn) {
	for _, t := range n.all() {
		if p := t.pair(c.RemotePeer()); p != nil {
			p.dirty.Store(true)
			p.wakeUp()
		}
	}
}

// handle serves one incoming stream; the swarm calls it in a goroutine of its
// own.
func (n *Node) handle(s network.Stream) {
	id := s.Conn().RemotePeer()
	if code := n.enter(s, id, n.knows(id)); code != 0 {
		n.counts.refused(code)
		_ = s.ResetWithError(code)
		return
	}
	defer n.wg.Done()
	r := newStreamReader(s)
	_ = s.SetReadDeadline(time.Now().Add(earlyTime))
	pre, err := r.preamble()
	_ = s.SetReadDeadline(time.Time{})
	n.leaveEarly(s, id)
	switch {
	case errors.Is(err, errVersion):
		n.refuse(s, codeVersion)
		return
	case err != nil:
		n.refuse(s, codeMalformed)
		return
	}
	t := n.session(pre.session)
	if t == nil {
		n.refuse(s, codeNoSession)
		return
	}
	t.incoming(s, r, pre)
}

// knows reports whether a peer is joined in any session.
func (n *Node) knows(id peer.ID) bool {
	for _, t := range n.all() {
		if t.pair(id) != nil {
			return true
		}
	}
	return false
}

// enter counts an incoming stream, or says with which code it is refused.
// Strangers can't use up what joined peers need.
func (n *Node) enter(s network.Stream, id peer.ID, joined bool) network.StreamErrorCode {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return codeShutdown
	case joined && n.earlyBy[id] >= n.cfg.MaxEarlyPerPeer,
		!joined && (n.earlyBy[id] >= maxEarly || n.strangers >= n.cfg.MaxEarly):
		return codeTooMany
	}
	n.early[s] = joined
	if !joined {
		n.strangers++
	}
	n.earlyBy[id]++
	n.wg.Add(1)
	return 0
}

func (n *Node) leaveEarly(s network.Stream, id peer.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.early[s] {
		n.strangers--
	}
	delete(n.early, s)
	if n.earlyBy[id]--; n.earlyBy[id] <= 0 {
		delete(n.earlyBy, id)
	}
}

// end closes everything but the host's handler, which the registry removed. The
// registry calls it once.
func (n *Node) end() {
	n.host.Network().StopNotify(&n.events)
	if n.sub != nil {
		_ = n.sub.Close() // ends runEvents
	}
	n.mu.Lock()
	n.closed = true
	early := make([]network.Stream, 0, len(n.early))
	for s := range n.early {
		early = append(early, s)
	}
	n.mu.Unlock()
	for _, s := range early {
		n.reset(s, codeShutdown)
	}
	var wg sync.WaitGroup
	wg.Go(n.relays.close)
	for _, t := range n.all() {
		wg.Go(t.Release)
	}
	wg.Wait()
	n.closeSides()
	n.wg.Wait()
}

// resetMost is how long whoever ends a node waits for a reset to be taken.
const resetMost = 200 * time.Millisecond

// reset resets a stream without waiting. On QUIC a reset never waits. A
// connection that is one ordered byte stream may be full, with the
// application's own data for example: there a Write that waits is ended by its
// deadline first, and the reset waits beside, for as long as the connection
// lives. Only goroutines that wg counts call it.
func (n *Node) reset(s network.Stream, code network.StreamErrorCode) {
	if transportOf(s.Conn()) == "quic-v1" {
		_ = s.ResetWithError(code)
		return
	}
	_ = s.SetWriteDeadline(time.Unix(1, 0))
	taken := make(chan struct{})
	go func() { // ends when the connection has taken the reset, or is given up
		defer close(taken)
		_ = s.ResetWithError(code)
	}()
	n.wg.Go(func() {
		timer := time.NewTimer(resetMost)
		defer timer.Stop()
		select {
		case <-taken:
		case <-timer.C:
		}
	})
}
