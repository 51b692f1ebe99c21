package p2p

import (
	"slices"
	"testing"
	"time"
)

// watchUnacked looks every 10 ms how much of what a said b hasn't acknowledged, and
// returns a function that ends it and tells the most there was, in packets.
func watchUnacked(a, b *end) (most func() int) {
	stop, ended := make(chan struct{}), make(chan int)
	go func() { // ends with stop
		n := 0
		for {
			n = max(n, a.Stats(b.id).VoiceUnacked)
			select {
			case <-stop:
				ended <- n
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() int {
		close(stop)
		return <-ended
	}
}

// A circuit is one ordered stream: what was written when it stalls arrives first,
// whatever becomes of the lane. So little is written, the lane stays, no other
// circuit through the same relay is asked for, and what is said after the stall
// arrives at once.
func TestAStalledCircuitIsLiveAtOnceAfterwards(t *testing.T) {
	for name, stall := range map[string]time.Duration{"200 ms": 200 * time.Millisecond, "1 s": time.Second} {
		t.Run(name, func(t *testing.T) {
			inPathNet(t, 1, nil, Config{Relaying: OnlyRelayed}, func(t *testing.T, net *pathNet) {
				net.meet()
				time.Sleep(10 * time.Second) // a second circuit, if both dialed one, is given up
				conns := len(net.a.node.conns(net.b.id))
				most := watchUnacked(net.a, net.b)
				done := net.a.talkBeside(net.b, 200, 20*time.Millisecond)
				time.Sleep(2 * time.Second)
				net.Cut(2)
				time.Sleep(stall)
				net.Restore(2)
				restored := time.Now()
				done()
				time.Sleep(time.Second)
				s := net.a.Stats(net.b.id)
				if s.LaneResets != 0 || s.PathChanges != 1 || len(net.a.node.conns(net.b.id)) != conns {
					t.Errorf("%d connections, were %d; %+v", len(net.a.node.conns(net.b.id)), conns, s)
				}
				// Round trip, 300 ms, and a probe each 100 ms.
				if n := most(); n > int((80+300+stall/5/time.Millisecond)/20) {
					t.Errorf("%d packets were unacknowledged at a time", n)
				}
				live, late := 0, time.Duration(0)
				for _, v := range net.b.voices(net.a.id) {
					if v.at.Sub(restored) > 300*time.Millisecond {
						live, late = live+1, max(late, v.delay(t))
					}
				}
				if least := int((2*time.Second - stall - 400*time.Millisecond) / (20 * time.Millisecond)); live < least || late > 60*time.Millisecond {
					t.Errorf("from 300 ms after the stall on %d packets came, want %d, after up to %v", live, least, late)
				}
			})
		})
	}
}

// A circuit that carries less than is said is filled only so far.
func TestACircuitThatCarriesTooLittleIsNotFilled(t *testing.T) {
	inPathNet(t, 1, nil, Config{Relaying: OnlyRelayed}, func(t *testing.T, net *pathNet) {
		net.meet()
		time.Sleep(10 * time.Second)
		net.SetUplink(1, 60e3, 200*time.Millisecond)
		conns := len(net.a.node.conns(net.b.id))
		const packets = 1000
		net.a.talk(net.b, packets, 20*time.Millisecond)
		time.Sleep(time.Second)
		var took []time.Duration
		for _, v := range net.b.voices(net.a.id) {
			took = append(took, v.delay(t))
		}
		slices.Sort(took)
		s := net.a.Stats(net.b.id)
		if len(took) < packets/4 {
			t.Fatalf("%d of %d packets arrived; %+v", len(took), packets, s)
		}
		oldest := took[len(took)*99/100]
		t.Logf("%d of %d packets arrived, one in a hundred after %v; %d resets, %d changes of path", len(took), packets, oldest, s.LaneResets, s.PathChanges)
		if oldest > 800*time.Millisecond || s.LaneResets != 0 || s.PathChanges != 1 || len(net.a.node.conns(net.b.id)) != conns {
			t.Errorf("one in a hundred packets took %v; %d connections, were %d; %+v", oldest, len(net.a.node.conns(net.b.id)), conns, s)
		}
	})
}

// The bound of a path that stripes grows with its round trip, that of an ordered
// one doesn't grow with the queue that it limits.
func TestTheBoundOfAnOrderedPathIgnoresItsQueue(t *testing.T) {
	const ms = time.Millisecond
	for _, striped := range []bool{true, false} {
		pt := &path{class: connClass{striped: striped}}
		at := time.Now()
		unknown := pt.bound()
		pt.rtt.add(50*ms, at)
		short := pt.bound()
		for range 100 {
			at = at.Add(20 * ms)
			pt.rtt.add(150*ms, at)
		}
		long := pt.bound()
		if want := map[bool][3]time.Duration{true: {600 * ms, 350 * ms, 449 * ms}, false: {300 * ms, 350 * ms, 350 * ms}}[striped]; unknown != want[0] || short != want[1] || long.Truncate(ms) != want[2] {
			t.Errorf("striped %t: %v, %v, %v, want %v", striped, unknown, short, long, want)
		}
	}
}

// Both dial, and one circuit is enough: whose ID is larger gives way once it has been
// dialed, so that a slow link isn't filled with setting up another one.
func TestOneCircuitIsEnoughAtTheStart(t *testing.T) {
	inPathNet(t, 1, nil, Config{Relaying: OnlyRelayed}, func(t *testing.T, net *pathNet) {
		for i := range 3 {
			net.SetUplink(i, 120e3, time.Second)
		}
		net.meet()
		net.SetUplink(0, 0, 0)
		time.Sleep(2 * time.Second)
		for _, x := range []struct{ e, o *end }{{net.a, net.b}, {net.b, net.a}} {
			if n := len(x.e.node.conns(x.o.id)); n != 1 || !x.e.hasPath(x.o) {
				t.Errorf("%d circuits, path %+v", n, x.e.Path(x.o.id))
			}
		}
	})
}

// Whoever reads and never acknowledges is sent probes for a while, not for ever: there
// is room for so many packets that aren't settled.
func TestProbesOnAnOrderedPathAreBounded(t *testing.T) {
	pt := &path{}
	ln := &lane{pt: pt}
	p := &pair{best: pt, wake: make(chan struct{}, 1)}
	now, written := time.Now(), 0
	for range 50 * 60 * 10 {
		if p.admitLocked(20*time.Millisecond, now) {
			p.sending.flight.add(now, 20*time.Millisecond, ln)
			written++
		}
		now = now.Add(20 * time.Millisecond)
	}
	if f := &p.sending.flight; written != flightSize || f.count != flightSize || ln.unacked != flightSize || !p.sending.stall.on {
		t.Errorf("%d packets written, %d and %d unsettled", written, f.count, ln.unacked)
	}
	if !p.ackedLocked(ackInfo{largest: flightSize - 1, delay: maxAckDelay}, now) || p.sending.stall.on || p.sending.flight.count != 31+1 {
		t.Errorf("after an acknowledgement %d are unsettled, and it is stalled: %t", p.sending.flight.count, p.sending.stall.on)
	}
}
