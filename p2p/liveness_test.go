package p2p

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// twoConnections connects ends 0 and 1 twice, as a simultaneous dial does, and
// joins them.
func twoConnections(t *testing.T, net *p2ptest.Network, a, b *end) {
	t.Helper()
	var dialing sync.WaitGroup
	dialing.Go(func() { connect(t, net, 0, 1) })
	connect(t, net, 1, 0)
	dialing.Wait()
	if n := len(net.Host(0).Network().ConnsToPeer(b.id)); n != 2 {
		t.Fatalf("%d connections, want 2", n)
	}
	a.join(b)
	b.join(a)
	waitFor(t, time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
}

// Whether the spare one was last heard a moment ago or long before.
func TestSpareConnectionTakesOverWithoutAGap(t *testing.T) {
	for _, after := range []time.Duration{1, 3, 5, 8, 12, 20} {
		t.Run(fmt.Sprint(after, "s"), func(t *testing.T) {
			inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
				a, b := e[0], e[1]
				twoConnections(t, net, a, b)
				defer a.talkBeside(b, int(after+4)*50, 20*time.Millisecond)()
				time.Sleep(after*time.Second + 500*time.Millisecond)
				p := a.pair(b.id)
				p.mu.Lock()
				used := p.best.conn
				p.mu.Unlock()
				at := time.Now()
				_ = used.Close()
				time.Sleep(2 * time.Second)
				for _, x := range []struct{ e, o *end }{{a, b}, {b, a}} {
					paths, when := x.e.changes(x.o.id)
					for i, path := range paths {
						if path.Kind == link.None && !when[i].Before(at) {
							t.Errorf("told of no path %v after the other connection was closed: %s", when[i].Sub(at), path.Reason)
						}
					}
				}
				if gap := b.longestGap(a); gap > 250*time.Millisecond {
					t.Errorf("nothing arrived for %v", gap)
				}
			})
		})
	}
}

// longestGap is the longest time between two packets that arrived.
func (e *end) longestGap(o *end) (gap time.Duration) {
	all := e.voices(o.id)
	for i := 1; i < len(all); i++ {
		gap = max(gap, all[i].at.Sub(all[i-1].at))
	}
	return gap
}

// What we send is lost, what the peer sends arrives: neither side may take that
// for a path.
func TestAHoleInOneDirectionIsNoticedOnBothSides(t *testing.T) {
	for i, talker := range []string{"the one who isn't heard", "the other"} {
		t.Run(talker+" talks", func(t *testing.T) {
			inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
				a, b := e[0], e[1]
				joined(t, net, a, b)
				defer e[i].talkBeside(e[1-i], 10*50, 20*time.Millisecond)()
				time.Sleep(2 * time.Second)
				net.SetLoss(0, 1)
				time.Sleep(5 * time.Second)
				if a.hasPath(b) || b.hasPath(a) {
					t.Errorf("5 s later one has %v, the other %v", a.Path(b.id), b.Path(a.id))
				}
				net.SetLoss(0, 0)
				waitFor(t, 2*time.Second, "the path to come back", func() bool { return a.hasPath(b) && b.hasPath(a) })
			})
		})
	}
}

// With two connections a peer that vanishes is noticed no later than with one.
func TestAPeerBehindTwoConnectionsVanishes(t *testing.T) {
	for i := range 8 {
		inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
			a, b := e[0], e[1]
			twoConnections(t, net, a, b)
			time.Sleep(5*time.Second + time.Duration(i)*450*time.Millisecond)
			net.Cut(0)
			waitFor(t, 3*time.Second, "both to notice", func() bool { return !a.hasPath(b) && !b.hasPath(a) })
		})
	}
}

// Two connections, a short way: what people in one house have.
func TestASpareConnectionCostsLittle(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		twoConnections(t, net, a, b)
		time.Sleep(20 * time.Second)
		before := net.Bytes(0)
		const span = 2 * time.Minute
		time.Sleep(span)
		after := net.Bytes(0)
		sent := float64(8*(after.IPBytesSent()-before.IPBytesSent())) / span.Seconds()
		received := float64(8*(after.IPBytesReceived()-before.IPBytesReceived())) / span.Seconds()
		t.Logf("idle: %.0f b/s sent, %.0f b/s received", sent, received)
		if max(sent, received) > 1000 {
			t.Errorf("idle: %.0f b/s sent, %.0f b/s received, want at most 1000", sent, received)
		}
	})
}

