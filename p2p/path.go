package p2p

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/parley-voice/parley/p2p/link"
)

// path is one connection to the peer. The pair's mu guards it.
type path struct {
	conn  network.Conn
	class connClass
	gone  bool

	senior bool      // the smaller peer ID dialed it
	voice  time.Time // when voice came on it last, or it carried ours
	left   time.Time // when it ceased to carry our voice: what is on its lanes may still arrive
	budget budget

	cur     *control // answered in both directions
	pending *control // opened by us, not answered
	retry   retrying

	rtt   rttEstimate
	sent  uint64 // bytes that we wrote, about as a relay counts them
	got   uint64 // bytes that the peer wrote, likewise
	alive liveness

	lanes      [maxLanes]*lane // opened by us
	turn       int             // whose turn it is
	laneCap    int             // lanes that the far end lets us have
	laneCapped time.Time       // when laneCap changed last
	laneRest   time.Time       // no lane is opened before
	lost       time.Time       // when a packet of ours was missing last
	incoming   [maxLanes]*incomingLane
}

// retrying is when a control stream is opened next, and why not yet.
type retrying struct {
	at       time.Time
	refusals int
	reason   string // why the last one ended, in words
	crossed  bool   // we refused one of the peer's in favour of the pending one
}

// rank orders paths: by what kind of way they are, by whether a relay will cut
// them soon, and then so that both ends choose the same of two alike.
func (pt *path) rank(now time.Time) int {
	r := 8*pt.class.rank() + 2*int(spent-pt.wear(now))
	if pt.senior {
		r++
	}
	return r
}

func (pt *path) usable() bool { return !pt.gone && pt.cur != nil && !pt.alive.lost }

// reconcileLocked makes the paths those of the host's connections.
func (p *pair) reconcileLocked(conns []network.Conn, now time.Time) {
	for _, pt := range slices.Clone(p.paths) {
		if pt.conn.IsClosed() || !slices.Contains(conns, pt.conn) {
			p.removePathLocked(pt, now)
		}
	}
	for _, c := range conns {
		if !c.IsClosed() {
			p.pathOfLocked(c)
		}
	}
}

// pathOfLocked returns the path of a connection, or nil if there are too many.
func (p *pair) pathOfLocked(c network.Conn) *path {
	for _, pt := range p.paths {
		if pt.conn == c {
			return pt
		}
	}
	class := classify(c)
	if len(p.paths) >= maxPaths || !p.t.node.cfg.allows(class.kind) {
		return nil
	}
	pt := &path{conn: c, class: class, laneCap: maxLanes, budget: budgetOf(c)}
	p.judgeKindLocked(pt)
	pt.senior = p.smaller == (c.Stat().Direction == network.DirOutbound)
	p.paths = append(p.paths, pt)
	p.dialedLocked(class, c.Stat().Direction)
	if p.giveWay != nil && class.kind == link.Relayed && c.Stat().Direction == network.DirInbound {
		p.giveWay()
	}
	p.debugLocked("path there", "conn", c.ID(), "kind", pt.class.kind.String(), "remote", pt.class.remote, "dialed", c.Stat().Direction == network.DirOutbound)
	return pt
}

func (p *pair) removePathLocked(pt *path, now time.Time) {
	p.debugLocked("path gone", "conn", pt.conn.ID(), "best", pt == p.best, "sent", pt.sent, "got", pt.got)
	p.endPathLocked(pt, codeSuperseded)
	p.paths = slices.DeleteFunc(p.paths, func(o *path) bool { return o == pt })
	if len(p.paths) == 0 {
		p.dial.start(now, p.dialRest(true))
	}
}

// endPathLocked ends every stream of a path.
func (p *pair) endPathLocked(pt *path, code network.StreamErrorCode) {
	pt.gone = true
	for _, c := range []*control{pt.cur, pt.pending} {
		if c != nil {
			p.endControlLocked(c, code)
		}
	}
	p.dropLanesLocked(pt, code)
	for i, in := range pt.incoming {
		if in != nil {
			p.doomLocked(in.s, code)
			pt.incoming[i] = nil
		}
	}
}

// refreshLocked chooses the path that carries voice and says whether the view
// of it changed.
func (p *pair) refreshLocked(now time.Time) bool {
	if best := p.chooseLocked(now); best != p.best {
		p.moveLocked(best, now)
	}
	best := p.best
	v := link.Path{Epoch: p.epochLocked(), Since: now}
	if best != nil {
		k := best.class
		v.Kind, v.Transport, v.Security, v.Remote, v.Ordered = k.kind, k.transport, k.security, k.remote, !k.striped
	} else if p.view.Kind == link.None {
		reason := p.reasonLocked()
		changed := reason != p.view.Reason
		p.view.Reason = reason
		return changed
	}
	o := p.view
	if v.Kind == o.Kind && v.Transport == o.Transport && v.Remote == o.Remote && v.Epoch == o.Epoch {
		return false
	}
	if best != nil {
		v.RTT, v.Lanes = best.rtt.typical(), p.lanesLocked(best, now)
		v.Reason = p.whyLocked(best, now)
	} else {
		v.Reason = p.reasonLocked()
	}
	p.view = v
	return true
}

// epochLocked identifies the stay of both ends: the peer's epoch, and another one
// each time that ours was replaced.
func (p *pair) epochLocked() uint64 {
	if p.far == 0 {
		return 0
	}
	return p.far ^ p.renewed*0x9e3779b97f4a7c15
}

// chooseLocked returns the path to use. One that answers is left only for a
// better one, and one that is in doubt for any that answered what it was asked since:
// what is heard on another may be late too, where both wait in one queue.
func (p *pair) chooseLocked(now time.Time) *path {
	best := p.best
	if best != nil && !best.usable() {
		best = nil
	}
	doubt := best != nil && best.inDoubt(now)
	var other *path
	for _, pt := range p.paths {
		switch {
		case pt == best || !pt.usable() || best != nil && pt.inDoubt(now):
		case doubt && !pt.alive.answered.After(best.alive.open):
		case best != nil && now.Sub(pt.alive.doubted) < trustAfter:
		case other == nil || pt.preferred(other, now):
			other = pt
		}
	}
	if other == nil || best != nil && !doubt && other.rank(now) <= best.rank(now) {
		return best
	}
	return other
}

// preferred reports whether a path is a better one to use than another: one that
// answers is.
func (pt *path) preferred(o *path, now time.Time) bool {
	if doubt := pt.inDoubt(now); doubt != o.inDoubt(now) {
		return !doubt
	}
	return pt.rank(now) > o.rank(now)
}

// reasonLocked says why there is no path.
func (p *pair) reasonLocked() string {
	for _, pt := range p.paths {
		if pt.cur != nil && pt.alive.lost {
			return "no answer for 2.5 s"
		}
	}
	for _, pt := range p.paths {
		if pt.retry.reason != "" {
			return pt.retry.reason
		}
	}
	if len(p.paths) > 0 {
		return "connected, waiting for the peer to join us"
	}
	return p.dial.reason()
}

func (p *pair) lanesLocked(pt *path, now time.Time) int {
	lossy := !pt.lost.IsZero() && now.Sub(pt.lost) < lossMemory
	n := p.t.node.cfg.laneCount(pt.class.striped, lossy, pt.rtt.smoothed, int(p.t.count.Load()))
	return max(1, min(n, pt.laneCap))
}
