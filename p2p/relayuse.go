package p2p

import ma "github.com/multiformats/go-multiaddr"

// circuitAddrs are our own addresses through the relays that answer, without
// our ID: those of any peer that holds a reservation there too.
func (n *Node) circuitAddrs() []ma.Multiaddr {
	if !n.cfg.mayRelay() {
		return nil
	}
	return n.relays.circuitAddrs()
}

// runRelays has peers told when we can be reached through other relays than
// before, until the relays are closed.
func (n *Node) runRelays(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
			n.refreshAddrs()
		case <-n.relays.ctx.Done():
			return
		}
	}
}

// dependLocked notes which relay the voice depends on, so that its death is
// noticed soon.
func (p *pair) dependLocked(pt *path) {
	if p.relayDone != nil {
		p.relayDone()
		p.relayDone = nil
	}
	if pt == nil {
		return
	}
	if id := relayOf(pt.conn.RemoteMultiaddr()); id != "" {
		p.relayDone = p.t.node.relays.use(id)
	}
}

// Addrs are the addresses at which peers reach this host, as they are told them:
// on local networks, public ones, and those through live relays; with
// OnlyRelayed only the last.
func (n *Node) Addrs() []ma.Multiaddr { return n.ownAddrs() }

// where is what peers were last told of us.
func (n *Node) where() (w whereabouts) {
	if b := n.told.Load(); b != nil {
		w, _ = parseWhereabouts(*b) // we wrote it
	}
	return w
}
