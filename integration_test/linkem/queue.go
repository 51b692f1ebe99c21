package linkem

import (
	"container/heap"
	"time"
)

// packet is on its way to one side.
type packet struct {
	at    time.Duration // when it arrives
	order uint64        // breaks ties: first sent, first to arrive
	to    Side
	data  []byte
}

// queue holds the packets that are on their way, the next to arrive first.
type queue struct {
	packets packetHeap
	order   uint64
}

func (q *queue) push(at time.Duration, to Side, data []byte) {
	q.order++
	heap.Push(&q.packets, packet{at: at, order: q.order, to: to, data: data})
}

// next returns when the next packet arrives; false if there is none.
func (q *queue) next() (time.Duration, bool) {
	if len(q.packets) == 0 {
		return 0, false
	}
	return q.packets[0].at, true
}

// pop removes the next packet. The queue must not be empty.
func (q *queue) pop() packet {
	return heap.Pop(&q.packets).(packet)
}

// packetHeap implements heap.Interface.
type packetHeap []packet

func (h packetHeap) Len() int      { return len(h) }
func (h packetHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h packetHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}

func (h *packetHeap) Push(x any) { *h = append(*h, x.(packet)) }

func (h *packetHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = packet{}
	*h = old[:len(old)-1]
	return last
}
