package sessiontest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

type state uint8

const (
	stateClosed state = iota
	stateOpen
	stateClosing // Close is flushing
)

// Transport is one peer's end of a [Network]. It implements [link.Transport].
//
// A Handler may take a lock that callers of SendVoice, SendControl, Join, Path
// and Stats hold. Leave and Close wait for a call of the Handler that is under
// way, so their callers must not hold such a lock.
type Transport struct {
	net  *Network
	self identity.PeerID
	wg   sync.WaitGroup // the inboxes' goroutines

	// Guarded by net.mu.
	state   state
	handler link.Handler
	rand    *rand.Rand // draws epochs
	pairs   map[identity.PeerID]*pair
	left    map[*pair]struct{} // left, with control that isn't acknowledged yet; only while Close waits for it
	inboxes map[identity.PeerID]*inbox
	held    map[identity.PeerID]*held
	flushed chan struct{} // closed when left is empty
	closed  chan struct{} // closed when the Close under way is done
}

var _ link.Transport = (*Transport)(nil)

func newTransport(n *Network, self identity.PeerID) *Transport {
	return &Transport{
		net:     n,
		self:    self,
		rand:    rand.New(rand.NewPCG(n.cfg.Seed, hash(string(self)))),
		pairs:   make(map[identity.PeerID]*pair),
		left:    make(map[*pair]struct{}),
		inboxes: make(map[identity.PeerID]*inbox),
		held:    make(map[identity.PeerID]*held),
	}
}

// Self implements link.Transport.
func (t *Transport) Self() identity.PeerID { return t.self }

// Open implements link.Transport. On a closed Network it is ErrClosed.
func (t *Transport) Open(h link.Handler) error {
	if h == nil {
		return errors.New("sessiontest: open without a handler")
	}
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	switch {
	case t.net.closed:
		return fmt.Errorf("sessiontest: open on a closed network: %w", link.ErrClosed)
	case t.state != stateClosed:
		return fmt.Errorf("sessiontest: open: %w", link.ErrOpen)
	}
	t.state, t.handler = stateOpen, h
	return nil
}

// Join implements link.Transport.
func (t *Transport) Join(id identity.PeerID) error {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	switch {
	case t.state != stateOpen:
		return fmt.Errorf("sessiontest: join: %w", link.ErrClosed)
	case id.Validate() != nil:
		return fmt.Errorf("sessiontest: join %q: %w", string(id), link.ErrInvalidPeer)
	case id == t.self:
		return fmt.Errorf("sessiontest: join: %w", link.ErrSelf)
	case t.pairs[id] != nil:
		return nil
	}
	p := t.newPairLocked(id)
	t.pairs[id] = p
	p.inbox = t.inboxLocked(id)
	if h := t.held[id]; h != nil {
		delete(t.held, id)
		p.upLocked(h.epoch)
	}
	p.sendHelloLocked()
	return nil
}

// Leave implements link.Transport. It waits for a call of the Handler for that
// peer that is under way.
func (t *Transport) Leave(id identity.PeerID) error {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	if t.state != stateOpen {
		return fmt.Errorf("sessiontest: leave: %w", link.ErrClosed)
	}
	p := t.pairs[id]
	if p == nil {
		return nil
	}
	p.leaveLocked(time.Now())
	p.inbox.waitLocked()
	return nil
}

// SendVoice implements link.Transport.
func (t *Transport) SendVoice(id identity.PeerID, b []byte) error {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	p := t.pairs[id]
	if err := t.sendableLocked(p, b); err != nil {
		if p != nil {
			p.stats.VoiceDropped++
		}
		return err
	}
	if err := p.sendVoiceLocked(b, time.Now()); err != nil {
		p.stats.VoiceDropped++
		return err
	}
	return nil
}

// SendControl implements link.Transport. At most MaxQueuedControl messages and
// 32 KiB wait for a peer.
func (t *Transport) SendControl(id identity.PeerID, b []byte) error {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	p := t.pairs[id]
	if err := t.sendableLocked(p, b); err != nil {
		return err
	}
	return p.sendControlLocked(b)
}

func (t *Transport) sendableLocked(p *pair, b []byte) error {
	switch {
	case t.state != stateOpen:
		return link.ErrClosed
	case p == nil:
		return link.ErrNotJoined
	case len(b) > link.MaxMessage:
		return link.ErrTooLarge
	}
	return nil
}

// Path implements link.Transport. Transport is "memory", Security is empty:
// nothing is encrypted.
func (t *Transport) Path(id identity.PeerID) link.Path {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	if p := t.pairs[id]; p != nil {
		return p.pathLocked()
	}
	return link.Path{}
}

// Stats implements link.Transport. Bytes are those of messages; Malformed and
// LaneResets stay 0.
func (t *Transport) Stats(id identity.PeerID) link.Stats {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	if p := t.pairs[id]; p != nil {
		return p.statsLocked(time.Now())
	}
	return link.Stats{}
}

// Close implements link.Transport. It ends every goroutine of the transport,
// which can be opened again. It waits for calls of the Handler that are under
// way.
func (t *Transport) Close() error {
	n := t.net
	n.mu.Lock()
	if t.state != stateOpen {
		closed := t.closed
		n.mu.Unlock()
		if closed != nil {
			<-closed
		}
		return nil
	}
	t.state = stateClosing
	t.closed, t.flushed = make(chan struct{}), make(chan struct{})
	now := time.Now()
	for _, p := range t.pairs {
		p.leaveLocked(now)
		if p.queuedLocked() > 0 {
			t.left[p] = struct{}{}
		}
	}
	for id := range t.held {
		t.dropHeldLocked(id, "refused: the peer is not open")
	}
	for _, b := range t.inboxes {
		b.cond.Broadcast()
	}
	flushed, waits := t.flushed, len(t.left) > 0
	n.mu.Unlock()

	if waits {
		timer := time.NewTimer(link.FlushTimeout)
		select {
		case <-flushed:
		case <-timer.C:
		}
		timer.Stop()
	}
	t.wg.Wait()

	n.mu.Lock()
	t.state, t.handler = stateClosed, nil
	clear(t.left)
	closed := t.closed
	t.closed = nil
	n.mu.Unlock()
	close(closed)
	return nil
}
