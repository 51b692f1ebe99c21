package pipe

import (
	"testing"
	"time"
)

var epoch = time.Unix(1_000_000, 0)

func after(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func TestFlightMeasuresTheRoundTrip(t *testing.T) {
	var f flight
	if f.roundTrip() != firstRTT {
		t.Errorf("%v before the first measurement", f.roundTrip())
	}
	now := 0
	for range 200 {
		n := f.send(after(now), false)
		// 40 ms on the way, and the far end took 15 ms to answer.
		if !f.ack(n, 15*time.Millisecond, after(now+55)) {
			t.Fatal("an acknowledgement is refused")
		}
		now += 100
	}
	if f.srtt < 39*time.Millisecond || f.srtt > 41*time.Millisecond {
		t.Errorf("the round trip is %v, want 40 ms", f.srtt)
	}
	if f.ack(f.last+1, 0, after(now)) {
		t.Error("what was never sent is acknowledged")
	}
}

func TestFlightHoldsVoiceBackThatNobodyAcknowledges(t *testing.T) {
	var f flight
	n := f.send(after(0), false)
	f.ack(n, 0, after(20))
	written := 0
	for ms := 100; ms < 3100; ms += 20 {
		if f.mayTalk(after(ms)) {
			f.send(after(ms), true)
			written++
		}
	}
	// 320 ms of 20 ms each, and one in 100 ms of the rest.
	if written < 40 || written > 45 {
		t.Errorf("%d messages were written of which none is acknowledged", written)
	}
	if f.unacked() != written {
		t.Errorf("%d are unacknowledged, %d were written", f.unacked(), written)
	}
	f.ack(f.last, 0, after(3110))
	if !f.mayTalk(after(3111)) || f.unacked() != 0 {
		t.Error("all is acknowledged, and voice is held back")
	}
}

func TestFlightKnowsWhichVoiceIsUnacknowledged(t *testing.T) {
	var f flight
	f.send(after(0), true)
	second := f.send(after(20), true)
	f.send(after(40), false)
	f.send(after(60), true)
	f.ack(second, 0, after(80))
	if f.unacked() != 1 || !f.oldest.Equal(after(60)) {
		t.Errorf("%d unacknowledged, the oldest of %v", f.unacked(), f.oldest.Sub(epoch))
	}
	f.send(after(100), true)
	f.unsend()
	if f.unacked() != 1 {
		t.Errorf("%d unacknowledged after the pipe refused one", f.unacked())
	}
	f.restart()
	if f.unacked() != 0 || !f.oldest.IsZero() {
		t.Error("something is under way on a new path")
	}
}

func TestFlightSeesAQueue(t *testing.T) {
	var f flight
	now := 0
	round := func(rtt, times int) {
		for range times {
			f.ack(f.send(after(now), false), 0, after(now+rtt))
			now += 100
		}
	}
	round(40, 20)
	round(90, 1) // one late answer is no queue
	if q := f.queue(); q != 0 {
		t.Errorf("a queue of %v after one late answer", q)
	}
	round(100, 10)
	if q := f.queue(); q != 60*time.Millisecond {
		t.Errorf("a queue of %v, want 60 ms", q)
	}
	round(100, 250) // so the way is longer now
	if q := f.queue(); q != 0 {
		t.Errorf("a queue of %v on a way that became longer", q)
	}
}
