package sessiontest

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
)

// Network is a network in memory. Its methods are safe for concurrent use.
// Close ends its goroutines.
type Network struct {
	cfg  Config
	wake chan struct{} // an event was added that is the next one
	done chan struct{}
	wg   sync.WaitGroup

	// mu guards everything below, and the state of every transport. It is
	// held briefly, never across a call of a Handler.
	mu         sync.Mutex
	closed     bool
	queue      eventQueue
	free       []*packet
	edges      map[[2]identity.PeerID]*edge
	transports map[identity.PeerID]*Transport
}

// NewNetwork makes a network and starts the one goroutine that moves its
// messages; Close ends it.
func NewNetwork(cfg Config) *Network {
	n := &Network{
		cfg:        cfg,
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		edges:      make(map[[2]identity.PeerID]*edge),
		transports: make(map[identity.PeerID]*Transport),
	}
	n.wg.Go(n.run)
	return n
}

// Transport returns the transport of the peer id, always the same one for one
// id. It isn't open yet.
func (n *Network) Transport(id identity.PeerID) *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.transports[id]
	if t == nil {
		t = newTransport(n, id)
		n.transports[id] = t
	}
	return t
}

// SetLink changes what the direction between two peers does to what is sent
// from now on. A new Kind or number of Lanes is a change of path.
func (n *Network) SetLink(from, to identity.PeerID, cfg LinkConfig) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.edgeLocked(from, to)
	before := e.cfg
	e.cfg = cfg.withDefaults()
	if before.Kind == e.cfg.Kind && before.Lanes == e.cfg.Lanes {
		return
	}
	if p := n.pairLocked(from, to); p != nil && p.up {
		p.since = time.Now()
		p.stats.PathChanges++
		p.tellPathLocked()
	}
}

// Cut breaks the way between two peers in both directions. Voice is lost;
// control waits for Restore. Both ends see the path as lost after
// UnreachableAfter.
func (n *Network) Cut(a, b identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for _, e := range []*edge{n.edgeLocked(a, b), n.edgeLocked(b, a)} {
		if e.isCut {
			continue
		}
		e.isCut, e.cutAt = true, now
		n.afterLocked(UnreachableAfter, func() {
			if p := n.pairLocked(e.from, e.to); p != nil && p.up && e.isCut && e.cutAt.Equal(now) {
				p.downLocked("no answer for 2.5 s")
			}
		})
	}
}

// Restore mends what Cut broke. A path that was lost is back within the round
// trip.
func (n *Network) Restore(a, b identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for _, e := range []*edge{n.edgeLocked(a, b), n.edgeLocked(b, a)} {
		if !e.isCut {
			continue
		}
		e.isCut = false
		kept := e.fifo[:0]
		for _, p := range e.fifo {
			if p.pair != nil && p.pair.flushEndedLocked(now) {
				n.recycleLocked(p)
				continue
			}
			p.at = later(p.at, now.Add(e.cfg.Delay))
			e.lastControl = later(e.lastControl, p.at)
			kept = append(kept, p)
		}
		e.fifo = kept
		n.schedulePumpLocked(e)
		if p := n.pairLocked(e.from, e.to); p != nil {
			p.inflight = p.inflight[:0]
			p.sendHelloLocked()
		}
	}
}

// Stall holds everything back that arrives in one direction in the time d from
// now, and then delivers it at once, as a busy Wi-Fi does.
func (n *Network) Stall(from, to identity.PeerID, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.edgeLocked(from, to)
	e.stallUntil = later(e.stallUntil, time.Now().Add(d))
}

// Traffic returns what the direction between two peers did to voice so far.
func (n *Network) Traffic(from, to identity.PeerID) Traffic {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.edgeLocked(from, to).traffic
}

// Close closes every transport and ends every goroutine of the network.
// Transports can't be opened any more afterwards. Idempotent.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.wg.Wait()
		return nil
	}
	n.closed = true
	all := make([]*Transport, 0, len(n.transports))
	for _, t := range n.transports {
		all = append(all, t)
	}
	n.mu.Unlock()

	var closing sync.WaitGroup
	for _, t := range all {
		closing.Go(func() { _ = t.Close() })
	}
	closing.Wait()
	close(n.done)
	n.wg.Wait()
	return nil
}

// run moves messages until Close.
func (n *Network) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := n.step()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-n.wake:
		case <-n.done:
			return
		}
	}
}

// step does what is due and returns the time until something is.
func (n *Network) step() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		now := time.Now()
		e, ok := n.queue.next(now)
		switch {
		case !ok && n.queue.Len() == 0:
			return time.Hour
		case !ok:
			return n.queue.events[0].at.Sub(now)
		case e.voice != nil:
			n.arriveLocked(e, now)
		default:
			e.run()
		}
	}
}

func (n *Network) addLocked(e event) {
	n.queue.add(e)
	if n.queue.events[0].order == n.queue.order {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

func (n *Network) afterLocked(d time.Duration, run func()) {
	n.addLocked(event{at: time.Now().Add(d), run: run})
}

func (n *Network) edgeLocked(from, to identity.PeerID) *edge {
	key := [2]identity.PeerID{from, to}
	e := n.edges[key]
	if e == nil {
		e = newEdge(n.cfg.Seed, from, to, n.cfg.Link)
		n.edges[key] = e
	}
	return e
}

// pairLocked is what self knows of a peer that it joined, or nil.
func (n *Network) pairLocked(self, peer identity.PeerID) *pair {
	if t := n.transports[self]; t != nil {
		return t.pairs[peer]
	}
	return nil
}
