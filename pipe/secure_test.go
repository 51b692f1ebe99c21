package pipe_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/pipe"
)

// wiretap is a relay that keeps what it carries.
type wiretap struct {
	mu  sync.Mutex
	all []event
}

func (w *wiretap) keep(from, to identity.PeerID, b []byte) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, event{from: from, to: to, b: bytes.Clone(b)})
	return nil
}

func (w *wiretap) see() []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

const secret = "what nobody else is to hear"

// converse has two transports say the secret to each other, as voice and control.
func converse(tb testing.TB, a, b *pipe.Transport, x, y *ear) {
	tb.Helper()
	for range 20 {
		for _, way := range [][2]*pipe.Transport{{a, b}, {b, a}} {
			if err := way[0].SendVoice(way[1].Self(), []byte(secret)); err != nil {
				tb.Fatal(err)
			}
			if err := way[0].SendControl(way[1].Self(), []byte(secret)); err != nil {
				tb.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, e := range []*ear{x, y} {
		await(tb, "voice and control", func() bool {
			voice, control, _, _ := e.see()
			return len(voice) >= 10 && len(control) >= 20
		})
	}
}

func TestTheRelayReadsNothing(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		t.Run(fmt.Sprintf("insecure=%v", insecure), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tap wiretap
				r := newRelay(t, weather{delay: 5 * time.Millisecond})
				r.spy = tap.keep
				cfg := pipe.Config{Insecure: insecure}
				a, b := r.join(t, 1, cfg), r.join(t, 2, cfg)
				x, y := meet(t, a, b)
				converse(t, a, b, x, y)
				read := 0
				for _, e := range tap.see() {
					if bytes.Contains(e.b, []byte(secret)) {
						read++
					}
				}
				path := a.Path(b.Self())
				if insecure {
					if read < 40 || path.Security != "" || !strings.Contains(path.Reason, "not encrypted") {
						t.Errorf("without encryption %d messages can be read, and the path is %+v", read, path)
					}
					return
				}
				if read != 0 || path.Security != "noise" || path.Reason != "" {
					t.Errorf("%d messages can be read, and the path is %+v", read, path)
				}
			})
		})
	}
}

// Everything that was ever said, said again: to whom it was for, to the one who said
// it, and as if it were by somebody else.
func TestTheRelayReplaysAndSwaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tap wiretap
		r := newRelay(t, weather{delay: 5 * time.Millisecond})
		r.spy = tap.keep
		a, b, c := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{}), r.join(t, 3, pipe.Config{})
		x, y := meet(t, a, b)
		z := new(ear)
		open(t, c, z)
		join(t, a, c.Self())
		join(t, b, c.Self())
		join(t, c, a.Self())
		join(t, c, b.Self())
		await(t, "paths", func() bool {
			return c.Path(a.Self()).Kind != link.None && c.Path(b.Self()).Kind != link.None
		})
		converse(t, a, b, x, y)
		time.Sleep(time.Second)

		before := [][]string{}
		for _, e := range []*ear{x, y, z} {
			voice, control, paths, _ := e.see()
			before = append(before, voice, control, []string{fmt.Sprint(len(paths))})
		}
		ends := []*pipe.Transport{a, b, c}
		refused := 0
		for _, e := range tap.see() {
			for _, to := range ends {
				for _, from := range ends {
					if err := to.Receive(from.Self(), e.b); err != nil {
						refused++
					}
				}
			}
		}
		time.Sleep(10 * time.Second)
		after := [][]string{}
		for _, e := range []*ear{x, y, z} {
			voice, control, paths, _ := e.see()
			after = append(after, voice, control, []string{fmt.Sprint(len(paths))})
		}
		for i := range before {
			if !slices.Equal(before[i], after[i]) {
				t.Errorf("%d: %d were told before, %d after", i, len(before[i]), len(after[i]))
			}
		}
		if all := 9 * len(tap.see()); refused < all/2 {
			t.Errorf("%d of %d messages were refused", refused, all)
		}
		if s := a.Stats(b.Self()); s.VoiceDuplicate == 0 || s.Malformed == 0 {
			t.Errorf("not counted: %+v", s)
		}
		converse(t, a, b, x, y) // and the two notice nothing
	})
}

// Mallory is the relay: it passes itself off as Ben, with a sound handshake of its
// own.
func TestTheRelayPassesItselfOffAsAPeer(t *testing.T) {
	for _, mallory := range []int{3, 4, 5, 6} { // some IDs are smaller than Anna's, some larger
		synctest.Test(t, func(t *testing.T) {
			r := newRelay(t, weather{delay: 5 * time.Millisecond})
			a := r.join(t, 1, pipe.Config{})
			_, ben := testKey(t, 2)
			key, _ := testKey(t, mallory)
			var m *pipe.Transport
			m, err := pipe.New(pipe.Config{Key: key, Send: func(_ identity.PeerID, b []byte, _ bool) error {
				return a.Receive(ben, b)
			}})
			if err != nil {
				t.Fatal(err)
			}
			r.spy = func(from, to identity.PeerID, b []byte) [][]byte {
				_ = m.Receive(from, b)
				return [][]byte{}
			}
			x, y := new(ear), new(ear)
			open(t, a, x)
			open(t, m, y)
			join(t, a, ben)
			join(t, m, a.Self())
			time.Sleep(30 * time.Second)
			voice, control, paths, _ := x.see()
			if p := a.Path(ben); p.Kind != link.None || len(voice)+len(control) > 0 {
				t.Errorf("Anna takes Mallory for Ben: %+v, %v", p, paths)
			}
		})
	}
}

