package p2p

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	maxRelays     = 8              // that a node keeps; a lobby names a few
	maxRelayAddrs = 8              // of one relay that are told to peers
	relayTag      = "parley-relay" // protects connections to relays; a session's tag begins with "parley/"
)

// relays keeps reservations at relays, so that peers reach this host through
// them. A node has one of them; each relay has a goroutine on the node's wg.
type relays struct {
	node   *Node
	ctx    context.Context
	cancel context.CancelFunc
	events network.NotifyBundle

	changing gate // held while the relays are changed; before mu

	// mu guards what follows and the state of each relay. It is never held
	// while anything else is locked or waited for.
	mu       sync.Mutex
	closed   bool
	kept     []*keptRelay // in the order in which they were named
	using    map[peer.ID]int
	watchers map[chan struct{}]struct{}
}

// relayState is a relay at which we hold a reservation.
type relayState struct {
	ID peer.ID

	// Addrs are the relay's addresses without its ID: as configured, then the
	// public ones that it names itself.
	Addrs []ma.Multiaddr

	// Expiry is when the reservation ends unless it is renewed, by our clock.
	Expiry time.Time

	// LimitData is how many bytes a circuit carries each way, LimitDuration how
	// long it lasts; 0 without a limit.
	LimitData     uint64
	LimitDuration time.Duration
}

func newRelays(n *Node) *relays {
	rs := &relays{
		node:     n,
		changing: newGate(),
		using:    map[peer.ID]int{},
		watchers: map[chan struct{}]struct{}{},
	}
	rs.ctx, rs.cancel = context.WithCancel(context.Background())
	rs.events.ConnectedF = rs.connectionsChanged
	rs.events.DisconnectedF = rs.connectionsChanged
	n.host.Network().Notify(&rs.events)
	return rs
}

// SetRelays replaces the relays of [Config].Relays, when a lobby names its own
// for example. Reservations at relays that stay aren't touched. Connections to
// relays that go are left to the host, with the circuits on them. It doesn't
// wait for the network, and does nothing once the node is closed.
func (n *Node) SetRelays(infos []peer.AddrInfo) { n.relays.set(infos) }

// RelayStatus is what became of one relay.
type RelayStatus struct {
	ID            peer.ID
	Live          bool          // peers can reach us through it
	Expiry        time.Time     // of the reservation unless it is renewed, by our clock
	LimitData     uint64        // bytes that a circuit carries each way; 0 without a limit
	LimitDuration time.Duration // that a circuit lasts; 0 without a limit
	Reason        string        // in words, why it isn't live
}

// Relays returns the node's relays in the order in which they were named.
func (n *Node) Relays() []RelayStatus {
	now := time.Now()
	rs := n.relays
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var out []RelayStatus
	for _, k := range rs.kept {
		st := RelayStatus{ID: k.id, Reason: k.reason}
		if s, live := k.stateLocked(now); live {
			st = RelayStatus{ID: k.id, Live: true, Expiry: s.Expiry, LimitData: s.LimitData, LimitDuration: s.LimitDuration}
		}
		out = append(out, st)
	}
	return out
}

// set makes the kept relays those of infos.
func (rs *relays) set(infos []peer.AddrInfo) {
	wanted := usableRelays(infos, rs.node.host.ID())
	rs.changing.Lock()
	defer rs.changing.Unlock()
	rs.mu.Lock()
	if rs.closed {
		rs.mu.Unlock()
		return
	}
	before := rs.kept
	rs.kept = nil
	var added, gone []*keptRelay
	for _, info := range wanted {
		k := find(before, info.ID)
		if k == nil {
			k = newKeptRelay(rs, info.ID)
			added = append(added, k)
		}
		k.renamed = k.renamed || !slices.EqualFunc(k.addrs, info.Addrs, ma.Multiaddr.Equal)
		k.addrs = info.Addrs
		rs.kept = append(rs.kept, k)
		poke(k.kick)
	}
	for _, k := range before {
		if find(rs.kept, k.id) == nil {
			gone = append(gone, k)
		}
	}
	// Before close can wait for them, which it does with closed set.
	for _, k := range added {
		rs.node.wg.Go(k.run)
	}
	rs.mu.Unlock()
	for _, k := range gone {
		k.cancel()
		rs.protect(k.id, false)
	}
	for _, k := range added {
		rs.protect(k.id, true)
	}
}

