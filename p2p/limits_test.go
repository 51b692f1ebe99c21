package p2p

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// Whoever held out a stream, and takes it back the moment it is adopted, hurts
// nobody.
func TestStreamThatDiesWhileItIsAdopted(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, b *end, x stranger) {
		p := newPair(a.Transport, x.h.ID(), a.recorder)
		c := newControl(p, net.Host(0).Network().ConnsToPeer(x.h.ID())[0], false)
		c.dead = true
		close(c.ready)
		p.accept(c, preamble{kind: kindControl, from: 7}) // panicked
		if p.paths != nil || p.far != 0 {
			t.Errorf("a dead stream made %d paths and epoch %d", len(p.paths), p.far)
		}
		p.cancel()
	})
}

// Eight strangers, as many as fit one IPv4 address, open all the streams they
// may and never end a preamble.
func TestStrangersDoNotCrowdOutWhoIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const strangers = 8
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 2 + strangers})
		a, b := newEnd(t, net, 0, Config{MaxEarly: 32}), newEnd(t, net, 1, Config{})
		for i := range strangers {
			connect(t, net, 2+i, 0)
			for range 64 {
				s, err := net.Host(2+i).NewStream(context.Background(), a.id, ProtocolID)
				if err == nil {
					_, err = s.Write([]byte{wireVersion})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		if st := a.node.Stats(); st.TooMany != strangers*64-32 {
			t.Errorf("%d streams of strangers were refused, want %d", st.TooMany, strangers*64-32)
		}
		joined(t, net, a, b)
		const packets = 100
		b.talk(a, packets, 20*time.Millisecond)
		time.Sleep(time.Second)
		if n := len(a.voices(b.id)); n != packets {
			t.Errorf("%d packets of %d arrived beside the strangers", n, packets)
		}
		time.Sleep(10 * time.Second)
		if st := a.node.Stats(); st.Malformed != 32 {
			t.Errorf("%d streams without a preamble were given up, want 32", st.Malformed)
		}
	})
}

func TestLanesComeBackAfterARefusal(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		limit := func(n int) {
			b.node.mu.Lock()
			b.node.cfg.MaxEarlyPerPeer = n
			b.node.mu.Unlock()
		}
		limit(0)
		a.talk(b, 20, 20*time.Millisecond)
		if n := a.Path(b.id).Lanes; n != 1 {
			t.Fatalf("%d lanes while all are refused", n)
		}
		limit(64)
		a.talk(b, 50*90, 20*time.Millisecond)
		if n := a.Path(b.id).Lanes; n < 8 {
			t.Errorf("%d lanes a minute and a half later", n)
		}
	})
}

func TestManyControlMessagesKeepToTheProtocol(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		const messages = 3000
		for i := range messages {
			for a.SendControl(b.id, []byte{byte(i)}) != nil {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(3 * time.Second)
		got := b.controls(a.id)
		for i, m := range got {
			if m != string([]byte{byte(i)}) {
				t.Fatalf("message %d is %x", i, m)
			}
		}
		if paths, _ := a.changes(b.id); len(got) != messages || len(paths) != 1 || b.Stats(a.id).Malformed > 0 {
			t.Errorf("%d of %d messages arrived; %d changes of path, %d malformed", len(got), messages, len(paths), b.Stats(a.id).Malformed)
		}
	})
}

// A joined peer opens lanes of epochs that were never announced.
func TestLanesThatWaitForTheirEpochAreBounded(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, _ *end, x stranger) {
		_, _, to := x.announced(a)
		var ss []network.Stream
		for i := range 100 {
			ss = append(ss, x.open(a.id, appendPreamble(nil, preamble{kind: kindLane, lane: byte(i % maxLanes), from: 99, to: to})))
		}
		time.Sleep(time.Second)
		open := 0
		for _, c := range net.Host(0).Network().ConnsToPeer(x.h.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirInbound && s.Protocol() == ProtocolID {
					open++
				}
			}
		}
		if open > maxWaiting+1 {
			t.Errorf("%d of 100 lanes wait, want at most %d", open-1, maxWaiting)
		}
		codes := map[network.StreamErrorCode]int{}
		for _, s := range ss {
			codes[x.code(s, 3*time.Second)]++
		}
		if codes[codeTooMany] != 100-maxWaiting || codes[codeStale] != maxWaiting {
			t.Errorf("refused with %v", codes)
		}
	})
}

func TestNobodyJoinsAnewAThousandTimesASecond(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, _ *end, x stranger) {
		x.announced(a)
		for i := range 1000 {
			_ = x.open(a.id, appendPreamble(nil, preamble{kind: kindControl, from: uint64(1000 + i)}))
			time.Sleep(time.Millisecond)
		}
		if paths, _ := a.changes(x.h.ID()); len(paths) > 2*(joinBurst+2*joinRate) {
			t.Errorf("the handler was told of %d changes of path", len(paths))
		}
	})
}