// A queue that delays all answers by more than a second is no reason to change between
// two connections that both wait in it, or to make more of them, which would wait there
// too.
func TestALongQueueIsNoReasonForAnotherConnection(t *testing.T) {
	var extra atomic.Int64
	cfg := p2ptest.Config{BitsPerSecond: 1e10, Fate: func(_, _ int, _ time.Duration, _ int) (time.Duration, bool) {
		return 30*time.Millisecond + time.Duration(extra.Load()), true
	}}
	inBubble(t, cfg, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		twoConnections(t, net, a, b)
		defer a.talkBeside(b, 12*50, 20*time.Millisecond)()
		defer b.talkBeside(a, 12*50, 20*time.Millisecond)()
		time.Sleep(3 * time.Second)
		before := [2]link.Stats{a.Stats(b.id), b.Stats(a.id)}
		for range 60 { // it grows by 0.6 s in 3 s, each way
			extra.Add(int64(10 * time.Millisecond))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		for i, s := range []link.Stats{a.Stats(b.id), b.Stats(a.id)} {
			if n := s.PathChanges - before[i].PathChanges; n > 0 {
				t.Errorf("end %d changed its path %d times", i, n)
			}
		}
		for i, p := range []*pair{a.pair(b.id), b.pair(a.id)} {
			p.mu.Lock()
			if n := len(p.paths); n != 2 {
				t.Errorf("end %d has %d paths, want 2", i, n)
			}
			p.mu.Unlock()
		}
	})
}

// An answer is awaited since the first question that has none, also where some time
// passed after the one before, which has one.
func TestAnAnswerIsAwaitedSinceItsQuestion(t *testing.T) {
	var l liveness
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	asked := []int{0, 20, 40, 1000, 1020, 2500}
	for _, ms := range asked {
		l.question(at(ms))
	}
	const now = 3000
	for _, c := range []struct{ answered, since int }{{0, 0}, {20, 20}, {40, 1000}, {20, 1000}, {1000, 1000}, {1020, 2500}, {2500, now}} {
		l.answer(at(c.answered))
		if got := l.overdue(at(now)); got != at(now).Sub(at(c.since)) {
			t.Errorf("after the answer to what was asked at %d ms another is awaited for %v, want since %d ms", c.answered, got, c.since)
		}
	}
}

// A path that doesn't answer is used where there is no other, and left for any that does.
func TestAPathInDoubtIsBetterThanNone(t *testing.T) {
	now := time.Now()
	doubtful := &path{cur: &control{}, class: connClass{kind: link.Direct}}
	doubtful.alive.question(now.Add(-3 * doubtUnknown / 2))
	answers := &path{cur: &control{}, class: connClass{kind: link.Relayed}}
	p := &pair{paths: []*path{doubtful}}
	if got := p.chooseLocked(now); got != doubtful {
		t.Error("the only path isn't used since its answer is late")
	}
	p.paths = append(p.paths, answers)
	if got := p.chooseLocked(now); got != answers {
		t.Error("of two the one that answers isn't used")
	}
	p.best = doubtful
	if got := p.chooseLocked(now); got != doubtful {
		t.Error("a path in doubt is left for one that wasn't asked since")
	}
	answers.alive.question(now.Add(-time.Second))
	answers.alive.answer(now.Add(-time.Second))
	if got := p.chooseLocked(now); got != answers {
		t.Error("a path in doubt isn't left for one that has answered since")
	}
}

// In a long queue answers come late. A path isn't lost for that while something arrives
// on it: the handshake of another one would wait in the same queue, and make it longer.
func TestALateAnswerInAQueueIsNoLoss(t *testing.T) {
	for name, c := range map[string]struct {
		rtt    time.Duration // as measured; 0 is not yet
		heard  time.Duration // ago
		lost   time.Duration // without an answer
		notYet time.Duration
	}{
		"silent":                 {0, hopeless, lostAfter, lostAfter - 1},
		"silent, long way":       {time.Second, hopeless, lostAfter, lostAfter - 1},
		"heard, of unknown time": {0, 100 * time.Millisecond, lostThough, lostThough - 1},
		"heard, quick":           {40 * time.Millisecond, 100 * time.Millisecond, lostAfter + 80*time.Millisecond, lostAfter},
		"heard, slow":            {800 * time.Millisecond, 100 * time.Millisecond, lostThough, lostAfter + 900*time.Millisecond},
	} {
		began := time.Now()
		pt := &path{}
		if c.rtt > 0 {
			pt.rtt.add(c.rtt, began)
		}
		pt.alive.question(began)
		for wait, want := range map[time.Duration]bool{c.notYet: false, c.lost: true} {
			now := began.Add(wait)
			pt.alive.heard = now.Add(-c.heard)
			if got := pt.fails(now); got != want {
				t.Errorf("%s: after %v without an answer it fails: %t", name, wait, got)
			}
		}
	}
}
