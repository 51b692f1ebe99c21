package pipe

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// counter is a Handler that counts, and waits in each call while it is blocked.
type counter struct {
	mu                             sync.Mutex
	voices, controls, paths, knock int
	block                          chan struct{}
}

func (c *counter) count(n *int) {
	c.mu.Lock()
	*n++
	block := c.block
	c.mu.Unlock()
	if block != nil {
		<-block
	}
}

func (c *counter) Voice(identity.PeerID, []byte, time.Time) { c.count(&c.voices) }
func (c *counter) Control(identity.PeerID, []byte)          { c.count(&c.controls) }
func (c *counter) PathChanged(identity.PeerID, link.Path)   { c.count(&c.paths) }
func (c *counter) Knock(identity.PeerID)                    { c.count(&c.knock) }
func (c *counter) see() (voices, controls, paths, knocks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.voices, c.controls, c.paths, c.knock
}

func newKey(tb testing.TB) (crypto.PrivKey, identity.PeerID) {
	tb.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return key, id
}

// wired makes a transport that the others of the map can be reached by directly.
func wired(tb testing.TB, ends map[identity.PeerID]*Transport, cfg Config) *Transport {
	tb.Helper()
	key, id := newKey(tb)
	if cfg.Insecure {
		cfg.Self = id
	} else {
		cfg.Key = key
	}
	if cfg.Send == nil {
		cfg.Send = func(to identity.PeerID, b []byte, _ bool) error {
			if end := ends[to]; end != nil {
				_ = end.Receive(id, b)
			}
			return nil
		}
	}
	t, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ends[id] = t
	return t
}

// met makes two transports that have met; a's ID is the smaller one if initiator.
func met(tb testing.TB, cfg Config, initiator bool) (a, b *Transport, x, y *counter) {
	tb.Helper()
	ends := make(map[identity.PeerID]*Transport)
	a, b = wired(tb, ends, cfg), wired(tb, ends, cfg)
	if a.Self() < b.Self() != initiator {
		a, b = b, a
	}
	x, y = new(counter), new(counter)
	for t, h := range map[*Transport]*counter{a: x, b: y} {
		if err := t.Open(h); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = t.Close() })
	}
	if err := errors.Join(a.Join(b.Self()), b.Join(a.Self())); err != nil {
		tb.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); a.Path(b.Self()).Kind == link.None || b.Path(a.Self()).Kind == link.None; {
		if time.Now().After(deadline) {
			tb.Fatal("they don't meet")
		}
		time.Sleep(time.Millisecond)
	}
	return a, b, x, y
}

// forge seals what a peer's code never would, with its keys.
func (t *Transport) forge(to identity.PeerID, plain []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pairs[to]
	n := p.flight.send(time.Now(), false)
	header := append(make([]byte, 0, dataHeader+len(plain)+tagSize), t.own.mode()|kindData)
	header = binary.BigEndian.AppendUint32(header, p.current.id)
	header = binary.BigEndian.AppendUint32(header, uint32(n))
	return p.current.seal(header, n, plain)
}

// waiting is how much a transport holds.
func (t *Transport) waiting() (queued, heldPeers, inboxes, free int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.inboxes {
		queued = max(queued, len(b.queue))
	}
	return queued, len(t.held), len(t.inboxes), len(t.free)
}

const mostQueued = maxVoiceWaiting + maxControl + maxPathsWaiting

// signal is a Handler that says when it hears voice.
type signal struct{ heard chan struct{} }

func (s signal) Voice(identity.PeerID, []byte, time.Time) { s.heard <- struct{}{} }
func (signal) Control(identity.PeerID, []byte)            {}
func (signal) PathChanged(identity.PeerID, link.Path)     {}
func (signal) Knock(identity.PeerID)                      {}
