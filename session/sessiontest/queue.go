package sessiontest

import (
	"container/heap"
	"time"
)

// event is something that happens at a time: a voice message arrives, or run
// is called. Events of the same time happen in the order they were added.
type event struct {
	at    time.Time
	order uint64
	voice *packet
	edge  *edge
	run   func()
}

type eventQueue struct {
	events []event
	order  uint64
}

func (q *eventQueue) Len() int { return len(q.events) }

func (q *eventQueue) Less(i, j int) bool {
	a, b := &q.events[i], &q.events[j]
	if a.at.Equal(b.at) {
		return a.order < b.order
	}
	return a.at.Before(b.at)
}

func (q *eventQueue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }

// Push is for package heap; use add.
func (q *eventQueue) Push(any) { q.events = append(q.events, event{}) }

// Pop is for package heap; use next.
func (q *eventQueue) Pop() any {
	last := len(q.events) - 1
	q.events[last] = event{}
	q.events = q.events[:last]
	return nil
}

func (q *eventQueue) add(e event) {
	q.order++
	e.order = q.order
	q.events = append(q.events, e)
	heap.Fix(q, len(q.events)-1)
}

// next takes the first event if it is due.
func (q *eventQueue) next(now time.Time) (event, bool) {
	if len(q.events) == 0 || q.events[0].at.After(now) {
		return event{}, false
	}
	first := q.events[0]
	heap.Pop(q)
	return first, true
}