// close ends the goroutines, for which the node waits.
func (rs *relays) close() {
	rs.node.host.Network().StopNotify(&rs.events)
	rs.cancel()
	rs.changing.Lock()
	defer rs.changing.Unlock()
	rs.mu.Lock()
	kept := rs.kept
	rs.closed, rs.kept = true, nil
	rs.mu.Unlock()
	for _, k := range kept {
		rs.protect(k.id, false)
	}
}

func (rs *relays) protect(id peer.ID, on bool) {
	switch m := rs.node.host.ConnManager(); {
	case rs.node.cfg.NoProtect:
	case on:
		m.Protect(id, relayTag)
	default:
		m.Unprotect(id, relayTag)
	}
}

func find(ks []*keptRelay, id peer.ID) *keptRelay {
	for _, k := range ks {
		if k.id == id {
			return k
		}
	}
	return nil
}

// usableRelays drops what can't be a relay of ours: ourselves, addresses
// through other relays, and what is too much.
func usableRelays(infos []peer.AddrInfo, self peer.ID) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, info := range infos {
		if info.ID == self || info.ID.Validate() != nil {
			continue
		}
		i := slices.IndexFunc(out, func(o peer.AddrInfo) bool { return o.ID == info.ID })
		if i < 0 {
			if len(out) == maxRelays {
				continue
			}
			i = len(out)
			out = append(out, peer.AddrInfo{ID: info.ID})
		}
		for _, a := range info.Addrs {
			out[i].Addrs = addRelayAddr(out[i].Addrs, a, info.ID)
		}
	}
	return out
}

// addRelayAddr adds an address of a relay, without the relay's ID, if it is one
// and there is room.
func addRelayAddr(addrs []ma.Multiaddr, a ma.Multiaddr, id peer.ID) []ma.Multiaddr {
	if len(a) == 0 || isCircuit(a) || len(addrs) >= maxRelayAddrs {
		return addrs
	}
	if rest, of := peer.SplitAddr(a); of != "" {
		if of != id || len(rest) == 0 {
			return addrs
		}
		a = rest
	}
	if slices.ContainsFunc(addrs, a.Equal) {
		return addrs
	}
	return append(addrs, a)
}

// connectionsChanged runs inside the swarm: it only wakes.
func (rs *relays) connectionsChanged(_ network.Network, c network.Conn) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if k := find(rs.kept, c.RemotePeer()); k != nil {
		poke(k.kick)
	}
}

// live returns the relays at which we hold a reservation, in the order in which
// they were named.
func (rs *relays) live() []relayState {
	now := time.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var out []relayState
	for _, k := range rs.kept {
		if s, ok := k.stateLocked(now); ok {
			out = append(out, s)
		}
	}
	return out
}

// circuitAddrs returns the addresses under which peers reach us through live
// relays: "<address of the relay>/p2p/<relay>/p2p-circuit", without our own ID.
func (rs *relays) circuitAddrs() []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, s := range rs.live() {
		through, err := ma.NewMultiaddr("/p2p/" + s.ID.String() + "/p2p-circuit")
		if err != nil {
			continue
		}
		for _, a := range s.Addrs {
			out = append(out, a.Encapsulate(through))
		}
	}
	return out
}

// watch returns a channel that gets a value after the set of live relays or
// their addresses changed: one value for any number of changes that nobody took
// note of. Nothing comes after stop, and the channel is never closed.
func (rs *relays) watch() (changed <-chan struct{}, stop func()) {
	w := make(chan struct{}, 1)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.watchers[w] = struct{}{}
	return w, func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		delete(rs.watchers, w)
	}
}

func (rs *relays) tell() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for w := range rs.watchers {
		poke(w)
	}
}

// use says that a conversation depends on this relay, kept or not, until done
// is called: its death is then noticed within 4 s.
func (rs *relays) use(id peer.ID) (done func()) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.using[id]++
	if k := find(rs.kept, id); k != nil {
		poke(k.kick)
	}
	return sync.OnceFunc(func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if rs.using[id]--; rs.using[id] <= 0 {
			delete(rs.using, id)
		}
	})
}
