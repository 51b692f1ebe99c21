package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// registry knows the one node of each host in this process: two would fight
// for the host's stream handler. A host is known by its network, since
// applications wrap hosts (libp2p's routed host, for one) and may pass both.
var registry = struct {
	sync.Mutex
	nodes map[network.Network]*Node
}{nodes: map[network.Network]*Node{}}

// New makes Parley's node on a host and offers its protocol at once: identify
// tells peers reliably only what is offered before they connect. A host has
// one node; a second New is ErrNodeExists until Close. Without a host it is
// ErrNoHost.
func New(h host.Host, cfg Config) (*Node, error) {
	if h == nil {
		return nil, ErrNoHost
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.nodes[h.Network()] != nil {
		return nil, ErrNodeExists
	}
	return newNodeLocked(h, cfg), nil
}

// Shared returns the host's node, making it with cfg if there is none; an
// existing node keeps the Config it was made with. Each Shared and New is
// given back with one [Node.Close].
func Shared(h host.Host, cfg Config) (*Node, error) {
	if h == nil {
		return nil, ErrNoHost
	}
	registry.Lock()
	defer registry.Unlock()
	if n := registry.nodes[h.Network()]; n != nil {
		n.uses++
		return n, nil
	}
	return newNodeLocked(h, cfg), nil
}

func newNodeLocked(h host.Host, cfg Config) *Node {
	n := newNode(h, cfg)
	n.uses = 1
	registry.nodes[h.Network()] = n
	return n
}

// Close gives back one use of the node. The last one closes its sessions,
// removes its handler from the host and ends everything the node started. It
// takes at most half a second.
func (n *Node) Close() error {
	registry.Lock()
	if n.uses > 0 {
		n.uses--
	}
	last := n.uses == 0 && registry.nodes[n.host.Network()] == n
	if last {
		// Before another node can come and set its own.
		n.host.RemoveStreamHandler(ProtocolID)
		delete(registry.nodes, n.host.Network())
	}
	registry.Unlock()
	if last {
		n.end()
	}
	return nil
}
