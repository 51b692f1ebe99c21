package p2p

import (
	"encoding/binary"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Bounds of the addresses that two peers tell each other.
const (
	maxAddrs     = 16
	maxAddrBytes = 1200
	maxObserved  = 4
)

// appendAddrs writes addresses, each behind its length as uvarint, as many as
// there is room for.
func appendAddrs(dst []byte, addrs []ma.Multiaddr) []byte {
	start := len(dst)
	for i, a := range addrs {
		b := a.Bytes()
		if i == maxAddrs || len(dst)-start+len(b)+2 > maxAddrBytes {
			break
		}
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		dst = append(dst, b...)
	}
	return dst
}

// parseAddrs reads addresses. Those of a kind that isn't known here are left out.
func parseAddrs(b []byte) ([]ma.Multiaddr, error) {
	var addrs []ma.Multiaddr
	for n := 0; len(b) > 0; n++ {
		size, k, err := uvarint(b)
		if err != nil || n == maxAddrs || size > uint64(len(b)-k) {
			return nil, errMalformed
		}
		if a, err := ma.NewMultiaddrBytes(b[k : k+int(size)]); err == nil {
			addrs = append(addrs, a)
		}
		b = b[k+int(size):]
	}
	return addrs, nil
}

// toldNAT is the flag of what peers are told: there is a NAT between us and the
// internet.
const toldNAT = 1

// whereabouts are the body of a frame of type frameAddrs.
type whereabouts struct {
	nat   bool
	addrs []ma.Multiaddr
}

func encodeWhereabouts(w whereabouts) []byte {
	flags := byte(0)
	if w.nat {
		flags = toldNAT
	}
	return appendAddrs([]byte{flags}, w.addrs)
}

func parseWhereabouts(b []byte) (w whereabouts, err error) {
	if len(b) == 0 {
		return w, errMalformed
	}
	w.nat = b[0]&toldNAT != 0
	w.addrs, err = parseAddrs(b[1:])
	return w, err
}

// runEvents follows the host's own addresses, until the subscription is closed.
func (n *Node) runEvents(sub event.Subscription) {
	n.refreshAddrs()
	for e := range sub.Out() {
		switch e := e.(type) {
		case event.EvtLocalAddressesUpdated:
			n.refreshAddrs()
		case event.EvtPeerIdentificationCompleted:
			if n.observe(e) {
				n.refreshAddrs()
			}
		}
	}
}

// subscribe begins to follow the host's addresses. A host without an event bus
// of libp2p's kind has those that it had at the start.
func (n *Node) subscribe() {
	sub, err := n.host.EventBus().Subscribe(
		[]any{new(event.EvtLocalAddressesUpdated), new(event.EvtPeerIdentificationCompleted)},
		eventbus.BufSize(256), eventbus.Name("parley"),
	)
	if err != nil {
		n.refreshAddrs()
		return
	}
	n.sub = sub
	n.wg.Go(func() { n.runEvents(sub) })
}

// observe notes under which public address a peer sees us, and reports whether
// that is news. The newest of each transport counts, a few of them.
func (n *Node) observe(e event.EvtPeerIdentificationCompleted) bool {
	a := e.ObservedAddr
	if a == nil || isCircuit(a) || !manet.IsPublicAddr(a) || e.Conn != nil && isCircuit(e.Conn.RemoteMultiaddr()) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.observed) > 0 && n.observed[0].Equal(a) {
		return false
	}
	known := slices.ContainsFunc(n.observed, a.Equal)
	n.observed = slices.DeleteFunc(n.observed, a.Equal)
	n.observed = slices.Insert(n.observed, 0, a)
	n.observed = n.observed[:min(len(n.observed), maxObserved)]
	return !known
}

// behindNAT reports whether no interface of ours has a public address.
func (n *Node) behindNAT() bool {
	local, err := n.host.Network().InterfaceListenAddresses()
	return err == nil && len(local) > 0 && !slices.ContainsFunc(local, manet.IsPublicAddr)
}

// refreshAddrs looks at what the host's addresses are now, and has peers told if
// they are others than before.
func (n *Node) refreshAddrs() {
	b := encodeWhereabouts(whereabouts{n.behindNAT(), n.ownAddrs()})
	before := n.where()
	if old := n.told.Swap(&b); old != nil && slices.Equal(*old, b) {
		return
	}
	now := n.where()
	moved := !samePlace(before.addrs, now.addrs)
	n.cfg.Logger.Debug("our addresses are others", "addrs", now.addrs, "moved", moved)
	for _, t := range n.all() {
		t.mu.RLock()
		pairs := make([]*pair, 0, len(t.pairs))
		for _, p := range t.pairs {
			pairs = append(pairs, p)
		}
		t.mu.RUnlock()
		for _, p := range pairs {
			p.ownAddrsChanged(moved)
		}
	}
}

// ownAddrs are the addresses that peers are told: those on local networks first,
// unless they are hidden, and last those through relays.
func (n *Node) ownAddrs() []ma.Multiaddr {
	if n.cfg.Relaying == OnlyRelayed {
		return n.circuitAddrs()
	}
	all := n.host.Addrs()
	if local, err := n.host.Network().InterfaceListenAddresses(); err == nil {
		all = append(slices.Clone(all), local...)
	}
	var lan, public []ma.Multiaddr
	for _, a := range all {
		switch {
		case isCircuit(a), manet.IsIPLoopback(a), manet.IsIPUnspecified(a):
		case manet.IsPublicAddr(a):
			public = append(public, a)
		case !n.cfg.HideLAN && !manet.IsIP6LinkLocal(a):
			lan = append(lan, a)
		}
	}
	n.mu.Lock()
	public = append(public, n.observed...)
	n.mu.Unlock()
	return ma.Unique(slices.Concat(lan[:min(len(lan), maxAddrs/2)], public, n.circuitAddrs()))
}

// dialable leaves out of what a peer says of itself what isn't to be dialed from
// here: an address on a local network that isn't ours may be anybody's.
func dialable(addrs []ma.Multiaddr) []ma.Multiaddr {
	local, err := net.InterfaceAddrs()
	if err != nil {
		local = nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		if isCircuit(a) || manet.IsPublicAddr(a) {
			return false
		}
		ip, err := manet.ToIP(a)
		if err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() {
			return true
		}
		return !slices.ContainsFunc(local, func(l net.Addr) bool {
			n, ok := l.(*net.IPNet)
			return ok && !n.IP.IsLoopback() && n.Contains(ip)
		})
	})
}

// samePlace reports whether two lists name the same addresses, whatever the
// circuits among them and the order.
func samePlace(a, b []ma.Multiaddr) bool {
	within := func(a, b []ma.Multiaddr) bool {
		return !slices.ContainsFunc(a, func(m ma.Multiaddr) bool { return !isCircuit(m) && !slices.ContainsFunc(b, m.Equal) })
	}
	return within(a, b) && within(b, a)
}

// isLAN reports whether an address is on a local network.
func isLAN(a ma.Multiaddr) bool {
	return !isCircuit(a) && (manet.IsPrivateAddr(a) || manet.IsIP6LinkLocal(a) || isLinkLocal4(a))
}
