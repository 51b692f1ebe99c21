package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/link"
)

// aim is what a search for another path is for.
type aim uint8

const (
	aimNone   aim = iota
	aimMeet       // there is no connection at all
	aimRescue     // the paths there are don't answer
	aimDirect     // there is only a way through a relay
	aimLAN        // there is a direct way, and maybe one that doesn't leave the house
	aimRenew      // the relay will soon cut the connection
	aimSpare      // there is no way through a relay, should the direct one die
)

// Times of searching.
const (
	seekDial    = 3 * time.Second        // for one search
	hopeless    = time.Second            // in doubt, until a direct way is dialed anew
	seekRescue  = 300 * time.Millisecond // between searches for a rescue at first; more and more, to
	seekRescued = 5 * time.Second
	seekMeet    = 500 * time.Millisecond // for a direct connection to be made first
	seekMeets   = 30 * time.Second       // between searches in the end
	seekRenew   = time.Second
	seekSpare   = 3 * time.Second  // after a direct path is there
	seekAgain   = 30 * time.Second // between searches for a spare
	seekMost    = 5 * time.Minute  // between searches for a better path
	seekMoves   = 8                // moves of either end that at once begin a search anew; then
	seekMoved   = 2 * time.Second  // passes between two
	spareMost   = 16               // peers in a session for whom spares are kept

	// renewAlone is how many searches for another circuit run with none for a
	// better path beside them, whose dials may leave no room for it.
	renewAlone = 8
)

// directAfter are the times between attempts to get direct.
var directAfter = []time.Duration{0, 2 * time.Second, 4 * time.Second, 8 * time.Second, 20 * time.Second, time.Minute}

// seeking is the state of the search for other paths. The pair's mu guards it.
type seeking struct {
	aim     aim
	running bool
	again   bool // what is running is of no use any more: the next begins when it is due
	tries   int
	at      time.Time // of the next search for aim
}

// place is where the two ends are. What was begun for one place is given up with
// it: a dial to where the peer was, or from where we were, only stands in the way
// of the next, which libp2p would join to it. The pair's mu guards it.
type place struct {
	ctx   context.Context // canceled when the place is left
	leave context.CancelFunc
	moves bucket // a peer that moves all the time, or says so, must not have us dial all the time
}

func newPlace(ctx context.Context) place {
	p := place{moves: newBucket(1/seekMoved.Seconds(), seekMoves)}
	p.enter(ctx)
	return p
}

func (p *place) enter(ctx context.Context) { p.ctx, p.leave = context.WithCancel(ctx) }

// seekAnewLocked makes a search for a better path due, as if it were the first,
// because a peer said where it is, and maybe moved, or we did. One that is under
// way for another place is given up.
func (p *pair) seekAnewLocked(moved bool, now time.Time) {
	s := &p.seek
	s.tries = 0
	due := s.running || !now.Before(s.at)
	switch {
	case due && !moved:
	case !p.place.moves.take(now):
		if soon := now.Add(seekMoved); due || soon.Before(s.at) {
			s.at = soon
		}
		s.again = s.running
	case moved:
		p.place.leave()
		p.place.enter(p.ctx)
		s.again = s.running
		fallthrough
	default:
		s.at = now
	}
}

// keepSeekLocked begins searches when it is time, and returns when to look
// again. A search for a better path takes its time, and one for a way out of
// trouble doesn't wait for it.
func (p *pair) keepSeekLocked(now time.Time) time.Time {
	better, safer := p.aimsLocked(now)
	if safer == aimRenew && (p.guard.aim != aimRenew || p.guard.tries < renewAlone) {
		return p.seekLocked(&p.guard, safer, now)
	}
	return earlier(p.seekLocked(&p.seek, better, now), p.seekLocked(&p.guard, safer, now))
}