// Two sessions of the same two people over one relay, which swaps them.
func TestTheRelaySwapsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{})
		a, b := r.join(t, 1, pipe.Config{Session: "match 1"}), r.join(t, 2, pipe.Config{Session: "match 2"})
		open(t, a, new(ear))
		open(t, b, new(ear))
		join(t, a, b.Self())
		join(t, b, a.Self())
		time.Sleep(30 * time.Second)
		if a.Path(b.Self()).Kind != link.None || b.Path(a.Self()).Kind != link.None {
			t.Error("match 1 talks to match 2")
		}
	})
}

// One bit of each message is turned, a different one each time: not a word of that
// arrives.
func TestTheRelayChangesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{delay: 5 * time.Millisecond})
		var mu sync.Mutex
		bit := 0
		r.spy = func(_, _ identity.PeerID, b []byte) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			bit += 7
			changed := bytes.Clone(b)
			changed[bit/8%len(b)] ^= 1 << (bit % 8)
			return [][]byte{changed, b}
		}
		a, b := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{})
		x, y := meet(t, a, b)
		converse(t, a, b, x, y)
		for _, e := range []*ear{x, y} {
			voice, control, paths, _ := e.see()
			for _, text := range append(voice, control...) {
				if text != secret {
					t.Errorf("%q arrived", text)
				}
			}
			if len(voice) != 20 || len(control) != 20 || len(paths) > 2 {
				t.Errorf("%d voice, %d control messages of 20, paths %v", len(voice), len(control), paths)
			}
		}
		if s := a.Stats(b.Self()); s.Malformed < 20 {
			t.Errorf("%d forgeries counted", s.Malformed)
		}
	})
}

// One side encrypts and the other doesn't: they don't talk, and both say why.
func TestOneSideEncrypts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{})
		a, b := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{Insecure: true})
		open(t, a, new(ear))
		open(t, b, new(ear))
		join(t, a, b.Self())
		join(t, b, a.Self())
		time.Sleep(5 * time.Second)
		for _, path := range []link.Path{a.Path(b.Self()), b.Path(a.Self())} {
			if path.Kind != link.None || !strings.Contains(path.Reason, "encrypt") {
				t.Errorf("the path is %+v", path)
			}
		}
	})
}

// Keys change every 2 minutes, and nobody hears it.
func TestKeysAreRenewed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weather weather
	}{
		{"clean", weather{delay: 20 * time.Millisecond}},
		{"lossy", weather{delay: 20 * time.Millisecond, loss: 0.1, double: 0.1, reorder: 0.1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := make(map[string]bool)
				var mu sync.Mutex
				r := newRelay(t, tt.weather)
				r.spy = func(_, _ identity.PeerID, b []byte) [][]byte {
					mu.Lock()
					defer mu.Unlock()
					if b[0]&0x0f == 5 {
						keys[string(b[1:5])] = true
					}
					return nil
				}
				cfg := pipe.Config{Ways: pipe.UnreliableOnly}
				a, b := r.join(t, 1, cfg), r.join(t, 2, cfg)
				x, y := meet(t, a, b)
				const frames = 10 * 60 * 50
				for range frames {
					_ = a.SendVoice(b.Self(), []byte("a"))
					_ = b.SendVoice(a.Self(), []byte("b"))
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				if n := len(keys); n < 5 || n > 7 {
					t.Errorf("%d keys in 10 minutes, want 5 or 6", n)
				}
				for i, e := range []*ear{x, y} {
					voice, _, paths, _ := e.see()
					least := frames // not one is lost by new keys
					if tt.weather.loss > 0 {
						least = int(frames * (1 - tt.weather.loss) * 0.995)
					}
					if len(voice) < least || len(paths) != 1 {
						t.Errorf("%d: %d of %d frames arrived, want %d; paths %v", i, len(voice), frames, least, paths)
					}
				}
			})
		})
	}
}

// A relay that lets no handshake through any more can't keep old keys in use.
func TestKeysThatCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, weather{})
		a, b := r.join(t, 1, pipe.Config{}), r.join(t, 2, pipe.Config{})
		x, _ := meet(t, a, b)
		var blocked sync.Map
		r.mu.Lock()
		r.spy = func(_, _ identity.PeerID, m []byte) [][]byte {
			if _, off := blocked.Load("off"); !off && m[0]&0x0f != 5 {
				return [][]byte{}
			}
			return nil
		}
		r.mu.Unlock()
		time.Sleep(5 * time.Minute)
		if p := a.Path(b.Self()); p.Kind == link.None {
			t.Fatalf("after 5 minutes the path is %+v", p)
		}
		awaitIn(t, "the keys' end", 2*time.Minute, func() bool { return a.Path(b.Self()).Kind == link.None })
		if err := a.SendVoice(b.Self(), []byte("x")); !errors.Is(err, link.ErrNoPath) {
			t.Errorf("SendVoice without keys is %v", err)
		}
		if _, _, paths, _ := x.see(); !strings.Contains(paths[len(paths)-1].Reason, "keys") {
			t.Errorf("the reason is %q", paths[len(paths)-1].Reason)
		}
		blocked.Store("off", true)
		await(t, "a path again", func() bool {
			return a.Path(b.Self()).Kind != link.None && b.Path(a.Self()).Kind != link.None
		})
	})
}

// awaitIn is await with another limit.
func awaitIn(tb testing.TB, what string, limit time.Duration, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(limit); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v", what, limit)
		}
	}
}
