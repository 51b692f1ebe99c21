package session

import (
	"reflect"
	"slices"
	"sync"

	"github.com/parley-voice/parley/identity"
)

// EventBuffer is how many events wait for a slow reader.
const EventBuffer = 256

// How many of them one peer may cause, and all those together who knock: what
// one does, however often, must not push out what the others did.
const (
	peerEvents  = 16
	knockEvents = 64
	peerTexts   = 16 // messages of one peer
	allTexts    = 64 // of all peers
)

// eventQueue hands events over in order. Of what a peer causes beyond its share
// the newest of each kind is held back until there is room; who knocks beyond
// it has to knock again. When all shares together are too much, the oldest go.
type eventQueue struct {
	ch chan Event

	mu      sync.Mutex // guards what follows
	closed  bool
	dropped uint64
	held    []Event            // in order, one of each kind and peer
	owners  [EventBuffer]owner // of what was put into ch last, a ring
	put     int                // where in owners the next one goes
}

// owner is whose share an event takes.
type owner struct {
	peer  identity.PeerID // empty for what is nobody's
	knock bool
	text  bool // a message of the peer
}

func ownerOf(e Event) (o owner, share int) {
	switch e := e.(type) {
	case Knocked:
		return owner{knock: true}, knockEvents
	case PeerReachable:
		o.peer = e.Peer
	case PeerUnreachable:
		o.peer = e.Peer
	case PeerGone:
		o.peer = e.Peer
	case PeerIncompatible:
		o.peer = e.Peer
	case PathChanged:
		o.peer = e.Peer
	case PeerState:
		o.peer = e.Peer
	case RoomsChanged:
		o.peer = e.Peer
	case Speaking:
		o.peer = e.Peer
	case TextReceived:
		return owner{peer: e.Peer, text: true}, peerTexts
	case DataReceived:
		return owner{peer: e.Peer, text: true}, peerTexts
	default:
		return owner{}, EventBuffer
	}
	return o, peerEvents
}

func newEventQueue() *eventQueue { return &eventQueue{ch: make(chan Event, EventBuffer)} }

// emit never blocks.
func (q *eventQueue) emit(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.flushLocked()
	o, share := ownerOf(e)
	switch {
	case !q.holdsLocked(o) && q.waitingLocked(o) < share:
		q.putLocked(e)
	case o.knock:
		q.dropped++
	default:
		kind := reflect.TypeOf(e)
		q.held = slices.DeleteFunc(q.held, func(h Event) bool {
			of, _ := ownerOf(h)
			older := of == o && reflect.TypeOf(h) == kind
			if older {
				q.dropped++
			}
			return older
		})
		q.held = append(q.held, e)
	}
}

// offer puts an event if there is room in the share of its peer, in that of all
// messages, and in the queue, and reports whether that is so: who offers it keeps it
// otherwise, and nothing of others is pushed out for it.
func (q *eventQueue) offer(e Event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return true
	}
	o, share := ownerOf(e)
	if len(q.ch) == EventBuffer || q.waitingLocked(o) >= share || q.textsLocked() >= allTexts {
		return false
	}
	q.putLocked(e)
	return true
}

// flush hands over what was held back and has room now. It is called again and
// again while a conversation lasts.
func (q *eventQueue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.flushLocked()
	}
}

// drain hands over all that was held back: there is nobody to call flush.
func (q *eventQueue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.drainLocked()
	}
}

func (q *eventQueue) flushLocked() {
	kept := q.held[:0]
	for _, e := range q.held {
		o, share := ownerOf(e)
		before := slices.ContainsFunc(kept, func(h Event) bool { of, _ := ownerOf(h); return of == o })
		if before || q.waitingLocked(o) >= share {
			kept = append(kept, e)
			continue
		}
		q.putLocked(e)
	}
	clear(q.held[len(kept):])
	q.held = kept
}

func (q *eventQueue) drainLocked() {
	for _, e := range q.held {
		q.putLocked(e)
	}
	q.held = nil
}

func (q *eventQueue) holdsLocked(o owner) bool {
	return slices.ContainsFunc(q.held, func(h Event) bool { of, _ := ownerOf(h); return of == o })
}

// waitingLocked is how many events of an owner nobody has read yet: they are
// among those that were put in last.
func (q *eventQueue) waitingLocked(o owner) int {
	return q.countLocked(func(of owner) bool { return of == o })
}

func (q *eventQueue) textsLocked() int {
	return q.countLocked(func(of owner) bool { return of.text })
}

func (q *eventQueue) countLocked(is func(owner) bool) (n int) {
	for i := range len(q.ch) {
		if is(q.owners[(q.put-1-i+EventBuffer)%EventBuffer]) {
			n++
		}
	}
	return n
}

func (q *eventQueue) putLocked(e Event) {
	for {
		select {
		case q.ch <- e:
			q.owners[q.put], _ = ownerOf(e)
			q.put = (q.put + 1) % EventBuffer
			return
		default:
		}
		select {
		case <-q.ch:
			q.dropped++
		default:
		}
	}
}

func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.drainLocked()
		q.closed = true
		close(q.ch)
	}
}

func (q *eventQueue) droppedCount() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
