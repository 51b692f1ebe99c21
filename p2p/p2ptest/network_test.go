package p2ptest

import (
	"math"
	"math/rand/v2"
	stdnet "net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

func TestLossHasTheShareAndBurstsThatWereAsked(t *testing.T) {
	for _, c := range []struct{ share, burst float64 }{{0, 1}, {0.05, 1}, {0.2, 1}, {0.1, 3}, {0.3, 5}, {1, 1}} {
		conn := newPacketConn(7)
		conn.setLoss(c.share, c.burst)
		const n = 200_000
		lost, bursts, before := 0, 0, false
		for range n {
			l := conn.lose()
			if l {
				lost++
				if !before {
					bursts++
				}
			}
			before = l
		}
		if got := float64(lost) / n; math.Abs(got-c.share) > 0.01 {
			t.Errorf("%+v: lost %v", c, got)
		}
		if c.share > 0 && c.share < 1 && c.burst > 1 {
			if got := float64(lost) / float64(bursts); math.Abs(got-c.burst) > 0.1*c.burst {
				t.Errorf("%+v: bursts of %v", c, got)
			}
		}
	}
}

func TestCutLosesEverythingAndRestoreEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := NewNetwork(t, Config{Delay: 30 * time.Millisecond})
		if err := net.Connect(0, 1); err != nil {
			t.Fatal(err)
		}
		rtt := func() time.Duration {
			r := <-ping.Ping(t.Context(), net.Host(0), net.Host(1).ID())
			if r.Error != nil {
				t.Fatal(r.Error)
			}
			return r.RTT
		}
		if got := rtt(); got < 60*time.Millisecond || got > 65*time.Millisecond {
			t.Errorf("round trip of %v, want 60 ms", got)
		}
		net.Cut(1)
		before := net.Bytes(1)
		time.AfterFunc(5*time.Second, func() { net.Restore(1) })
		if got := rtt(); got < 5*time.Second {
			t.Errorf("round trip of %v through a cut of 5 s", got)
		}
		after := net.Bytes(1)
		if after.PacketsReceived == before.PacketsReceived || after.IPBytesSent() <= before.IPBytesSent() {
			t.Errorf("counters %+v, then %+v", before, after)
		}
	})
}

func TestARestartedHostHasItsKeyAndAddressAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := NewNetwork(t, Config{})
		if err := net.Connect(0, 1); err != nil {
			t.Fatal(err)
		}
		old := net.Host(1)
		id, addr := old.ID(), old.Addrs()[0].String()
		h, err := net.Restart(1, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if h == old || h.ID() != id || h.Addrs()[0].String() != addr || net.Host(1) != h {
			t.Errorf("host %s at %v, was %s at %s", h.ID(), h.Addrs(), id, addr)
		}
		if n := len(h.Network().Conns()); n != 0 {
			t.Errorf("the new host has %d connections", n)
		}
		if n := len(net.Host(0).Network().ConnsToPeer(id)); n != 1 {
			t.Errorf("%d connections, want the old one: nobody was told", n)
		}
		if err := net.Disconnect(0, 1); err != nil {
			t.Fatal(err)
		}
		if err := net.Connect(0, 1); err != nil {
			t.Errorf("connecting to the new host: %v", err)
		}
	})
}

func TestFateDecidesOfEachPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lose atomic.Bool
		net := NewNetwork(t, Config{Fate: func(from, to int, at time.Duration, size int) (time.Duration, bool) {
			if from+to != 1 || size <= ipHeaders || at < 0 {
				t.Errorf("a packet of %d bytes from %d to %d at %v", size, from, to, at)
			}
			return time.Duration(10+30*from) * time.Millisecond, !lose.Load()
		}})
		if err := net.Connect(0, 1); err != nil {
			t.Fatal(err)
		}
		r := <-ping.Ping(t.Context(), net.Host(0), net.Host(1).ID())
		if r.Error != nil || r.RTT < 50*time.Millisecond || r.RTT > 55*time.Millisecond {
			t.Errorf("round trip of %v, %v; want 10 and 40 ms", r.RTT, r.Error)
		}
		time.Sleep(time.Second) // what is on its way arrives
		lose.Store(true)
		before := net.Bytes(1).PacketsReceived
		time.AfterFunc(3*time.Second, func() { _ = net.Host(0).Close() })
		if r := <-ping.Ping(t.Context(), net.Host(0), net.Host(1).ID()); r.Error == nil {
			t.Errorf("a round trip of %v where everything is lost", r.RTT)
		}
		if n := net.Bytes(1).PacketsReceived - before; n > 0 {
			t.Errorf("%d packets arrived", n)
		}
	})
}

// What one host sends to several shares its uplink; what they send doesn't.
func TestAnUplinkIsOneQueueForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, queue = 100e3, 300 * time.Millisecond
		arrivals := [2]atomic.Int64{}
		net := NewNetwork(t, Config{Hosts: 3, Fate: func(from, to int, _ time.Duration, size int) (time.Duration, bool) {
			if from == 0 {
				arrivals[to-1].Add(int64(size))
			}
			return 10 * time.Millisecond, true
		}})
		for _, to := range []int{1, 2} {
			if err := net.Connect(0, to); err != nil {
				t.Fatal(err)
			}
		}
		roundTrip := func(from, to int) time.Duration {
			r := <-ping.Ping(t.Context(), net.Host(from), net.Host(to).ID())
			if r.Error != nil {
				t.Fatal(r.Error)
			}
			return r.RTT
		}
		roundTrip(0, 1)
		if s := net.Uplink(0); s.Packets == 0 || s.Dropped > 0 || s.Waited > 0 {
			t.Errorf("without an uplink: %+v", s)
		}
		net.SetUplink(0, rate, queue)
		alone := roundTrip(0, 1)
		before, began := arrivals[1].Load(), time.Now()
		load := sync.OnceFunc(flood(t, net, 0, 2))
		defer load()
		time.Sleep(time.Second)
		if net.Uplink(0).Longest < queue {
			t.Error("the queue didn't fill")
		}
		beside := roundTrip(0, 1)
		time.Sleep(time.Second)
		s := net.Uplink(0)
		load()
		t.Logf("round trip of %v alone, %v beside a flood to another; %+v", alone, beside, s)
		if alone > 50*time.Millisecond || beside < 20*time.Millisecond+queue/2 {
			t.Errorf("round trip of %v alone, of %v beside a flood to another host", alone, beside)
		}
		if s.Longest > queue+150*time.Millisecond || s.Dropped == 0 {
			t.Errorf("the queue isn't bounded: %+v", s)
		}
		span := time.Since(began) + s.Longest // what is queued has been told its fate
		if got, most := float64(arrivals[1].Load()-before)*8, rate*span.Seconds(); got > most || got < most/2 {
			t.Errorf("%.0f bits got through in %v", got, span)
		}
		net.SetUplink(0, 0, 0)
		time.Sleep(time.Second)
		if back := roundTrip(0, 1); back > 25*time.Millisecond {
			t.Errorf("round trip of %v without an uplink again", back)
		}
	})
}

// flood sends datagrams beside QUIC from one host to another, past its uplink's
// rate, until the function it returns is called.
func flood(t *testing.T, net *Network, from, to int) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() { // ends with done
		defer close(ended)
		address := &stdnet.UDPAddr{IP: ipOf(to), Port: 8000}
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(20+rng.IntN(60)) * time.Millisecond): // out of step with what else is sent
			}
			if _, err := net.link(from).WriteTo(make([]byte, 1000), address); err != nil {
				t.Error(err)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
