package pipe

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

const (
	maxHeld    = 64                     // peers that aren't announced and are held; more are refused
	holdTime   = 10 * time.Second       // then they are forgotten; who goes on asking knocks again
	maxLeaving = 4                      // left pairs per peer that still deliver control; the oldest goes
	maxFree    = 256                    // buffers kept for reuse
	sendMargin = 200 * time.Millisecond // that Close waits for Config.Send beyond link.FlushTimeout
)

type state uint8

const (
	stateClosed state = iota
	stateOpen
	stateClosing // Close is flushing
)

// Transport carries voice over a pipe. It implements [link.Transport]; make it with
// [New]. All methods are safe for concurrent use.
//
// For each joined peer it has two goroutines: one calls Config.Send, the other
// one the Handler. Close ends all of them.
type Transport struct {
	cfg      Config
	own      *credentials
	inboxing sync.WaitGroup // the inboxes' goroutines

	// mu guards all below, the pairs and the inboxes. It is held briefly, never
	// while Config.Send or the Handler is called.
	mu      sync.Mutex
	state   state
	handler link.Handler
	pairs   map[identity.PeerID]*pair
	leaving map[identity.PeerID][]*pair // left, with something to say still
	inboxes map[identity.PeerID]*inbox
	held    map[identity.PeerID]*held
	free    []*buffer
	closed  chan struct{} // closed when the Close under way is done
}

var _ link.Transport = (*Transport)(nil)

// New returns a transport that isn't open. It starts nothing. It fails with
// ErrConfig.
func New(cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	own, err := newCredentials(cfg)
	if err != nil {
		return nil, err
	}
	return &Transport{
		cfg:     cfg,
		own:     own,
		pairs:   make(map[identity.PeerID]*pair),
		leaving: make(map[identity.PeerID][]*pair),
		inboxes: make(map[identity.PeerID]*inbox),
		held:    make(map[identity.PeerID]*held),
	}, nil
}

// Self implements link.Transport.
func (t *Transport) Self() identity.PeerID { return t.cfg.Self }

// Open implements link.Transport.
func (t *Transport) Open(h link.Handler) error {
	if h == nil {
		return errors.New("pipe: open without a handler")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != stateClosed {
		return fmt.Errorf("pipe: open: %w", link.ErrOpen)
	}
	t.state, t.handler = stateOpen, h
	return nil
}

// Join implements link.Transport.
func (t *Transport) Join(id identity.PeerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.state != stateOpen:
		return fmt.Errorf("pipe: join: %w", link.ErrClosed)
	case !validID(id):
		return fmt.Errorf("pipe: join an ID of %d bytes: %w", len(id), link.ErrInvalidPeer)
	case id == t.cfg.Self:
		return fmt.Errorf("pipe: join: %w", link.ErrSelf)
	case t.pairs[id] != nil:
		return nil
	}
	now := time.Now()
	p := t.newPair(id, now)
	t.pairs[id] = p
	p.inbox = t.inboxLocked(id)
	if h := t.held[id]; h != nil {
		delete(t.held, id)
		if h.initiation != nil && now.Before(h.until) {
			_ = p.respondLocked(h.initiation, now) // no answer is none
		}
	}
	go p.runSend()
	return nil
}

// Leave implements link.Transport. It waits for a call of the Handler for that
// peer that is under way.
func (t *Transport) Leave(id identity.PeerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != stateOpen {
		return fmt.Errorf("pipe: leave: %w", link.ErrClosed)
	}
	p := t.pairs[id]
	if p == nil {
		return nil
	}
	p.leaveLocked(time.Now())
	p.inbox.waitLocked()
	return nil
}

// SendVoice implements link.Transport. At most four messages wait for Config.Send;
// the oldest goes.
func (t *Transport) SendVoice(id identity.PeerID, b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.sendableLocked(id, b)
	if err == nil {
		err = p.queueVoiceLocked(b, time.Now())
	}
	if p != nil && err != nil {
		p.stats.VoiceDropped++
	}
	return err
}