// aimsLocked decides what is to be searched for: something better than what
// there is, and something that lasts.
func (p *pair) aimsLocked(now time.Time) (better, safer aim) {
	cfg := &p.t.node.cfg
	switch {
	case cfg.NoDial:
		return aimNone, aimNone
	case len(p.paths) == 0 && cfg.Relaying == AllowRelayed:
		return aimNone, aimMeet // OnlyRelayed dials circuits anyway
	case len(p.paths) == 0, p.far == 0, p.farLeft:
		return aimNone, aimNone
	}
	best := p.best
	if best == nil || best.inDoubt(now) {
		if slices.ContainsFunc(p.paths, func(pt *path) bool { return pt.cur != nil }) {
			return aimNone, aimRescue
		}
		return aimNone, aimNone
	}
	lasts := slices.ContainsFunc(p.paths, func(pt *path) bool { return pt.class.kind == link.Relayed && pt.usable() && pt.wear(now) == unworn })
	switch best.class.kind {
	case link.Relayed:
		if cfg.mayGoDirect() {
			better = aimDirect
		}
		if !lasts {
			safer = aimRenew
		}
	case link.Punched, link.Direct:
		if slices.ContainsFunc(p.addrs, isLAN) {
			better = aimLAN
		}
		if !lasts && cfg.mayRelay() && int(p.t.count.Load()) <= spareMost {
			safer = aimSpare
		}
	case link.LAN, link.None:
	}
	return better, safer
}

// seekLocked begins one search if it is time.
func (p *pair) seekLocked(s *seeking, a aim, now time.Time) time.Time {
	if s.running {
		return now.Add(time.Hour) // its end wakes the keeper
	}
	if a != s.aim {
		*s = seeking{aim: a, at: now.Add(delayOf(a))}
	}
	if a == aimNone {
		return now.Add(time.Hour)
	}
	if now.Before(s.at) {
		return s.at
	}
	s.running = true
	next := search{
		pair: p, state: s, aim: a, ctx: p.ctx,
		direct:   slices.Clone(p.addrs),
		doubtful: map[peer.ID]bool{},
		hopeless: p.best == nil || p.best.hopeless(now),
	}
	for _, pt := range p.paths {
		if id := relayOf(pt.conn.RemoteMultiaddr()); id != "" && (pt.alive.lost || pt.inDoubt(now)) {
			next.doubtful[id] = true
		}
	}
	if s == &p.seek {
		next.ctx = p.place.ctx
	}
	p.wg.Go(next.run)
	return now.Add(time.Hour)
}

// delayOf is how long a search waits once its aim is clear.
func delayOf(a aim) time.Duration {
	switch a {
	case aimSpare:
		return seekSpare
	case aimLAN:
		return time.Second
	case aimDirect:
		return 100 * time.Millisecond // for the peer to say where it is
	case aimMeet:
		return seekMeet
	case aimNone, aimRescue, aimRenew:
	}
	return 0
}

// rest is for how long a search rests after it found nothing.
func (a aim) rest(tries int) time.Duration {
	var d time.Duration
	switch a {
	case aimMeet:
		d = min(seekRescue<<min(tries/4, 8), seekMeets)
	case aimRescue:
		d = min(seekRescue<<min(tries/4, 8), seekRescued)
	case aimDirect, aimLAN:
		d = directAfter[len(directAfter)-1]
		if tries < len(directAfter) {
			d = directAfter[tries]
		} else {
			d = min(d<<min(tries-len(directAfter)+1, 8), seekMost)
		}
	case aimRenew:
		d = seekRenew
	case aimSpare:
		d = seekAgain
	case aimNone:
	}
	return d/2 + rand.N(d/2+1)
}

// search is one search for another path. It runs in a goroutine of its own.
type search struct {
	pair     *pair
	state    *seeking // what it is a search of; the pair's mu guards it
	aim      aim
	ctx      context.Context
	direct   []ma.Multiaddr   // what the peer said of where it is
	doubtful map[peer.ID]bool // relays through which it doesn't answer
	hopeless bool             // no path was heard of for long
}

// run makes the search. What it finds shows as a connection.
func (s *search) run() {
	p := s.pair
	ctx, cancel := context.WithTimeout(s.ctx, seekDial)
	switch s.aim {
	case aimRescue:
		s.rescue(ctx)
	case aimMeet, aimRenew, aimSpare:
		_ = s.circuit(ctx) // whether it worked shows as a connection
	case aimLAN:
		s.side(ctx, slices.DeleteFunc(slices.Clone(s.direct), func(a ma.Multiaddr) bool { return !isLAN(a) }))
	case aimDirect:
		s.plain(ctx)
		if p.smaller && p.wantsDirect() {
			p.log.Debug("punched", "error", p.punch(s.ctx))
		}
	case aimNone:
	}
	cancel()
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	k := s.state
	k.running = false
	if k.again {
		k.again = false
	} else {
		k.tries++
		k.at = now.Add(s.aim.rest(k.tries))
	}
	p.dirty.Store(true)
	p.wakeUp()
}

