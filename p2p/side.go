package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
)

// A swarm never dials a peer that it is connected to, whatever the address: it
// returns the connection it has. A second way to a peer is dialed at its
// transport, past the swarm, which then doesn't know of the connection: whoever
// dialed it serves its streams, those of the application's protocols too, for
// the far end's swarm takes it for a connection like any other.

var (
	errNoTransport = errors.New("p2p: no transport for this address")
	errConnClosed  = errors.New("p2p: connection closed")
)

const (
	negotiateMost = 10 * time.Second // for the protocol of an incoming stream to be agreed, as in libp2p's host
	sideStreams   = 256              // incoming streams that are served at once on one connection
)

// sideConn is a connection that this node dialed past the swarm, and owns. Its
// methods are safe for concurrent use.
type sideConn struct {
	transport.CapableConn

	node *Node
	id   string
	stat network.ConnStats
	once sync.Once
	err  error

	mu      sync.Mutex // guards streams
	streams map[*sideStream]struct{}
}

var _ network.Conn = (*sideConn)(nil)

// sideCount numbers connections and streams in this process.
var sideCount atomic.Uint64

// dialSide makes a connection to a peer at an address, whatever connections
// there are already. The node serves it until it is closed by either end or by
// the node's own end.
func (n *Node) dialSide(ctx context.Context, p peer.ID, addr ma.Multiaddr) (*sideConn, error) {
	swarm, ok := n.host.Network().(interface {
		TransportForDialing(ma.Multiaddr) transport.Transport
	})
	if !ok {
		return nil, errNoTransport
	}
	tr := swarm.TransportForDialing(addr)
	if tr == nil {
		return nil, fmt.Errorf("%w: %s", errNoTransport, addr)
	}
	raw, err := dialBounded(ctx, tr, addr, p)
	if err != nil {
		return nil, fmt.Errorf("p2p: dial %s: %w", addr, err)
	}
	c := newSideConn(n, raw)
	if !n.addSide(c) {
		_ = c.Close()
		return nil, ErrNodeClosed
	}
	return c, nil
}

// dialBounded dials, and gives up when ctx ends whatever the transport does: a
// relay may wait for a dead peer for a minute, and libp2p's client for the relay.
func dialBounded(ctx context.Context, tr transport.Transport, addr ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	type result struct {
		conn transport.CapableConn
		err  error
	}
	dialed := make(chan result)
	go func() { // ends when the transport has let go
		conn, err := tr.Dial(ctx, addr, p)
		select {
		case dialed <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				_ = conn.Close() // nobody waits for it any more
			}
		}
	}()
	select {
	case r := <-dialed:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newSideConn(n *Node, raw transport.CapableConn) *sideConn {
	c := &sideConn{
		CapableConn: raw,
		node:        n,
		id:          fmt.Sprintf("side-%d", sideCount.Add(1)),
		streams:     map[*sideStream]struct{}{},
	}
	if s, ok := raw.(network.ConnStat); ok {
		c.stat = s.Stat() // a circuit's limits
	}
	c.stat.Direction, c.stat.Opened = network.DirOutbound, time.Now()
	return c
}

// addSide begins to serve a connection; false if the node is closed.
func (n *Node) addSide(c *sideConn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	id := c.RemotePeer()
	n.sides[id] = append(n.sides[id], c)
	n.wg.Go(c.runAccept)
	return true
}

func (n *Node) removeSide(c *sideConn) {
	id := c.RemotePeer()
	n.mu.Lock()
	var left []*sideConn
	for _, o := range n.sides[id] {
		if o != c {
			left = append(left, o)
		}
	}
	if n.sides[id] = left; len(left) == 0 {
		delete(n.sides, id)
	}
	n.mu.Unlock()
	n.connectionsChanged(nil, c)
}

// conns are all connections to a peer, those past the swarm included.
func (n *Node) conns(p peer.ID) []network.Conn {
	all := n.host.Network().ConnsToPeer(p)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.sides[p] {
		all = append(all, c)
	}
	return all
}

// closeSides closes all connections past the swarm.
func (n *Node) closeSides() {
	n.mu.Lock()
	var all []*sideConn
	for _, list := range n.sides {
		all = append(all, list...)
	}
	n.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// ID implements [network.Conn].
func (c *sideConn) ID() string { return c.id }

// Stat implements [network.Conn].
func (c *sideConn) Stat() network.ConnStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stat
	st.NumStreams = len(c.streams)
	return st
}

// NewStream implements [network.Conn].
func (c *sideConn) NewStream(ctx context.Context) (network.Stream, error) {
	scope, err := c.node.host.Network().ResourceManager().OpenStream(c.RemotePeer(), network.DirOutbound)
	if err != nil {
		return nil, err
	}
	raw, err := c.OpenStream(ctx)
	if err != nil {
		scope.Done()
		return nil, err
	}
	return c.add(raw, network.DirOutbound, scope)
}

// GetStreams implements [network.Conn].
func (c *sideConn) GetStreams() []network.Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]network.Stream, 0, len(c.streams))
	for s := range c.streams {
		all = append(all, s)
	}
	return all
}

