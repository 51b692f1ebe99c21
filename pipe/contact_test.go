package pipe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// post is a way between two transports that a test watches and breaks.
type post struct {
	mu   sync.Mutex
	lose func(from identity.PeerID, b []byte) bool
	wait func(from identity.PeerID) // called within Send
	sent map[byte]int               // by kind
	lost int
}

// posted makes two open transports with a post between them; a is the initiator.
func posted(t *testing.T, cfg Config) (a, b *Transport, x, y *counter, p *post) {
	t.Helper()
	p = &post{sent: make(map[byte]int)}
	ends := make(map[identity.PeerID]*Transport)
	a, b = wired(t, ends, cfg), wired(t, ends, cfg)
	if a.Self() > b.Self() {
		a, b = b, a
	}
	for from, to := range map[*Transport]*Transport{a: b, b: a} {
		from.cfg.Send = func(_ identity.PeerID, m []byte, _ bool) error {
			p.mu.Lock()
			p.sent[m[0]&0x0f]++
			lose := p.lose != nil && p.lose(from.Self(), m)
			if lose {
				p.lost++
			}
			wait := p.wait
			p.mu.Unlock()
			if wait != nil {
				wait(from.Self())
			}
			if !lose {
				_ = to.Receive(from.Self(), m)
			}
			return nil
		}
	}
	x, y = new(counter), new(counter)
	for end, h := range map[*Transport]*counter{a: x, b: y} {
		if err := end.Open(h); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = end.Close() })
	}
	return a, b, x, y, p
}

func (p *post) setLose(lose func(from identity.PeerID, b []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = lose
}

func (p *post) setWait(wait func(from identity.PeerID)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = wait
}

func (p *post) count(kind byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[kind]
}

func (p *post) losses() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func joinBoth(t *testing.T, a, b *Transport) {
	t.Helper()
	if err := errors.Join(a.Join(b.Self()), b.Join(a.Self())); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

func up(a, b *Transport) bool {
	return a.Path(b.Self()).Kind != link.None && b.Path(a.Self()).Kind != link.None
}

// Each message of the handshake may get lost: it is sent again.
func TestHandshakeMessagesThatGetLost(t *testing.T) {
	for kind := kindHello; kind < kindData; kind++ {
		for _, laterB := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				a, b, _, _, post := posted(t, Config{Ways: UnreliableOnly})
				lost := 0
				post.setLose(func(_ identity.PeerID, m []byte) bool {
					if m[0]&0x0f != kind || lost == 2 {
						return false
					}
					lost++
					return true
				})
				first, second := a, b
				if !laterB {
					first, second = b, a
				}
				if err := first.Join(second.Self()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				if err := second.Join(first.Self()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				if !up(a, b) {
					t.Errorf("kind %d lost twice, later %v: no path", kind, laterB)
				}
			})
		}
	}
}

// The same initiation again costs no other handshake, and neither does one whose keys
// are in use, nor a hello of an epoch that is known.
func TestHandshakesThatAreNotBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, post := posted(t, Config{})
		var initiation, response []byte
		post.setLose(func(_ identity.PeerID, m []byte) bool {
			switch m[0] & 0x0f {
			case kindInitiation:
				initiation = bytes.Clone(m)
			case kindResponse:
				if response != nil && !bytes.Equal(response, m) {
					t.Error("the same initiation has another response")
				}
				response = bytes.Clone(m)
				return true
			}
			return false
		})
		joinBoth(t, a, b)
		for range 100 {
			if err := b.Receive(a.Self(), initiation); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		post.setLose(nil)
		if err := a.Receive(b.Self(), response); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !up(a, b) {
			t.Fatal("no path")
		}
		if err := b.Receive(a.Self(), initiation); !errors.Is(err, ErrLate) {
			t.Errorf("an initiation whose keys are in use: %v", err)
		}
		before := post.count(kindInitiation)
		hello := binary.BigEndian.AppendUint64([]byte{sealedMode | kindHello}, a.Path(b.Self()).Epoch)
		for range 10 {
			if err := a.Receive(b.Self(), hello); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := post.count(kindInitiation); n != before {
			t.Errorf("%d initiations after late hellos", n-before)
		}
		hello[8]++ // the peer has joined anew, says who forged this
		for range 10 {
			_ = a.Receive(b.Self(), hello)
			time.Sleep(time.Second)
		}
		if n := post.count(kindInitiation); n == before || n > before+20 {
			t.Errorf("%d initiations after 10 hellos of another epoch", n-before)
		}
		if s := a.Stats(b.Self()); s.PathChanges != 1 {
			t.Errorf("%d changes of path", s.PathChanges)
		}
	})
}