// More packets within a round-trip time than are kept account of.
func TestFlightKeepsItsAccountsInABurst(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		for range 3 {
			for range 130 {
				for range 3 {
					_ = a.SendVoice(b.id, make([]byte, 20)) // most are too many, which is the point
				}
				time.Sleep(time.Microsecond)
			}
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		p := a.pair(b.id)
		p.mu.Lock()
		f := p.sending.flight
		p.mu.Unlock()
		if f.count != 0 || f.span != 0 || f.base != f.next {
			t.Errorf("all is acknowledged, and the flight holds %d packets, %v, numbers %d to %d", f.count, f.span, f.base, f.next)
		}
		if n := a.talk(b, 500, 20*time.Millisecond); n != 500 {
			t.Errorf("%d of 500 packets were accepted afterwards", n)
		}
	})
}

// slow is a Handler whose Voice takes its time, and that notices calls for one
// peer beside each other.
type slow struct {
	*recorder

	hold, inside chan struct{}

	mu       sync.Mutex
	in, most int
}

func (s *slow) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in++
	s.most = max(s.most, s.in)
}

func (s *slow) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in--
}

func (s *slow) Voice(peer.ID, []byte, time.Time) {
	s.enter()
	defer s.leave()
	s.inside <- struct{}{}
	<-s.hold
}

func (s *slow) Knock(peer.ID) {
	s.enter()
	defer s.leave()
}

func TestKnockWaitsForTheCallsOfTheLastStay(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 10 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		tr, err := a.node.Session("s")
		if err != nil {
			t.Fatal(err)
		}
		far, err := b.node.Session("s")
		if err != nil {
			t.Fatal(err)
		}
		h := &slow{recorder: newRecorder(), hold: make(chan struct{}), inside: make(chan struct{}, 1)}
		if err = tr.Open(h); err != nil {
			t.Fatal(err)
		}
		if err = far.Open(newRecorder()); err != nil {
			t.Fatal(err)
		}
		connect(t, net, 0, 1)
		_, _ = tr.Join(b.id), far.Join(a.id)
		waitFor(t, time.Second, "a path", func() bool { return far.Path(a.id).Kind != link.None && tr.Path(b.id).Kind != link.None })
		if err = far.SendVoice(a.id, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-h.inside
		var leaving sync.WaitGroup
		left := make(chan struct{}, 2)
		for range 2 {
			leaving.Go(func() {
				_ = tr.Leave(b.id)
				left <- struct{}{}
			})
			time.Sleep(10 * time.Millisecond)
		}
		_, _ = far.Leave(a.id), far.Join(a.id)
		time.Sleep(time.Second)
		h.mu.Lock()
		if h.most != 1 {
			t.Errorf("%d calls of the handler for one peer at once", h.most)
		}
		h.mu.Unlock()
		if len(left) > 0 {
			t.Errorf("%d calls of Leave returned while the handler was called", len(left))
		}
		close(h.hold)
		leaving.Wait()
	})
}

func TestWhyThereIsNoPathYetIsTold(t *testing.T) {
	inBubble(t, p2ptest.Config{}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		connect(t, net, 0, 1)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		a.join(b)
		time.Sleep(2 * time.Second)
		a.recorder.mu.Lock()
		defer a.recorder.mu.Unlock()
		if want := "refused: peer has no such session open"; !slices.Contains(a.reasons[b.id], want) {
			t.Errorf("told %q, want %q among it", a.reasons[b.id], want)
		}
	})
}

// On real sockets, where a lane may be opening at the moment of Leave.
func TestLeaveLeavesNoStreamBehind(t *testing.T) {
	ha, hb := p2ptest.Loopback(t, p2ptest.QUIC), p2ptest.Loopback(t, p2ptest.QUIC)
	a, b := newEndOn(t, ha, Config{NoDial: true}), newEndOn(t, hb, Config{NoDial: true})
	if err := ha.Connect(t.Context(), peer.AddrInfo{ID: hb.ID(), Addrs: hb.Addrs()}); err != nil {
		t.Fatal(err)
	}
	b.join(a)
	pb := b.pair(a.id)
	pb.mu.Lock()
	pb.joins = newBucket(1e6, 1e6) // a joins anew far too often
	pb.mu.Unlock()
	for range 2000 {
		a.join(b)
		for deadline := time.Now().Add(time.Second); !a.hasPath(b) && time.Now().Before(deadline); {
			time.Sleep(20 * time.Microsecond)
		}
		_ = a.SendVoice(b.id, make([]byte, 10)) // opens a lane
		for d, t0 := time.Duration(rand.IntN(100))*time.Microsecond, time.Now(); time.Since(t0) < d; {
			runtime.Gosched() // for less time than a sleep takes
		}
		if err := a.Leave(b.id); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		for _, c := range ha.Network().ConnsToPeer(hb.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirOutbound && s.Protocol() == ProtocolID {
					n++
				}
			}
		}
		return n
	}
	waitFor(t, 3*time.Second, "all streams to be gone", func() bool { return left() == 0 })
}
