package p2p

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/link"
)

// sideIdle is how long a connection of ours that carries no voice is kept once
// it isn't needed: what is on its way may still come.
const sideIdle = 5 * time.Second

// keepSidesLocked gives up connections that this side dialed past the swarm and
// that are of no more use. One through a relay stays as spare in small sessions.
func (p *pair) keepSidesLocked(now time.Time) time.Time {
	next := now.Add(time.Hour)
	if p.best == nil || p.moving.from != nil {
		return next
	}
	for _, pt := range p.paths {
		c, ok := pt.conn.(*sideConn)
		if !ok || pt == p.best || p.spareLocked(pt, now) {
			continue
		}
		if idle := laterOf(pt.voice, c.stat.Opened).Add(sideIdle); now.Before(idle) {
			next = earlier(next, idle)
			continue
		}
		p.closing = append(p.closing, c)
	}
	return next
}

func laterOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// spareLocked reports whether a path is worth keeping beside the best one.
func (p *pair) spareLocked(pt *path, now time.Time) bool {
	if pt.class.kind != link.Relayed || !pt.usable() || pt.wear(now) > unworn || p.best.class.kind == link.Relayed {
		return false
	}
	for _, o := range p.paths {
		if o != pt && o.class.kind == link.Relayed && o.usable() && o.wear(now) == unworn {
			if _, ours := o.conn.(*sideConn); !ours || o.rank(now) >= pt.rank(now) {
				return false // one is enough
			}
		}
	}
	return int(p.t.count.Load()) <= spareMost
}

// giveUp closes the connections to a peer that were dialed past the swarm, unless
// a session has a use for them.
func (n *Node) giveUp(id peer.ID) {
	if n.knows(id) {
		return
	}
	n.mu.Lock()
	sides := slices.Clone(n.sides[id])
	n.mu.Unlock()
	for _, c := range sides {
		_ = c.Close()
	}
}

// addrsLocked takes what the peer says of where it is; false if it makes no
// sense.
func (p *pair) addrsLocked(b []byte, at time.Time) bool {
	w, err := parseWhereabouts(b)
	if err != nil {
		return false
	}
	moved := !samePlace(p.told, w.addrs)
	p.told, p.farNAT = w.addrs, w.nat
	for _, pt := range p.paths {
		p.judgeKindLocked(pt)
	}
	p.seekAnewLocked(moved, at)
	p.fresh = true
	p.wakeUp()
	return true
}

// learn takes up what the peer said of where it is. The keeper calls it, with no
// lock held.
func (p *pair) learn() {
	p.mu.Lock()
	told, fresh := p.told, p.fresh
	p.fresh = false
	p.mu.Unlock()
	if !fresh {
		return
	}
	addrs := dialable(told)
	if p.t.node.cfg.mayGoDirect() {
		p.t.node.host.Peerstore().AddAddrs(p.id, addrs, peerstore.RecentlyConnectedAddrTTL)
	}
	p.mu.Lock()
	p.addrs = addrs
	p.mu.Unlock()
	p.log.Debug("the peer says where it is", "addrs", addrs)
}

// ownAddrsChanged has the peer told where we are, and a better path tried at
// once: the network is another if we moved, or we have other relays.
func (p *pair) ownAddrsChanged(moved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pt := range p.paths {
		if pt.cur != nil {
			pt.cur.addrs = true
			poke(pt.cur.kick)
		}
	}
	now := time.Now()
	p.seekAnewLocked(moved, now)
	if now.Sub(p.dial.since) > dialLong {
		p.dial.at = earlier(p.dial.at, now)
	}
	p.wakeUp()
}

// judgeKindLocked tells a hole that was punched from a direct way: there is a NAT
// at both ends, so both had to send first. By whom, libp2p or us, and when, is
// all the same.
func (p *pair) judgeKindLocked(pt *path) {
	switch k := &pt.class.kind; {
	case *k == link.Direct && p.farNAT && p.t.node.where().nat:
		*k = link.Punched
	case *k == link.Punched && !p.farNAT:
		*k = link.Direct
	}
}

// noPath is the code for a stream on a connection that isn't used.
func (p *pair) noPath(c network.Conn) network.StreamErrorCode {
	if !p.t.node.cfg.allows(classify(c).kind) {
		return codePolicy
	}
	return codeTooMany
}

// whyLocked says in words why a path is the one that is used.
func (p *pair) whyLocked(pt *path, now time.Time) string {
	switch pt.class.kind {
	case link.Relayed:
		if p.t.node.cfg.Relaying == OnlyRelayed {
			return "through a relay, as the settings demand"
		}
		return p.seekReasonLocked(now)
	case link.Punched:
		return "direct, by hole punching"
	case link.None, link.Direct, link.LAN:
	}
	return ""
}

// relayOf is the relay of a circuit's address; empty if it is none.
func relayOf(a ma.Multiaddr) peer.ID {
	if !isCircuit(a) {
		return ""
	}
	before, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	id, err := peer.IDFromP2PAddr(before)
	if err != nil {
		return ""
	}
	return id
}

// circuitsOf are the circuits among addresses.
func circuitsOf(addrs []ma.Multiaddr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range addrs {
		if isCircuit(a) {
			out = append(out, a)
		}
	}
	return out
}