func (p *pair) wantsDirect() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	better, _ := p.aimsLocked(time.Now())
	return better == aimDirect
}

// plain dials the peer's own addresses, as one can who isn't behind a NAT, or is
// in the same house. The swarm does it, so that the application has the
// connection too.
func (s *search) plain(ctx context.Context) {
	p := s.pair
	h := p.t.node.host
	for _, c := range h.Network().ConnsToPeer(p.id) {
		if !isCircuit(c.RemoteMultiaddr()) {
			s.side(ctx, s.direct) // the swarm would not dial beside it
			return
		}
	}
	err := h.Connect(network.WithForceDirectDial(ctx, "voice"), peer.AddrInfo{ID: p.id, Addrs: s.direct})
	p.log.Debug("dialed the peer's own addresses", "addrs", s.direct, "error", err)
}

// rescue tries everything at once: other relays soon, the same direct way anew
// only when there is hardly hope for what there is.
func (s *search) rescue(ctx context.Context) {
	var wg sync.WaitGroup
	cfg := &s.pair.t.node.cfg
	if cfg.mayRelay() {
		wg.Go(func() { _ = s.circuit(ctx) })
	}
	if cfg.mayGoDirect() && s.hopeless {
		wg.Go(func() { s.side(ctx, s.direct) })
	}
	wg.Wait()
}

// side dials direct addresses past the swarm, all at once; the first that
// answers is enough.
func (s *search) side(ctx context.Context, addrs []ma.Multiaddr) {
	p := s.pair
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for _, a := range addrs {
		if isCircuit(a) {
			continue
		}
		wg.Go(func() {
			if c, err := p.t.node.dialSide(ctx, p.id, a); err == nil {
				if ctx.Err() != nil {
					_ = c.Close() // another was faster
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// circuit dials the peer through a relay, those first through which it isn't
// known not to answer. One at a time: libp2p dials no two circuits to a peer at
// once.
func (s *search) circuit(ctx context.Context) error {
	p := s.pair
	if s.aim == aimNone || s.aim == aimMeet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		p.givesWay(cancel)
		defer p.givesWay(nil)
	}
	all := slices.Concat(p.t.node.circuitAddrs(), circuitsOf(s.direct), circuitsOf(p.t.node.host.Peerstore().Addrs(p.id)))
	var first, last []ma.Multiaddr
	seen := map[peer.ID]bool{}
	for _, a := range all {
		id := relayOf(a)
		switch {
		case id == "" || id == p.id || seen[id]:
		case s.doubtful[id] && s.aim == aimRescue && !s.hopeless:
			// All circuits through a relay share the link to it: another one would
			// only add to what is in its way.
		case s.doubtful[id]:
			last = append(last, a)
		default:
			first = append(first, a)
		}
		seen[id] = true
	}
	err := swarm.ErrNoAddresses
	for _, a := range slices.Concat(first, last) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err = p.t.node.dialSide(ctx, p.id, a); err == nil {
			return nil
		}
		p.log.Debug("no way through a relay", "addr", a, "error", err)
	}
	return err
}

// givesWay has a function called once the peer has a circuit to us, if its ID is the
// smaller one: to have both would only cost. The smaller one goes on, or each might
// give way to the other.
func (p *pair) givesWay(giveUp func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.smaller {
		p.giveWay = giveUp
	}
}

// reason says why a path through a relay is the best there is.
func (p *pair) seekReasonLocked(now time.Time) string {
	s := &p.seek
	switch {
	case s.aim != aimDirect:
		return ""
	case s.running || s.tries == 0:
		return "through a relay, a direct way is being tried"
	}
	return fmt.Sprintf("through a relay, a direct way failed %d times and is tried again in %d s", s.tries, int(max(0, s.at.Sub(now)).Seconds()+0.5))
}
