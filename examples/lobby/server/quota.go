package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
)

// maxKnown is of how many peers, and of how many addresses, limits are kept at
// once. Beyond it strangers are refused: to forget a known one instead would
// reset its limits.
const maxKnown = 1 << 16

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes n of the tokens, which come back at rate per second up to burst.
func (b *bucket) take(now time.Time, n, rate, burst float64) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}

// account is what one peer, or one address, has used of its limits.
type account struct {
	halfOpen, rooms int
	codes           map[string]time.Time // codes tried, in the last minute
	joins, messages bucket
	bytes, updates  bucket
	used            time.Time
}

// tryCode notes a code, unless it is a new one beyond the limit.
func (a *account) tryCode(now time.Time, code string, limit int) bool {
	for c, at := range a.codes {
		if now.Sub(at) >= time.Minute {
			delete(a.codes, c)
		}
	}
	if _, known := a.codes[code]; !known && len(a.codes) >= limit {
		return false
	}
	if a.codes == nil {
		a.codes = map[string]time.Time{}
	}
	a.codes[code] = now
	return true
}

// quota keeps the limits of all peers and addresses. Its methods are safe for
// concurrent use and don't block.
type quota struct {
	limits Limits

	mu    sync.Mutex // guards what follows
	peers map[peer.ID]*account
	addrs map[netip.Addr]*account
}

func newQuota(l Limits) *quota {
	return &quota{limits: l, peers: map[peer.ID]*account{}, addrs: map[netip.Addr]*account{}}
}

// origin is whom a stream is charged to.
type origin struct {
	peer peer.ID
	addr netip.Addr
}

// originOf is the peer at the other end, authenticated by the connection, and
// its address: for IPv6 the /64, which is what a household has.
func originOf(c network.Conn) origin {
	o := origin{peer: c.RemotePeer()}
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return o // no IP address: all such share an account
	}
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if addr.Is6() {
		if prefix, err := addr.WithZone("").Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}
	o.addr = addr
	return o
}

// accounts returns those of o, or none when there are too many.
func (q *quota) accounts(o origin, now time.Time) (p, a *account, ok bool) {
	p, a = q.peers[o.peer], q.addrs[o.addr]
	if p == nil && len(q.peers) >= maxKnown || a == nil && len(q.addrs) >= maxKnown {
		return nil, nil, false
	}
	if p == nil {
		p = &account{}
		q.peers[o.peer] = p
	}
	if a == nil {
		a = &account{}
		q.addrs[o.addr] = a
	}
	p.used, a.used = now, now
	return p, a, true
}

// open begins a stream without a join; close ends one.
func (q *quota) open(o origin, now time.Time) (Reason, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, a, ok := q.accounts(o, now)
	switch {
	case !ok:
		return Strangers, false
	case p.halfOpen >= q.limits.PeerHalfOpen || a.halfOpen >= q.limits.AddressHalfOpen:
		return HalfOpen, false
	}
	p.halfOpen++
	a.halfOpen++
	return "", true
}

func (q *quota) close(o origin) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.peers[o.peer].halfOpen--
	q.addrs[o.addr].halfOpen--
}

// join judges an attempt to join a room; the stream is open.
func (q *quota) join(o origin, code string, now time.Time) (Reason, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.limits
	p, a, ok := q.accounts(o, now)
	switch {
	case !ok:
		return Strangers, false
	case !p.joins.take(now, 1, float64(l.PeerJoins)/60, float64(l.PeerJoins)):
		return PeerJoins, false
	case !a.joins.take(now, 1, float64(l.AddressJoins)/60, float64(l.AddressJoins)):
		return AddressJoins, false
	case !p.tryCode(now, code, l.PeerCodes):
		return PeerCodes, false
	case !a.tryCode(now, code, l.AddressCodes):
		return AddressCodes, false
	}
	return "", true
}

// enter takes a place in a room for o, and exit gives it back.
func (q *quota) enter(o origin, now time.Time) (Reason, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, a, ok := q.accounts(o, now)
	switch {
	case !ok:
		return Strangers, false
	case p.rooms >= q.limits.PeerRooms:
		return PeerRooms, false
	case a.rooms >= q.limits.AddressRooms:
		return AddressRooms, false
	}
	p.rooms++
	a.rooms++
	return "", true
}

func (q *quota) exit(o origin, now time.Time) { q.occupy(o, -1, now) }

// reenter takes a place that was given back a moment ago.
func (q *quota) reenter(o origin, now time.Time) { q.occupy(o, 1, now) }

func (q *quota) occupy(o origin, n int, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p, a, ok := q.accounts(o, now); ok {
		p.rooms += n
		a.rooms += n
	}
}

// message charges a message of n bytes.
func (q *quota) message(o origin, n int, now time.Time) (Reason, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	const seconds = 5
	l := &q.limits
	p, a, ok := q.accounts(o, now)
	switch {
	case !ok:
		return Strangers, false
	case !p.messages.take(now, 1, float64(l.PeerMessages), float64(l.PeerMessages)*seconds),
		!a.messages.take(now, 1, float64(l.AddressMessages), float64(l.AddressMessages)*seconds):
		return Messages, false
	case !p.bytes.take(now, float64(n), float64(l.PeerBytes), float64(l.PeerBytes)*seconds),
		!a.bytes.take(now, float64(n), float64(l.AddressBytes), float64(l.AddressBytes)*seconds):
		return Bytes, false
	}
	return "", true
}

// update charges an update.
func (q *quota) update(o origin, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p, _, ok := q.accounts(o, now)
	rate := float64(q.limits.PeerUpdates)
	return ok && p.updates.take(now, 1, rate/60, rate/2)
}

// sweep forgets who has used nothing for longer than any limit remembers.
func (q *quota) sweep(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	idle := func(a *account) bool {
		return a.halfOpen == 0 && a.rooms == 0 && now.Sub(a.used) > 2*time.Minute
	}
	for id, a := range q.peers {
		if idle(a) {
			delete(q.peers, id)
		}
	}
	for addr, a := range q.addrs {
		if idle(a) {
			delete(q.addrs, addr)
		}
	}
}

func (q *quota) known() (peers, addrs int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.peers), len(q.addrs)
}
