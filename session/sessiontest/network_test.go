package sessiontest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// log is a Handler that writes down what it is told.
type log struct {
	mu     sync.Mutex
	voice  []string
	ctrl   []string
	paths  []link.Path
	knocks []identity.PeerID
	at     []time.Time
}

func (l *log) Voice(_ identity.PeerID, b []byte, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.voice, l.at = append(l.voice, string(b)), append(l.at, at)
}

func (l *log) Control(_ identity.PeerID, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctrl = append(l.ctrl, string(b))
}

func (l *log) PathChanged(_ identity.PeerID, p link.Path) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = append(l.paths, p)
}

func (l *log) Knock(p identity.PeerID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.knocks = append(l.knocks, p)
}

func (l *log) voices() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.voice)
}

func (l *log) controls() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ctrl)
}

func (l *log) arrivals() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.at)
}

func (l *log) knocked() []identity.PeerID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.knocks)
}

func (l *log) kinds() []link.Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []link.Kind
	for _, p := range l.paths {
		kinds = append(kinds, p.Kind)
	}
	return kinds
}

// two opens a network of two peers.
func two(t *testing.T, cfg Config) (n *Network, a, b *Transport, la, lb *log) {
	t.Helper()
	n = NewNetwork(cfg)
	a, b, la, lb = n.Transport(PeerID(1)), n.Transport(PeerID(2)), &log{}, &log{}
	for _, x := range []struct {
		t *Transport
		l *log
	}{{a, la}, {b, lb}} {
		if err := x.t.Open(x.l); err != nil {
			t.Fatal(err)
		}
	}
	return n, a, b, la, lb
}

// joined is two, joined and with a path.
func joined(t *testing.T, cfg Config) (n *Network, a, b *Transport, la, lb *log) {
	t.Helper()
	n, a, b, la, lb = two(t, cfg)
	check(t, a.Join(b.Self()))
	check(t, b.Join(a.Self()))
	time.Sleep(10*cfg.Link.Delay + time.Millisecond)
	if a.Path(b.Self()).Kind == link.None || b.Path(a.Self()).Kind == link.None {
		t.Fatal("no path after both joined")
	}
	return n, a, b, la, lb
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNetworkKeepsItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, lb := joined(t, Config{Link: LinkConfig{Delay: 40 * time.Millisecond}})
		defer n.Close()
		sent := time.Now()
		check(t, a.SendVoice(b.Self(), []byte("hello")))
		time.Sleep(time.Second)
		if got := lb.voices(); !slices.Equal(got, []string{"hello"}) || lb.arrivals()[0].Sub(sent) != 40*time.Millisecond {
			t.Fatalf("voice %q at %v, want hello after 40ms", got, lb.arrivals())
		}
		if rtt := a.Path(b.Self()).RTT; rtt != 80*time.Millisecond {
			t.Errorf("RTT %v, want 80ms", rtt)
		}
	})
}

func TestNetworkLosesTheSameVoiceForTheSameSeed(t *testing.T) {
	run := func(seed uint64, controlToo bool) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			cfg := Config{Seed: seed, Link: LinkConfig{
				Delay: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1, Burst: 3, Reorder: 0.05, Duplicate: 0.05,
			}}
			n, a, b, _, lb := joined(t, cfg)
			defer n.Close()
			for i := range 500 {
				check(t, a.SendVoice(b.Self(), fmt.Appendf(nil, "%03d", i)))
				if controlToo && i%10 == 0 {
					check(t, a.SendControl(b.Self(), []byte("x")))
				}
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(time.Second)
			got = lb.voices()
			if dup, tr := b.Stats(a.Self()).VoiceDuplicate, n.Traffic(a.Self(), b.Self()); dup == 0 || dup != tr.Duplicated || tr.Reordered == 0 || tr.Sent != 500 || tr.Lost+uint64(len(got)) != 500 {
				t.Errorf("duplicates dropped %d, delivered %d, traffic %+v", dup, len(got), tr)
			}
		})
		return got
	}
	first := run(1, false)
	if len(first) < 400 || len(first) > 490 {
		t.Fatalf("%d of 500 arrived at 10 %% loss", len(first))
	}
	if slices.IsSorted(first) {
		t.Error("nothing was reordered")
	}
	if again := run(1, false); !slices.Equal(first, again) {
		t.Error("the same seed lost other messages")
	}
	if with := run(1, true); !slices.Equal(first, with) {
		t.Error("control changed which voice was lost")
	}
	if other := run(2, false); slices.Equal(first, other) {
		t.Error("another seed lost the same messages")
	}
}

func TestCutPathIsLostAndComesBackInTheSameEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, la, lb := joined(t, Config{Link: LinkConfig{Delay: 30 * time.Millisecond}})
		defer n.Close()
		epoch := a.Path(b.Self()).Epoch
		n.Cut(a.Self(), b.Self())
		check(t, a.SendControl(b.Self(), []byte("in the cut")))
		time.Sleep(UnreachableAfter - time.Millisecond)
		if a.Path(b.Self()).Kind == link.None {
			t.Error("path lost too early")
		}
		time.Sleep(2 * time.Millisecond)
		path := a.Path(b.Self())
		if path.Kind != link.None || path.Reason == "" || path.Epoch != epoch {
			t.Errorf("path after the cut %+v, want none with a reason in the same epoch", path)
		}
		check(t, a.SendControl(b.Self(), []byte("without a path")))
		n.Restore(a.Self(), b.Self())
		time.Sleep(100 * time.Millisecond)
		want := []link.Kind{link.LAN, link.None, link.LAN}
		if !slices.Equal(la.kinds(), want) || !slices.Equal(lb.kinds(), want) {
			t.Errorf("paths told %v and %v, want %v", la.kinds(), lb.kinds(), want)
		}
		if got := a.Path(b.Self()).Epoch; got != epoch {
			t.Errorf("epoch %x after the cut, %x before", got, epoch)
		}
		if got := lb.controls(); !slices.Equal(got, []string{"in the cut", "without a path"}) {
			t.Errorf("control %q", got)
		}
	})
}