// SendControl implements link.Transport. At most 64 messages and 32 KiB wait for a
// peer's Handler.
func (t *Transport) SendControl(id identity.PeerID, b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.sendableLocked(id, b)
	switch {
	case err != nil:
		return err
	case p.out.full(len(b)):
		return link.ErrCongested
	}
	p.out.push(append([]byte(nil), b...), false)
	p.wakeLocked()
	return nil
}

func (t *Transport) sendableLocked(id identity.PeerID, b []byte) (*pair, error) {
	p := t.pairs[id]
	switch {
	case t.state != stateOpen:
		return nil, link.ErrClosed
	case p == nil:
		return nil, link.ErrNotJoined
	case len(b) > link.MaxMessage:
		return p, link.ErrTooLarge
	}
	return p, nil
}

// Path implements link.Transport. Security is "noise", or empty with
// Config.Insecure; then Reason says so in words.
func (t *Transport) Path(id identity.PeerID) link.Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pairs[id]; p != nil {
		return p.pathLocked()
	}
	return link.Path{}
}

// SetRoute says how the pipe reaches a joined peer from now on: kind is relayed
// through a server, or direct; remote is where to, for people, and may be empty.
// link.None stands for Config.Kind. It fails with link.ErrNotJoined; a later Join
// begins with Config.Kind.
func (t *Transport) SetRoute(id identity.PeerID, kind link.Kind, remote string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pairs[id]
	if p == nil {
		return fmt.Errorf("pipe: set route: %w", link.ErrNotJoined)
	}
	if kind == link.None {
		kind = t.cfg.Kind
	}
	if p.kind == kind && p.remote == remote {
		return nil
	}
	p.kind, p.remote = kind, remote
	if p.up {
		p.since = time.Now()
		p.stats.PathChanges++
		p.tellPathLocked()
	}
	return nil
}

// Stats implements link.Transport. Bytes are those of the messages of the pipe.
// VoiceDuplicate counts messages of any kind that arrived again, and Malformed
// those that make no sense or aren't by the peer; LaneResets stays 0.
func (t *Transport) Stats(id identity.PeerID) link.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pairs[id]; p != nil {
		s := p.stats
		s.VoiceUnacked, s.Queue = p.flight.unacked(), p.flight.queue()
		return s
	}
	return link.Stats{}
}

// Close implements link.Transport. It ends every goroutine of the transport, which
// can be opened again. It waits for calls of the Handler that are under way. It
// fails with ErrStuck if a call of Config.Send doesn't return, which it leaves
// behind.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.state != stateOpen {
		closed := t.closed
		t.mu.Unlock()
		if closed != nil {
			<-closed
		}
		return nil
	}
	t.state, t.closed = stateClosing, make(chan struct{})
	now := time.Now()
	for _, p := range t.pairs {
		p.leaveLocked(now)
	}
	var sending []*pair
	for _, left := range t.leaving {
		sending = append(sending, left...)
	}
	for _, b := range t.inboxes {
		b.cond.Broadcast()
	}
	clear(t.held)
	t.mu.Unlock()

	err := waitSent(sending)
	t.inboxing.Wait()

	t.mu.Lock()
	t.state, t.handler, t.free = stateClosed, nil, nil
	clear(t.leaving)
	closed := t.closed
	t.closed = nil
	t.mu.Unlock()
	close(closed)
	return err
}

// waitSent waits for the goroutines of left pairs.
func waitSent(pairs []*pair) error {
	limit := time.NewTimer(link.FlushTimeout + sendMargin)
	defer limit.Stop()
	for _, p := range pairs {
		select {
		case <-p.done:
		case <-limit.C:
			return ErrStuck
		}
	}
	return nil
}

// bufferLocked returns a buffer to open a message in.
func (t *Transport) bufferLocked() *buffer {
	last := len(t.free) - 1
	if last < 0 {
		return new(buffer)
	}
	b := t.free[last]
	t.free = t.free[:last]
	return b
}

func (t *Transport) recycleLocked(b *buffer) {
	if b == nil || len(t.free) >= maxFree {
		return
	}
	b.data, b.end = nil, false
	t.free = append(t.free, b)
}
