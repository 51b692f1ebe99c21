package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/link"
)

type pairState uint8

const (
	stateJoined  pairState = iota
	stateLeaving           // nothing is delivered; queued control is still flushed
	stateGone              // everything is reset
)

// pair is one joined peer in one session. Two goroutines serve it, runKeeper
// and runWriter, and one or two per stream; all end with ctx, and done is
// closed after them.
type pair struct {
	t       *Transport
	id      peer.ID
	h       link.Handler
	log     *slog.Logger
	smaller bool   // our ID is smaller than the peer's
	ours    uint64 // our epoch

	deliver gate          // held during calls of h; taken before mu
	wake    chan struct{} // runs the keeper now
	kick    chan struct{} // the writer has something to do
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	done    chan struct{}
	flushed chan struct{} // closed when leaving and all control is acknowledged
	dirty   atomic.Bool   // the host's connections to the peer changed
	inbox   *acceptance   // a held stream, for the keeper's first run

	// mu guards what follows, and the paths, controls and lanes.
	mu      sync.Mutex
	state   pairState
	far     uint64 // the peer's epoch, 0 before the first contact
	renewed uint64 // how often ours was replaced
	farLeft bool   // the peer took its Join of that epoch back
	former  [8]uint64
	formers int
	epochs  chan struct{} // closed and replaced when far changes
	paths   []*path
	best    *path
	moving  move
	view    link.Path
	stats   link.Stats
	doomed  []doomed
	notes   []note

	sending   sending
	receiving receiving
	control   controlQueue
	expected  uint64 // number of the next control message
	joins     bucket // of new epochs of the peer that it may begin
	waiting   int    // lanes that wait for the control stream of their epoch
	dial      dialing
	place     place
	seek      seeking // for a better path
	guard     seeking // for one that lasts
	holes     punching
	told      []ma.Multiaddr // where the peer says it is
	fresh     bool           // told isn't taken up yet
	farNAT    bool           // there is a NAT before the peer
	addrs     []ma.Multiaddr // of told, what may be dialed from here
	relayDone func()         // ends the note that voice depends on a relay
	giveWay   func()         // ends our dialing of a circuit; nil if there is none that needn't be
	closing   []*sideConn    // to be closed once no lock is held
}

// doomed is a stream to be reset once no lock is held.
type doomed struct {
	s    network.Stream
	code network.StreamErrorCode
}

// acceptance is a control stream of the peer and its preamble.
type acceptance struct {
	c   *control
	pre preamble
}

func newPair(t *Transport, id peer.ID, h link.Handler) *pair {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pair{
		t:       t,
		id:      id,
		h:       h,
		log:     t.node.cfg.Logger.With("peer", id.String(), "session", t.name),
		smaller: bytes.Compare([]byte(t.Self()), []byte(id)) < 0,
		ours:    newEpoch(),
		deliver: newGate(),
		wake:    make(chan struct{}, 1),
		kick:    make(chan struct{}, 1),
		ctx:     ctx,
		cancel:  cancel,
		done:    make(chan struct{}),
		flushed: make(chan struct{}),
		epochs:  make(chan struct{}),
		joins:   newBucket(joinRate, joinBurst),
		place:   newPlace(ctx),
	}
	now := time.Now()
	p.view = link.Path{Reason: "not connected", Since: now}
	p.dirty.Store(true)
	p.dial.start(now, p.dialRest(false))
	return p
}

func newEpoch() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if e := binary.BigEndian.Uint64(b[:]); e != 0 {
			return e
		}
	}
}

func (p *pair) start() {
	p.wg.Go(p.runKeeper)
	p.wg.Go(p.runWriter)
}

// enter counts a goroutine that serves a stream; false if it is too late.
func (p *pair) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == stateGone {
		return false
	}
	p.wg.Add(1)
	return true
}

