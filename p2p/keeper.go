package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// checkConns is how often the host's connections are looked at even if no
// notification came.
const checkConns = 5 * time.Second

// runKeeper does everything that is done because time passed or because
// something changed: it follows the host's connections, opens control streams,
// asks for signs of life, resets lanes that are late, and dials.
func (p *pair) runKeeper() {
	if in := p.inbox; in != nil {
		p.accept(in.c, in.pre)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var nextCheck time.Time
	for {
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.ctx.Done():
			return
		}
		p.learn()
		now := time.Now()
		check := p.dirty.Swap(false) || !now.Before(nextCheck)
		if check {
			nextCheck = now.Add(checkConns)
		}
		next := p.keep(now, check)
		timer.Reset(time.Until(earlier(next, nextCheck)))
	}
}

// keep does what is due now and returns when to come back.
func (p *pair) keep(now time.Time, check bool) time.Time {
	var conns []network.Conn
	if check {
		conns = p.t.node.conns(p.id)
	}
	p.lock()
	defer p.deliver.Unlock()
	if p.state != stateJoined {
		p.mu.Unlock()
		return now.Add(time.Hour)
	}
	if check {
		p.reconcileLocked(conns, now)
	}
	next := now.Add(time.Hour)
	for _, pt := range p.paths {
		next = earlier(next, p.keepControlLocked(pt, now))
		next = earlier(next, p.keepAliveLocked(pt, now))
	}
	next = earlier(next, p.keepLanesLocked(now))
	next = earlier(next, p.keepDialLocked(now))
	next = earlier(next, p.keepSeekLocked(now))
	next = earlier(next, p.keepSidesLocked(now))
	p.tell(now)
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
