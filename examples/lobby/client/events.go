package client

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Event is one of Joined, Updated, Left, LobbyLost and LobbyBack.
type Event interface{ event() }

// Joined says that a peer is in the room. Who was there before us comes first.
type Joined struct {
	Peer  peer.ID
	Name  string // not signed: whatever that member likes, at most 64 bytes of UTF-8
	Addrs []ma.Multiaddr
}

// Updated says that a peer has other addresses, or another name, than before.
type Updated struct {
	Peer  peer.ID
	Name  string
	Addrs []ma.Multiaddr
}

// Left says that a peer is no longer in the room.
type Left struct {
	Peer   peer.ID
	Reason LeftReason
}

// LeftReason is how a peer left.
type LeftReason int

// The reasons.
const (
	SaidSo   LeftReason = iota // it left
	Vanished                   // it was killed, or its network failed
)

// String is "left" or "vanished".
func (r LeftReason) String() string {
	if r == Vanished {
		return "vanished"
	}
	return "left"
}

// LobbyLost says that there is no connection to the lobby. Members stay as they
// are. LobbyBack will follow, unless Final.
type LobbyLost struct {
	Reason string // for people
	Final  bool   // the same identity joined the room elsewhere; this client has ended
}

// LobbyBack says that the client is in the room again. What changed meanwhile
// comes before it as Joined, Updated and Left; members that aren't there yet
// have 8 s to come back to the lobby too.
type LobbyBack struct{}

func (Joined) event()    {}
func (Updated) event()   {}
func (Left) event()      {}
func (LobbyLost) event() {}
func (LobbyBack) event() {}

// eventQueue holds events for an application that may be slow. Events that
// another one makes needless are taken out, so that it holds at most two for
// each peer and two of the lobby's, however long nobody reads: Joined and then
// Left, neither yet delivered, are nothing.
type eventQueue struct {
	out chan Event

	mu        sync.Mutex // guards what follows
	events    []Event
	coalesced uint64
	wake      chan struct{} // holds one if there may be events
	last      bool          // no more will come
}

func newEventQueue() *eventQueue {
	return &eventQueue{out: make(chan Event), wake: make(chan struct{}, 1)}
}

func (q *eventQueue) push(events ...Event) {
	q.mu.Lock()
	for _, e := range events {
		if !q.merge(e) {
			q.events = append(q.events, e)
			continue
		}
		q.coalesced++
	}
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// merge makes e needless by a change of the queued events, if it can.
func (q *eventQueue) merge(e Event) bool {
	for i := len(q.events) - 1; i >= 0; i-- {
		switch e := e.(type) {
		case Updated:
			switch o := q.events[i].(type) {
			case Joined:
				if o.Peer == e.Peer {
					q.events[i] = Joined(e)
					return true
				}
			case Updated:
				if o.Peer == e.Peer {
					q.events[i] = e
					return true
				}
			}
		case Left:
			switch o := q.events[i].(type) {
			case Joined:
				if o.Peer == e.Peer {
					q.cut(i)
					return true
				}
			case Updated:
				if o.Peer == e.Peer {
					q.cut(i)
					q.coalesced++
				}
			}
		case LobbyLost:
			if _, ok := q.events[i].(LobbyBack); ok && !e.Final {
				q.cut(i) // the LobbyLost before it is not delivered either, or is the last word
				return true
			}
		}
	}
	return false
}

func (q *eventQueue) cut(i int) { q.events = append(q.events[:i], q.events[i+1:]...) }

// next takes the oldest event; done says that none will ever come.
func (q *eventQueue) next() (e Event, ok, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return nil, false, q.last
	}
	e = q.events[0]
	q.cut(0)
	return e, true, false
}

// end says that no more events come.
func (q *eventQueue) end() {
	q.mu.Lock()
	q.last = true
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) stats() (queued int, coalesced uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events), q.coalesced
}

// runPump delivers events until there are no more or ctx ends, and closes the
// channel.
func (q *eventQueue) runPump(ctx context.Context) {
	defer close(q.out)
	for {
		e, ok, done := q.next()
		switch {
		case done:
			return
		case ok:
			select {
			case q.out <- e:
			case <-ctx.Done():
				return
			}
		default:
			select {
			case <-q.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