func (p *pair) wakeUp() { poke(p.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lock takes the delivery lock and mu. The caller ends with tell and
// deliver.Unlock.
func (p *pair) lock() {
	p.deliver.Lock()
	p.mu.Lock()
}

// tell settles which path is the best, releases mu, resets what is to be
// reset, and tells the handler of a change. The delivery lock stays held.
func (p *pair) tell(now time.Time) {
	changed := p.refreshLocked(now)
	view, told := p.view, p.state == stateJoined
	doomed, notes, closing := p.doomed, p.notes, p.closing
	p.doomed, p.notes, p.closing = nil, nil, nil
	p.mu.Unlock()
	for _, d := range doomed {
		p.t.node.reset(d.s, d.code)
	}
	for _, n := range notes {
		p.log.Debug(n.text, n.args...)
	}
	for _, c := range closing {
		_ = c.Close()
	}
	if !changed {
		return
	}
	p.log.Info("path changed", "kind", view.Kind.String(), "transport", view.Transport, "remote", view.Remote, "reason", view.Reason)
	if told {
		p.h.PathChanged(p.id, view)
	}
}

// note is something for the log once no lock is held.
type note struct {
	text string
	args []any
}

// debugLocked logs something, later: a log's handler is the application's.
func (p *pair) debugLocked(text string, args ...any) {
	if p.log.Enabled(p.ctx, slog.LevelDebug) {
		p.notes = append(p.notes, note{text, args})
	}
}

func (p *pair) doomLocked(s network.Stream, code network.StreamErrorCode) {
	if s != nil {
		p.doomed = append(p.doomed, doomed{s, code})
	}
}

// newEpochLocked makes e the peer's epoch: nothing of the one before counts
// any more. What was queued before the first contact stays.
func (p *pair) newEpochLocked(e uint64) {
	if p.far != 0 {
		p.formerLocked(p.far)
		p.control = controlQueue{}
	}
	for _, pt := range p.paths {
		if pt.cur != nil {
			p.endControlLocked(pt.cur, codeSuperseded)
		}
		pt.alive.forget()
		p.dropLanesLocked(pt, codeStale)
		for i, in := range pt.incoming {
			if in != nil && in.far != e {
				p.doomLocked(in.s, codeStale)
				pt.incoming[i] = nil
			}
		}
	}
	p.far, p.farLeft = e, false
	p.expected = 0
	p.receiving.reset()
	p.dropQueuedLocked()
	p.sending.reset()
	close(p.epochs)
	p.epochs = make(chan struct{})
}

// renewLocked draws a new epoch of our own, since the peer takes ours for one
// that is over: streams of an earlier stay here reached it after those of this
// one. To both sides it is as if both had joined anew.
func (p *pair) renewLocked() {
	far := p.far
	p.newEpochLocked(0)
	p.control = controlQueue{}
	for _, pt := range p.paths {
		if pt.pending != nil {
			p.endControlLocked(pt.pending, codeSuperseded)
		}
	}
	for i, f := range p.former {
		if f == far {
			p.former[i] = 0 // it isn't over, it only didn't know us
		}
	}
	p.ours = newEpoch()
	p.renewed++
	p.debugLocked("our epoch is another now")
}

// formerLocked remembers an epoch of the peer that is over, so that a stream
// of it that arrives late isn't taken for a new one.
func (p *pair) formerLocked(e uint64) {
	if !p.isFormerLocked(e) {
		p.former[p.formers%len(p.former)] = e
		p.formers++
	}
}

func (p *pair) isFormerLocked(e uint64) bool {
	for _, f := range p.former {
		if f == e {
			return e != 0
		}
	}
	return false
}

// farLeftLocked notes that the peer isn't joined any more as the epoch it was.
func (p *pair) farLeftLocked() {
	if p.far == 0 || p.farLeft {
		return
	}
	p.farLeft = true
	p.formerLocked(p.far)
	for _, pt := range p.paths {
		if pt.cur != nil {
			p.endControlLocked(pt.cur, codeSuperseded)
		}
		p.dropLanesLocked(pt, codeStale)
	}
	p.dropQueuedLocked()
	p.sending.reset()
}

// leave stops delivery at once; a running call of the handler ends first. The
// rest happens in the background until done is closed.
func (p *pair) leave() {
	p.lock()
	first := p.state == stateJoined
	wait := false
	if first {
		p.state = stateLeaving
		p.dropQueuedLocked()
		wait = p.best != nil && p.control.len() > 0
		if !wait {
			close(p.flushed)
		}
		p.t.node.wg.Add(1)
		go p.runFlush()
	}
	p.mu.Unlock()
	p.deliver.Unlock()
}

// runFlush waits until the peer has what was queued, at most
// link.FlushTimeout, and ends the pair.
func (p *pair) runFlush() {
	defer p.t.node.wg.Done()
	timer := time.NewTimer(link.FlushTimeout)
	defer timer.Stop()
	select {
	case <-p.flushed:
	case <-timer.C:
	}
	p.mu.Lock()
	p.state = stateGone
	for _, pt := range p.paths {
		p.endPathLocked(pt, codeLeft)
	}
	p.paths, p.best = nil, nil
	p.dependLocked(nil)
	all := p.doomed
	p.doomed = nil
	p.mu.Unlock()
	p.cancel()
	for _, d := range all {
		p.t.node.reset(d.s, d.code)
	}
	p.wg.Wait()
	p.mu.Lock()
	all = p.doomed // what those who have just ended left
	p.doomed = nil
	p.mu.Unlock()
	for _, d := range all {
		p.t.node.reset(d.s, d.code)
	}
	p.t.ended(p)
	p.t.node.giveUp(p.id)
	close(p.done)
}

func (p *pair) path() link.Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view
	if v.Kind == link.None {
		v.Reason = p.reasonLocked()
		return v
	}
	if p.best != nil {
		now := time.Now()
		v.RTT = p.best.rtt.typical()
		v.Lanes = p.lanesLocked(p.best, now)
		v.Reason = p.whyLocked(p.best, now)
	}
	return v
}

func (p *pair) statistics() link.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.VoiceUnacked = p.sending.flight.count
	if p.best != nil {
		s.Queue = p.best.rtt.queue()
	}
	return s
}
