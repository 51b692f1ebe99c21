package session

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parley-voice/parley/identity"
)

func read(q *eventQueue) (events []Event) {
	for len(q.ch) > 0 {
		events = append(events, <-q.ch)
	}
	return events
}

func TestOnePeersEventsDoNotPushOutAnothers(t *testing.T) {
	q := newEventQueue()
	q.emit(PeerGone{Peer: "honest"})
	for i := range 10000 {
		q.emit(PeerState{Peer: "hostile", Muted: i%2 == 0})
		q.emit(PeerIncompatible{Peer: "hostile", Reason: fmt.Sprint(i)})
		q.emit(Knocked{Peer: identity.PeerID(fmt.Sprint(i))})
	}
	q.emit(DeviceChanged{Device: Microphone})
	events := read(q)
	if len(events) != 1+peerEvents+knockEvents+1 || events[0] != (PeerGone{Peer: "honest"}) || events[len(events)-1] != (DeviceChanged{Device: Microphone}) {
		t.Errorf("%d events, from %v to %v", len(events), events[0], events[len(events)-1])
	}
	if want := uint64(20000 - peerEvents - 2 + 10000 - knockEvents); q.dropped != want {
		t.Errorf("%d dropped, want %d", q.dropped, want)
	}
	q.flush()
	last := []Event{PeerState{Peer: "hostile", Muted: false}, PeerIncompatible{Peer: "hostile", Reason: "9999"}}
	if got := read(q); !slices.Equal(got, last) {
		t.Errorf("once there was room %v came, want the newest of each kind: %v", got, last)
	}
	if q.flush(); len(q.ch) != 0 {
		t.Error("what was held came twice")
	}
}

// What is held back comes before what the peer does next, and the last word of
// each kind always comes.
func TestEventsOfAPeerStayInOrder(t *testing.T) {
	q := newEventQueue()
	var told []Event
	for i := range 200 {
		q.emit(PeerGone{Peer: "a", Reason: fmt.Sprintf("%03d", 2*i)})
		q.emit(PeerUnreachable{Peer: "a", Reason: fmt.Sprintf("%03d", 2*i+1)})
		if i%3 == 0 {
			told = append(told, <-q.ch)
		}
	}
	q.drain()
	told = append(told, read(q)...)
	var order []string
	for _, e := range told {
		switch e := e.(type) {
		case PeerGone:
			order = append(order, e.Reason)
		case PeerUnreachable:
			order = append(order, e.Reason)
		}
	}
	if !slices.IsSorted(order) || !slices.Contains(order, "398") || order[len(order)-1] != "399" || len(order) < 80 {
		t.Errorf("%d events came in the order %v", len(order), order)
	}
}

func TestWhenAllSharesAreTooMuchTheOldestGo(t *testing.T) {
	q := newEventQueue()
	for i := range EventBuffer + 10 {
		q.emit(PeerGone{Peer: identity.PeerID(fmt.Sprint(i))})
	}
	if got := read(q); len(got) != EventBuffer || got[0] != (PeerGone{Peer: "10"}) || q.dropped != 10 {
		t.Errorf("%d events, the first %v, %d dropped", len(got), got[0], q.dropped)
	}
	q.emit(SourceEnded{})
	q.close()
	q.close()
	q.emit(SourceEnded{})
	if n := len(slices.Collect(func(yield func(Event) bool) {
		for e := range q.ch {
			yield(e)
		}
	})); n != 1 {
		t.Errorf("%d events before the channel was closed, want 1", n)
	}
}
