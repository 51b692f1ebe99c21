package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/parley-voice/parley/p2p/link"
)

// Times of dialing.
const (
	dialTimeout = 2 * time.Second // of one attempt: a peer that comes back is reached within it
	dialThin    = 6 * time.Second // of one to a peer that wasn't reached yet, or was slowly: a handshake is ten times what 50 kb/s carry in a fifth of a second
	dialSlow    = 1500 * time.Millisecond
	dialFast    = 500 * time.Millisecond // shortest rest between attempts in the first minute; the longest is twice that
	dialEager   = time.Minute            // after a join or a loss
	dialPatient = 10 * time.Minute       // after a loss: a second or two between attempts
	dialMost    = 30 * time.Second       // longest rest later; chance adds up to as much again
	dialBlind   = time.Second            // between looks whether an address is known now
	// dialWait is for how long the larger peer ID lets the smaller one dial first, and
	// dialLong for how long while somebody's handshake comes in, which may be the smaller
	// one's. Two handshakes at once take twice as long on a thin link: one of 60 kb/s
	// carries one in a second. The smaller one may not know where we are.
	dialWait = 400 * time.Millisecond
	dialLong = 1500 * time.Millisecond
	dialLook = 50 * time.Millisecond // between looks whether it has come in
	// dialSoon is for how long it waits where the smaller one may be unable to, since we
	// are behind a NAT, or after a connection was lost.
	dialSoon = 250 * time.Millisecond
)

// dialing is the state of connecting to a peer. The pair's mu guards it.
type dialing struct {
	since   time.Time // of being without a connection
	at      time.Time // of the next attempt
	latest  time.Time // ... for as long as the peer may be dialing
	rest    time.Duration
	running bool
	giveUp  context.CancelFunc // ends the attempt that is running; nil if there is none
	slow    bool               // the last attempt that succeeded took long
	err     error
	noAddrs bool
}

// start begins anew, with the first attempt after a while.
func (d *dialing) start(now time.Time, wait time.Duration) {
	*d = dialing{since: now, running: d.running, giveUp: d.giveUp, slow: d.slow}
	d.wait(now, wait)
}

// wait puts the next attempt off, so that the peer can be first.
func (d *dialing) wait(now time.Time, rest time.Duration) {
	d.at, d.latest = now.Add(rest), now.Add(rest)
	if rest == dialWait {
		d.latest = now.Add(dialLong)
	}
}

// dialRest is how long this side waits for the other one to dial first. again is
// after a connection was lost.
func (p *pair) dialRest(again bool) time.Duration {
	switch {
	case p.smaller:
		return 0
	case again, p.t.node.where().nat:
		return dialSoon
	}
	return dialWait
}

// isGreeted reports whether somebody, of whom nothing is known yet, is making a
// connection to our host.
func (n *Node) isGreeted() bool {
	var greeted bool
	_ = n.host.Network().ResourceManager().ViewTransient(func(s network.ResourceScope) error {
		greeted = s.Stat().NumConnsInbound > 0
		return nil
	})
	return greeted
}

// dialedLocked gives up an attempt to connect that runs, since the peer was faster: a
// second connection is of no use, and its handshake is in the way of what is said.
func (p *pair) dialedLocked(class connClass, dir network.Direction) {
	if p.dial.giveUp != nil && dir == network.DirInbound && class.kind != link.Relayed {
		p.dial.giveUp()
	}
}

func (d *dialing) reason() string {
	switch {
	case d.noAddrs:
		return "not connected: no address of the peer is known"
	case d.err != nil:
		return "not connected: " + dialFailure(d.err)
	}
	return "not connected"
}

// dialFailure says in words why an attempt failed.
func dialFailure(err error) string {
	switch {
	case errors.Is(err, swarm.ErrSwarmClosed):
		return "our own host is closed"
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "our own host doesn't allow it"
	case errors.Is(err, swarm.ErrNoGoodAddresses):
		return "none of the peer's known addresses can be dialed from here"
	}
	return "dialing failed, nobody answers at the peer's known addresses"
}

// keepDialLocked asks the host to connect when it is time, and returns when to
// look again.
func (p *pair) keepDialLocked(now time.Time) time.Time {
	d := &p.dial
	if p.t.node.cfg.NoDial || len(p.paths) > 0 || d.running {
		return now.Add(time.Hour)
	}
	if now.Before(d.at) {
		return d.at
	}
	if now.Before(d.latest) && p.t.node.isGreeted() {
		d.at = earlier(now.Add(dialLook), d.latest)
		return d.at
	}
	d.running = true
	p.wg.Go(p.runDial)
	return now.Add(time.Hour)
}

// runDial makes one attempt to connect.
func (p *pair) runDial() {
	h := p.t.node.host
	if s, ok := h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(p.id) // it would refuse for 5 s and more
	}
	known := len(h.Peerstore().Addrs(p.id)) > 0
	p.mu.Lock()
	if p.dial.noAddrs && known && !p.smaller {
		// Both may have learnt of each other at the same moment, and the other one
		// sees it within dialBlind.
		p.dial.running, p.dial.noAddrs = false, false
		p.dial.wait(time.Now().Add(dialBlind), p.dialRest(false))
		p.wakeUp()
		p.mu.Unlock()
		return
	}
	patience := dialThin
	if p.far != 0 && !p.dial.slow {
		patience = dialTimeout
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	p.dial.giveUp = cancel
	p.mu.Unlock()
	began := time.Now()
	var err error
	switch p.t.node.cfg.Relaying {
	case OnlyRelayed:
		err = (&search{pair: p}).circuit(ctx)
	case NeverRelayed:
		err = h.Connect(network.WithForceDirectDial(ctx, "voice"), peer.AddrInfo{ID: p.id})
	case AllowRelayed:
		err = h.Connect(network.WithAllowLimitedConn(ctx, "voice"), peer.AddrInfo{ID: p.id})
	}
	cancel()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.dial.ended(began, time.Now(), p.far != 0, err)
	p.dirty.Store(true)
	p.wakeUp()
}

// ended decides, after an attempt, when there is to be another. met says that the
// peer was here, and is awaited.
func (d *dialing) ended(began, now time.Time, met bool, err error) {
	d.running, d.giveUp, d.err, d.noAddrs = false, nil, err, errors.Is(err, swarm.ErrNoAddresses)
	if err == nil {
		d.slow = now.Sub(began) > dialSlow
	}
	switch {
	case now.Sub(d.since) < dialEager:
		d.rest = dialFast
	case met && now.Sub(d.since) < dialPatient:
		d.rest = time.Second
	default:
		d.rest = min(max(2*d.rest, time.Second), dialMost)
	}
	d.at = now.Add(d.rest + rand.N(d.rest))
	if d.noAddrs {
		d.at = now.Add(dialBlind)
	}
}
