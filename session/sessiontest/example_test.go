package sessiontest_test

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Wire is what the game has already: messages between its players. Send copies
// b and never blocks. Reliable messages arrive in order; others arrive soon or
// not at all, and at most once. Listen sets who is told of messages; the bytes
// are valid during the call.
type Wire interface {
	Me() identity.PeerID
	Send(to identity.PeerID, b []byte, reliable bool)
	Listen(receive func(from identity.PeerID, b []byte))
}

// The kinds of message. Each is followed by the sender's epoch and by the
// receiver's as the sender knows it, 8 bytes each, and then by what is said.
const (
	hello   byte = iota // I am here; repeated every second, which is also a sign of life
	bye                 // I have left
	control             // a control message
	ack                 // a control message was delivered
	voice               // a voice message
)

const (
	header   = 1 + 8 + 8
	maxQueue = 64              // control messages that aren't acknowledged; a quarter of what waits for the Handler
	maxPeers = 64              // beyond, nobody is held who isn't announced
	patience = 3 * time.Second // without a sign of life
)

// Transport carries voice over a Wire. It implements link.Transport.
type Transport struct {
	wire  Wire
	tasks sync.WaitGroup

	mu      sync.Mutex // guards all below; never held while the Handler is called
	handler link.Handler
	stop    chan struct{}
	peers   map[identity.PeerID]*peer
	turns   map[identity.PeerID]chan struct{} // closed when the last goroutine for that peer has ended
}

// peer is somebody who is joined, or held.
type peer struct {
	id        identity.PeerID
	joined    bool
	mine, far uint64 // epochs; far is 0 before the first contact
	path      link.Path
	heard     time.Time // the last sign of life
	pending   [][]byte  // control that waits for a path
	unacked   int       // control that was sent and not acknowledged
	stats     link.Stats

	queue []call     // for the Handler
	busy  bool       // the Handler is being called
	gone  bool       // left: nothing more is delivered
	wake  *sync.Cond // queue, busy or gone have changed
}

// call is one call of the Handler to come.
type call struct {
	kind byte // control or voice; hello for a path; ack for a knock
	b    []byte
	at   time.Time
	path link.Path
}

// New returns a transport over a wire.
func New(wire Wire) *Transport {
	return &Transport{wire: wire, peers: make(map[identity.PeerID]*peer), turns: make(map[identity.PeerID]chan struct{})}
}

func (t *Transport) Self() identity.PeerID { return t.wire.Me() }

func (t *Transport) Open(h link.Handler) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.handler != nil {
		return link.ErrOpen
	}
	t.handler, t.stop = h, make(chan struct{})
	stop := t.stop
	t.tasks.Go(func() { t.keep(stop) })
	t.wire.Listen(t.receive)
	return nil
}

func (t *Transport) Join(id identity.PeerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.handler == nil:
		return link.ErrClosed
	case id == "":
		return link.ErrInvalidPeer
	case id == t.Self():
		return link.ErrSelf
	}
	p := t.peer(id)
	if p.joined {
		return nil
	}
	p.joined = true
	p.path = link.Path{Reason: "no answer yet", Since: time.Now()}
	if p.far != 0 { // it was held: adopt it
		t.up(p, p.far)
	}
	t.send(p, hello, nil)
	return nil
}

func (t *Transport) Leave(id identity.PeerID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil && p.joined {
		t.forget(p)
		for p.busy { // nothing is delivered after Leave returned
			p.wake.Wait()
		}
	}
	return nil
}

func (t *Transport) SendVoice(id identity.PeerID, b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.sendable(id, b)
	if err == nil && p.path.Kind == link.None {
		err = link.ErrNoPath
	}
	if p != nil && err != nil {
		p.stats.VoiceDropped++
	}
	if err != nil {
		return err
	}
	p.stats.VoiceSent++
	t.send(p, voice, b)
	return nil
}

func (t *Transport) SendControl(id identity.PeerID, b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.sendable(id, b)
	switch {
	case err != nil:
		return err
	case len(p.pending)+p.unacked >= maxQueue:
		return link.ErrCongested
	case p.path.Kind == link.None:
		p.pending = append(p.pending, append([]byte(nil), b...))
	default:
		t.sendControl(p, b)
	}
	return nil
}

func (t *Transport) Path(id identity.PeerID) link.Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil && p.joined {
		return p.path
	}
	return link.Path{}
}

func (t *Transport) Stats(id identity.PeerID) link.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil && p.joined {
		return p.stats
	}
	return link.Stats{}
}

func (t *Transport) Close() error {
	t.mu.Lock()
	if t.handler != nil {
		t.wire.Listen(nil)
		for _, p := range t.peers {
			t.forget(p)
		}
		t.handler = nil
		close(t.stop)
	}
	t.mu.Unlock()
	t.tasks.Wait() // the wire goes on sending what it was given: no need to flush
	return nil
}
