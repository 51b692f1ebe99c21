package p2p

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Transport is one session's way to its peers. It implements
// [link.Transport].
type Transport struct {
	node *Node
	name string
	tag  string // protects connections

	// mu guards what follows.
	mu      sync.RWMutex
	handler link.Handler // nil unless open
	pairs   map[peer.ID]*pair
	leaving map[*pair]struct{}
	knocks  map[peer.ID]*knock
	held    int  // streams in knocks
	retired bool // Release was called

	count atomic.Int32 // of pairs
}

var _ link.Transport = (*Transport)(nil)

func newTransport(n *Node, name string) *Transport {
	return &Transport{
		node:    n,
		name:    name,
		tag:     "parley/" + name,
		pairs:   map[peer.ID]*pair{},
		leaving: map[*pair]struct{}{},
		knocks:  map[peer.ID]*knock{},
	}
}

// Self implements [link.Transport].
func (t *Transport) Self() identity.PeerID { return t.node.host.ID() }

// Open implements [link.Transport]. On a released transport or a closed node
// it is ErrNodeClosed.
func (t *Transport) Open(h link.Handler) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.retired:
		return ErrNodeClosed
	case t.handler != nil:
		return link.ErrOpen
	}
	t.handler = h
	return nil
}

// Join implements [link.Transport].
func (t *Transport) Join(p identity.PeerID) error {
	if len(p) > maxPeerID {
		return fmt.Errorf("%w: %d bytes long", link.ErrInvalidPeer, len(p))
	}
	if _, err := identity.ParsePeerID(p.String()); err != nil {
		return fmt.Errorf("%w: %w", link.ErrInvalidPeer, err)
	}
	if p == t.Self() {
		return link.ErrSelf
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.handler == nil {
		return link.ErrClosed
	}
	if t.pairs[p] != nil {
		return nil
	}
	if !t.node.cfg.NoProtect {
		t.node.host.ConnManager().Protect(p, t.tag)
	}
	pr := newPair(t, p, t.handler)
	t.pairs[p] = pr
	t.count.Store(int32(len(t.pairs)))
	t.adoptLocked(pr)
	pr.start()
	return nil
}

// Leave implements [link.Transport]. It waits for a running call of the
// Handler that concerns the peer.
func (t *Transport) Leave(p identity.PeerID) error {
	t.mu.Lock()
	pr := t.pairs[p]
	closed := t.handler == nil
	if pr != nil {
		delete(t.pairs, p)
		t.count.Store(int32(len(t.pairs)))
		t.leaving[pr] = struct{}{}
	}
	var left []*pair // by this call, or by one that hasn't returned
	for pr := range t.leaving {
		if pr.id == p {
			left = append(left, pr)
		}
	}
	t.mu.Unlock()
	for _, pr := range left {
		pr.leave()
	}
	if closed {
		return link.ErrClosed
	}
	return nil
}

// SendVoice implements [link.Transport].
func (t *Transport) SendVoice(p identity.PeerID, b []byte) error {
	pr, err := t.joined(p)
	if err != nil {
		return err
	}
	return pr.sendVoice(b, time.Now())
}

// SendControl implements [link.Transport].
func (t *Transport) SendControl(p identity.PeerID, b []byte) error {
	pr, err := t.joined(p)
	if err != nil {
		return err
	}
	return pr.sendControl(b)
}

// Path implements [link.Transport].
func (t *Transport) Path(p identity.PeerID) link.Path {
	if pr := t.pair(p); pr != nil {
		return pr.path()
	}
	return link.Path{}
}

// Stats implements [link.Transport].
func (t *Transport) Stats(p identity.PeerID) link.Stats {
	if pr := t.pair(p); pr != nil {
		return pr.statistics()
	}
	return link.Stats{}
}

// Close implements [link.Transport]. It waits for running calls of the Handler
// and at most half a second altogether; afterwards Open works again.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.handler = nil
	for id, pr := range t.pairs {
		delete(t.pairs, id)
		t.leaving[pr] = struct{}{}
	}
	t.count.Store(0)
	left := make([]*pair, 0, len(t.leaving))
	for pr := range t.leaving {
		left = append(left, pr)
	}
	knocks := t.dropKnocksLocked()
	t.mu.Unlock()
	for _, k := range knocks {
		k.deliver.wait() // a Knock that runs ends first
	}
	for _, pr := range left {
		pr.leave()
	}
	for _, pr := range left {
		<-pr.done
	}
	return nil
}

// Release closes the transport and gives its name back to the node. The
// transport cannot be opened again.
func (t *Transport) Release() {
	t.mu.Lock()
	t.retired = true
	t.mu.Unlock()
	t.node.forget(t)
	_ = t.Close()
}

func (t *Transport) pair(p peer.ID) *pair {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.pairs[p]
}

func (t *Transport) joined(p peer.ID) (*pair, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	switch {
	case t.handler == nil:
		return nil, link.ErrClosed
	case t.pairs[p] == nil:
		return nil, link.ErrNotJoined
	}
	return t.pairs[p], nil
}

// ended is called by a pair that left and has nothing running any more.
func (t *Transport) ended(pr *pair) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.leaving, pr)
	if t.pairs[pr.id] == nil && !t.node.cfg.NoProtect {
		t.node.host.ConnManager().Unprotect(pr.id, t.tag)
	}
}

// incoming takes a stream whose preamble was read, in the stream's goroutine,
// which serves it to its end.
func (t *Transport) incoming(s network.Stream, r *streamReader, pre preamble) {
	id := s.Conn().RemotePeer()
	t.mu.Lock()
	if t.handler == nil {
		t.mu.Unlock()
		t.node.refuse(s, codeNoSession)
		return
	}
	pr := t.pairs[id]
	if pr == nil {
		if pre.kind != kindControl {
			t.mu.Unlock()
			t.node.refuse(s, codeNotAnnounced)
			return
		}
		hs := t.holdLocked(id, s, r, pre)
		t.mu.Unlock()
		if hs == nil {
			t.node.refuse(s, codeTooMany)
			return
		}
		t.runHeld(hs)
		return
	}
	entered := pr.enter()
	t.mu.Unlock()
	if !entered {
		t.node.refuse(s, codeNotAnnounced)
		return
	}
	defer pr.wg.Done()
	if pre.kind == kindLane {
		pr.runIncomingLane(s, r, pre)
		return
	}
	c := newControl(pr, s.Conn(), false)
	c.stream, c.out = s, s
	pr.accept(c, pre)
	c.runFrames(r)
}
