package p2ptest

import (
	"sync"
	"time"
)

// uplinkQueue is how long a packet waits at most for an uplink that has no bound
// of its own.
const uplinkQueue = 200 * time.Millisecond

// UplinkStats is what became of the packets that a host gave to its uplink.
type UplinkStats struct {
	Packets uint64        // that went through
	Dropped uint64        // since the queue was full
	Waited  time.Duration // sum of the times that those which went through waited, their own sending included
	Longest time.Duration // of these times, since they were asked for last
}

// uplink is one queue, first in first out, that all packets of a host go
// through. It has no clock: times are since the network was made.
type uplink struct {
	mu    sync.Mutex // guards what follows
	rate  float64    // bits per second of IP packets; 0 means no limit
	most  time.Duration
	free  time.Duration // when the last packet has left
	stats UplinkStats
}

// set changes the rate; what is queued stays queued.
func (u *uplink) set(rate float64, queue time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if queue <= 0 {
		queue = uplinkQueue
	}
	u.rate, u.most = max(rate, 0), queue
}

// carry returns how long a packet of size bytes takes to leave, or false if the
// queue is full.
func (u *uplink) carry(now time.Duration, size int) (wait time.Duration, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	start := max(now, u.free)
	if u.rate == 0 {
		start = now
	} else if start-now > u.most {
		u.stats.Dropped++
		return 0, false
	}
	if u.rate > 0 {
		u.free = start + time.Duration(float64(size*8)/u.rate*float64(time.Second))
		wait = u.free - now
	}
	u.stats.Packets++
	u.stats.Waited += wait
	u.stats.Longest = max(u.stats.Longest, wait)
	return wait, true
}

func (u *uplink) takeStats() UplinkStats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	u.stats.Longest = 0
	return s
}

// SetUplink gives host i an uplink of so many bits per second of IP packets, 0
// for no limit: a queue that all its packets go through, whoever they are for,
// before anything else becomes of them. A packet that would wait longer than
// queue is dropped; 0 means 200 ms. It holds for what is sent from now on, and
// after a Restart too.
func (n *Network) SetUplink(i int, bitsPerSecond float64, queue time.Duration) {
	n.uplinks[i].set(bitsPerSecond, queue)
}

// Uplink returns what became of what host i sent so far. Without SetUplink
// nothing waits.
func (n *Network) Uplink(i int) UplinkStats { return n.uplinks[i].takeStats() }
