package pipe_test

import (
	"container/heap"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/pipe"
)

// testKey is a key that is made from n, always the same.
func testKey(tb testing.TB, n int) (crypto.PrivKey, identity.PeerID) {
	tb.Helper()
	var seed [ed25519.SeedSize]byte
	copy(seed[:], "pipe test")
	binary.BigEndian.PutUint64(seed[ed25519.SeedSize-8:], uint64(n))
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		tb.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return key, id
}

// weather is what a relay does to what it carries.
type weather struct {
	delay   time.Duration // one way
	loss    float64       // of what may be lost
	double  float64
	reorder float64 // held back by 30 ms
}

var errFull = errors.New("full")

// relay is a server that passes messages between transports, in an unreliable way
// and a reliable one. It reads clocks of the bubble it was made in.
type relay struct {
	weather weather
	// spy sees each message before it is sent on, and says what arrives in its
	// place; nil: the message as it is.
	spy  func(from, to identity.PeerID, b []byte) [][]byte
	wake chan struct{}
	done chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	draw   *rand.Rand
	events events
	order  int
	lanes  map[[2]identity.PeerID]time.Time // when the last reliable message arrives
	ends   map[identity.PeerID]*pipe.Transport
	cut    map[[2]identity.PeerID]bool
	sent   int
	bytes  int
}

type event struct {
	at       time.Time
	order    int
	from, to identity.PeerID
	b        []byte
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

func newRelay(tb testing.TB, w weather) *relay {
	tb.Helper()
	r := &relay{
		weather: w,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		draw:    rand.New(rand.NewPCG(1, 2)),
		lanes:   make(map[[2]identity.PeerID]time.Time),
		ends:    make(map[identity.PeerID]*pipe.Transport),
		cut:     make(map[[2]identity.PeerID]bool),
	}
	r.wg.Go(r.run)
	tb.Cleanup(func() { close(r.done); r.wg.Wait() })
	return r
}

// join makes a transport over the relay.
func (r *relay) join(tb testing.TB, n int, cfg pipe.Config) *pipe.Transport {
	tb.Helper()
	key, id := testKey(tb, n)
	if cfg.Insecure {
		cfg.Self = id
	} else {
		cfg.Key = key
	}
	cfg.Send = func(to identity.PeerID, b []byte, reliable bool) error { return r.send(id, to, b, reliable) }
	t, err := pipe.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	r.mu.Lock()
	r.ends[id] = t
	r.mu.Unlock()
	return t
}

func (r *relay) send(from, to identity.PeerID, b []byte, reliable bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	r.bytes += len(b)
	messages := [][]byte{slices.Clone(b)}
	if r.spy != nil {
		if in := r.spy(from, to, messages[0]); in != nil {
			messages = in
		}
	}
	for _, m := range messages {
		r.carry(from, to, m, reliable)
	}
	return nil
}

func (r *relay) carry(from, to identity.PeerID, b []byte, reliable bool) {
	way := [2]identity.PeerID{from, to}
	at := time.Now().Add(r.weather.delay)
	if reliable {
		if r.draw.Float64() < r.weather.loss {
			at = at.Add(2*r.weather.delay + 25*time.Millisecond) // sent again
		}
		if last := r.lanes[way]; at.Before(last) {
			at = last
		}
		r.lanes[way] = at
		r.add(event{at: at, from: from, to: to, b: b})
		return
	}
	if r.draw.Float64() < r.weather.loss {
		return
	}
	if r.draw.Float64() < r.weather.reorder {
		at = at.Add(30 * time.Millisecond)
	}
	r.add(event{at: at, from: from, to: to, b: b})
	if r.draw.Float64() < r.weather.double {
		r.add(event{at: at.Add(3 * time.Millisecond), from: from, to: to, b: b})
	}
}

func (r *relay) add(e event) {
	r.order++
	e.order = r.order
	heap.Push(&r.events, e)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *relay) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		wait := time.Hour
		if len(r.events) > 0 {
			wait = time.Until(r.events[0].at)
		}
		if wait <= 0 {
			e := heap.Pop(&r.events).(event)
			end, cut := r.ends[e.to], r.cut[[2]identity.PeerID{e.from, e.to}]
			r.mu.Unlock()
			if end != nil && !cut {
				_ = end.Receive(e.from, e.b) // what it drops is counted there
			}
			continue
		}
		r.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-r.wake:
		case <-r.done:
			return
		}
	}
}

// setCut breaks or mends the way between two peers.
func (r *relay) setCut(a, b identity.PeerID, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut[[2]identity.PeerID{a, b}], r.cut[[2]identity.PeerID{b, a}] = cut, cut
}

// ear is a Handler that writes down what it is told.
type ear struct {
	mu      sync.Mutex
	voice   []string
	control []string
	paths   []link.Path
	knocks  int
	hook    func()
}

func (e *ear) note(f func()) {
	e.mu.Lock()
	f()
	hook := e.hook
	e.mu.Unlock()
	if hook != nil {
		hook()
	}
}

func (e *ear) Voice(_ identity.PeerID, b []byte, _ time.Time) {
	e.note(func() { e.voice = append(e.voice, string(b)) })
}

func (e *ear) Control(_ identity.PeerID, b []byte) {
	e.note(func() { e.control = append(e.control, string(b)) })
}

func (e *ear) PathChanged(_ identity.PeerID, path link.Path) {
	e.note(func() { e.paths = append(e.paths, path) })
}

func (e *ear) Knock(identity.PeerID) { e.note(func() { e.knocks++ }) }

// see returns what was told so far.
func (e *ear) see() (voice, control []string, paths []link.Path, knocks int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.voice), slices.Clone(e.control), slices.Clone(e.paths), e.knocks
}

// meet opens two transports and has them join each other; it returns when both have
// a path.
func meet(tb testing.TB, a, b *pipe.Transport) (x, y *ear) {
	tb.Helper()
	x, y = new(ear), new(ear)
	open(tb, a, x)
	open(tb, b, y)
	join(tb, a, b.Self())
	join(tb, b, a.Self())
	await(tb, "a path", func() bool {
		return a.Path(b.Self()).Kind != link.None && b.Path(a.Self()).Kind != link.None
	})
	return x, y
}

func open(tb testing.TB, t *pipe.Transport, h link.Handler) {
	tb.Helper()
	if err := t.Open(h); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
}

func join(tb testing.TB, t *pipe.Transport, id identity.PeerID) {
	tb.Helper()
	if err := t.Join(id); err != nil {
		tb.Fatal(err)
	}
}

// await waits in virtual time.
func await(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 20 s", what)
		}
	}
}
