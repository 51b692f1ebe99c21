package pipe

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

// Control arrives in order and once, whatever the way loses, doubles and reorders,
// and neither side ever holds more than it may.
func TestControlOverABadWay(t *testing.T) {
	for seed := range uint64(50) {
		draw := rand.New(rand.NewPCG(seed, 3))
		var out outgoing
		var in incoming
		var way []frame
		var got []uint32
		var pushed uint32
		now := epoch
		for steps := 0; len(got) < 300; steps++ {
			if steps > 20000 {
				t.Fatalf("seed %d: %d of 300 messages after %d steps", seed, len(got), steps)
			}
			now = now.Add(5 * time.Millisecond)
			if pushed < 300 && !out.full(4) {
				pushed++
				out.push(binary.BigEndian.AppendUint32(nil, pushed), false)
			}
			if i, _ := out.next(now); i >= 0 {
				out.sent(i, now, 40*time.Millisecond, true)
				if draw.IntN(3) > 0 {
					way = append(way, frame{seq: uint32(out.sequence(i)), data: out.items[i].data})
				}
			}
			for draw.IntN(2) == 0 && len(way) > 0 {
				i := draw.IntN(len(way))
				b := &buffer{data: way[i].data}
				in.push(way[i].seq, b)
				if draw.IntN(4) > 0 { // else it comes again
					way = append(way[:i], way[i+1:]...)
				}
			}
			for b := in.pop(); b != nil; b = in.pop() {
				got = append(got, binary.BigEndian.Uint32(b.data))
			}
			if in.delivered < in.received && draw.IntN(3) == 0 {
				in.delivered++
			}
			if in.received-in.delivered > maxControl || len(out.items) > maxControl {
				t.Fatalf("seed %d: %d wait for the Handler, %d to be taken", seed, in.received-in.delivered, len(out.items))
			}
			if draw.IntN(3) == 0 {
				a := ack{received: uint32(in.received), mask: in.mask(), undeliver: uint8(in.received - in.delivered)}
				if !out.ack(a) {
					t.Fatalf("seed %d: %+v is refused", seed, a)
				}
			}
		}
		for i, n := range got {
			if n != uint32(i)+1 {
				t.Fatalf("seed %d: message %d is %d", seed, i+1, n)
			}
		}
	}
}

func TestControlIsBounded(t *testing.T) {
	var out outgoing
	for !out.full(1000) {
		out.push(make([]byte, 1000), false)
	}
	if out.bytes > maxControlBytes || len(out.items) != maxControlBytes/1000 {
		t.Errorf("%d messages of %d bytes in all", len(out.items), out.bytes)
	}
	under := 0
	for i, _ := out.next(epoch); i >= 0; i, _ = out.next(epoch) {
		out.sent(i, epoch, time.Second, true)
		under++
	}
	if under != maxUnderWay {
		t.Errorf("%d messages are under way at once, want %d", under, maxUnderWay)
	}

	var in incoming
	kept := 0
	for seq := range uint32(1000) {
		if in.push(seq+2, &buffer{}) { // the first is missing
			kept++
		}
	}
	if kept != maxControl-1 {
		t.Errorf("%d messages that came early are kept, want %d", kept, maxControl-1)
	}
}

func TestAcksOfWhatWasNeverSent(t *testing.T) {
	for name, a := range map[string]ack{
		"too high":                  {received: 4},
		"more waiting than arrived": {received: 2, undeliver: 3},
	} {
		var out outgoing
		for range 3 {
			out.push([]byte("x"), false)
		}
		if out.ack(a) {
			t.Errorf("%s: %+v is taken", name, a)
		}
		if len(out.items) != 3 || out.bytes != 3 {
			t.Errorf("%s: %d messages left", name, len(out.items))
		}
	}
}

func TestControlIsSentAgainSoonerAndLater(t *testing.T) {
	var out outgoing
	out.push([]byte("x"), false)
	now := epoch
	var waits []time.Duration
	for range 8 {
		i, _ := out.next(now)
		if i < 0 {
			t.Fatal("nothing is due")
		}
		out.sent(i, now, 50*time.Millisecond, true)
		_, due := out.next(now)
		waits = append(waits, due.Sub(now))
		now = due
	}
	want := []time.Duration{50, 100, 200, 400, 800, 1000, 1000, 1000}
	for i := range want {
		if waits[i] != want[i]*time.Millisecond {
			t.Fatalf("it is sent again after %v, want %v ms", waits, want)
		}
	}
	out.refused(1, now.Add(20*time.Millisecond))
	if _, due := out.next(now); due.Sub(now) != 20*time.Millisecond {
		t.Errorf("after the pipe refused it, again in %v", due.Sub(now))
	}
}