// Close implements [network.Conn].
func (c *sideConn) Close() error { return c.CloseWithError(network.ConnNoError) }

// CloseWithError implements [network.Conn].
func (c *sideConn) CloseWithError(code network.ConnErrorCode) error {
	c.once.Do(func() {
		if code == network.ConnNoError {
			c.err = c.CapableConn.Close()
		} else {
			c.err = c.CapableConn.CloseWithError(code)
		}
		c.mu.Lock()
		streams := c.streams
		c.streams = nil
		c.mu.Unlock()
		for s := range streams {
			_ = s.Reset() // only gives back what it holds: the connection is gone
		}
		c.node.removeSide(c)
	})
	return c.err
}

// runAccept serves incoming streams until the connection ends.
func (c *sideConn) runAccept() {
	defer c.Close() //nolint:errcheck // it is gone, or gone now
	for {
		raw, err := c.AcceptStream()
		if err != nil {
			return
		}
		scope, err := c.node.host.Network().ResourceManager().OpenStream(c.RemotePeer(), network.DirInbound)
		if err != nil {
			_ = raw.ResetWithError(network.StreamResourceLimitExceeded)
			continue
		}
		if len(c.GetStreams()) >= sideStreams {
			scope.Done()
			_ = raw.ResetWithError(network.StreamResourceLimitExceeded)
			continue
		}
		s, err := c.add(raw, network.DirInbound, scope)
		if err != nil {
			return
		}
		go s.serve() // ends when the protocol's handler does, at the latest with the connection
	}
}

func (c *sideConn) add(raw network.MuxedStream, dir network.Direction, scope network.StreamManagementScope) (*sideStream, error) {
	s := &sideStream{
		MuxedStream: raw,
		conn:        c,
		id:          fmt.Sprintf("%s-%d", c.id, sideCount.Add(1)),
		scope:       scope,
		stat:        network.Stats{Direction: dir, Opened: time.Now()},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams == nil {
		scope.Done()
		_ = raw.Reset() // the connection is closed already
		return nil, errConnClosed
	}
	c.streams[s] = struct{}{}
	return s, nil
}

// sideStream is a stream of a sideConn.
type sideStream struct {
	network.MuxedStream

	conn  *sideConn
	id    string
	scope network.StreamManagementScope
	stat  network.Stats
	once  sync.Once
	name  atomic.Pointer[protocol.ID]
}

var _ network.Stream = (*sideStream)(nil)

// serve hands an incoming stream to the host's handler of its protocol.
func (s *sideStream) serve() {
	_ = s.SetDeadline(time.Now().Add(negotiateMost)) // without deadlines it takes a little longer
	name, handle, err := s.conn.node.host.Mux().Negotiate(s)
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	if err == nil {
		err = s.SetProtocol(name)
	}
	if err != nil {
		_ = s.ResetWithError(network.StreamProtocolNegotiationFailed)
		return
	}
	_ = handle(name, s) // the handler deals with what goes wrong
}

// ID implements [network.Stream].
func (s *sideStream) ID() string { return s.id }

// Conn implements [network.Stream].
func (s *sideStream) Conn() network.Conn { return s.conn }

// Stat implements [network.Stream].
func (s *sideStream) Stat() network.Stats { return s.stat }

// Scope implements [network.Stream].
func (s *sideStream) Scope() network.StreamScope { return s.scope }

// Protocol implements [network.Stream].
func (s *sideStream) Protocol() protocol.ID {
	if name := s.name.Load(); name != nil {
		return *name
	}
	return ""
}

// SetProtocol implements [network.Stream].
func (s *sideStream) SetProtocol(name protocol.ID) error {
	if err := s.scope.SetProtocol(name); err != nil {
		return err
	}
	s.name.Store(&name)
	return nil
}

// Close implements [network.Stream].
func (s *sideStream) Close() error {
	err := s.MuxedStream.Close()
	s.release()
	return err
}

// Reset implements [network.Stream].
func (s *sideStream) Reset() error {
	err := s.MuxedStream.Reset()
	s.release()
	return err
}

// ResetWithError implements [network.Stream].
func (s *sideStream) ResetWithError(code network.StreamErrorCode) error {
	err := s.MuxedStream.ResetWithError(code)
	s.release()
	return err
}

func (s *sideStream) release() {
	s.once.Do(func() {
		s.scope.Done()
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		delete(s.conn.streams, s) // nil once the connection is closed, which is fine
	})
}