// Confirmations get lost while keys are renewed: it is tried again in time.
func TestRenewalThatFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, post := posted(t, Config{})
		joinBoth(t, a, b)
		current := func() uint32 {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.pairs[b.Self()].current.id
		}
		before := current()
		post.setLose(func(_ identity.PeerID, m []byte) bool { return m[0]&0x0f == kindConfirmation })
		time.Sleep(2*time.Minute + 30*time.Second)
		if lost := post.losses(); current() != before || lost == 0 {
			t.Fatalf("the keys are others, and %d confirmations were lost", lost)
		}
		post.setLose(nil)
		time.Sleep(30 * time.Second)
		if current() == before || !up(a, b) {
			t.Error("the keys are the same a minute later")
		}
	})
}

func TestReasonsAreWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, _ := posted(t, Config{})
		if err := a.Join(b.Self()); err != nil {
			t.Fatal(err)
		}
		if p := a.Path(b.Self()); !strings.Contains(p.Reason, "no answer") {
			t.Errorf("the path is %+v", p)
		}
	})
}

// Each handshake message comes changed at first, at one byte after another, and then as
// it is: the right one is taken all the same, at once.
func TestHandshakeMessagesThatWereChanged(t *testing.T) {
	for kind := kindInitiation; kind < kindData; kind++ {
		for _, part := range []int{0, 40, 90, 150} {
			synctest.Test(t, func(t *testing.T) {
				a, b, _, _, post := posted(t, Config{})
				done := false
				post.setLose(func(from identity.PeerID, m []byte) bool {
					at := keyHeader + part
					if done || m[0]&0x0f != kind || at >= len(m) {
						return false
					}
					done = true
					to := a
					if from == a.Self() {
						to = b
					}
					changed := bytes.Clone(m)
					changed[at] ^= 1
					_ = to.Receive(from, changed)
					return false
				})
				joinBoth(t, a, b)
				if !up(a, b) {
					t.Errorf("kind %d changed at %d: no path", kind, part)
				}
				time.Sleep(10 * time.Second)
				for _, s := range []link.Stats{a.Stats(b.Self()), b.Stats(a.Self())} {
					if s.PathChanges != 1 {
						t.Errorf("kind %d changed at %d: %d changes of path", kind, part, s.PathChanges)
					}
				}
			})
		}
	}
}

// A confirmation that was held back for long is of no use: who sent it may have left.
func TestAConfirmationThatWasHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, post := posted(t, Config{})
		var held []byte
		post.setLose(func(_ identity.PeerID, m []byte) bool {
			if m[0]&0x0f == kindConfirmation {
				held = bytes.Clone(m)
			}
			return m[0]&0x0f >= kindConfirmation
		})
		joinBoth(t, a, b)
		if err := a.Leave(b.Self()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		post.setLose(nil) // and held isn't written any more
		if err := b.Receive(a.Self(), held); !errors.Is(err, ErrLate) {
			t.Errorf("it is %v", err)
		}
		if p := b.Path(a.Self()); p.Kind != link.None || p.Epoch != 0 {
			t.Errorf("the path is %+v", p)
		}
	})
}
