package follow

import (
	"context"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/parley-voice/parley/identity"
)

// ConnectedSource follows who of a set of peers is connected. Make it with
// [Connected]. Its methods are safe for concurrent use.
type ConnectedSource struct {
	host    host.Host
	events  event.Subscription
	changed chan struct{}
	done    sync.WaitGroup

	mu  sync.Mutex
	set map[identity.PeerID]bool
}

// Connected follows the peers of a set that the host is connected to, directly or
// through a relay. A peer whose connection breaks has left only after Config.Grace; one
// that is removed from the set has left at once. Peers may be none: Add and Remove
// change the set. Close ends the source and its one goroutine; the host stays open.
func Connected(h host.Host, peers ...identity.PeerID) (*ConnectedSource, error) {
	events, err := h.EventBus().Subscribe(new(event.EvtPeerConnectednessChanged))
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	c := &ConnectedSource{
		host:    h,
		events:  events,
		changed: make(chan struct{}, 1),
		set:     make(map[identity.PeerID]bool),
	}
	c.Add(peers...)
	c.done.Go(c.drain)
	return c, nil
}

// drain takes events as they come: who doesn't blocks the host's event bus.
func (c *ConnectedSource) drain() {
	for range c.events.Out() {
		signal(c.changed)
	}
}

// Add puts peers into the set.
func (c *ConnectedSource) Add(peers ...identity.PeerID) {
	c.mu.Lock()
	for _, id := range peers {
		c.set[id] = true
	}
	c.mu.Unlock()
	signal(c.changed)
}

// Remove takes peers out of the set.
func (c *ConnectedSource) Remove(peers ...identity.PeerID) {
	c.mu.Lock()
	for _, id := range peers {
		delete(c.set, id)
	}
	c.mu.Unlock()
	signal(c.changed)
}

// Members implements Source.
func (c *ConnectedSource) Members() (members []identity.PeerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.set {
		if now := c.host.Network().Connectedness(id); now == network.Connected || now == network.Limited {
			members = append(members, id)
		}
	}
	return members
}

// Wait implements Source.
func (c *ConnectedSource) Wait(ctx context.Context) error { return await(ctx, c.changed) }

// HasLeft implements Leaver: who is in the set still may come back.
func (c *ConnectedSource) HasLeft(id identity.PeerID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.set[id]
}

// Close ends the source. Idempotent.
func (c *ConnectedSource) Close() error {
	err := c.events.Close()
	c.done.Wait()
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	return nil
}
