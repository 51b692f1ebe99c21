package jitter

import (
	"slices"
	"time"

	"github.com/parley-voice/parley/audio/emodel"
)

const (
	bucket     = 5 * millisecond / 2 // width of the histogram's buckets
	maxBuckets = 800                 // 2 s

	leastTarget = 5 * millisecond // whatever the network: nobody asks in time to the millisecond

	// packetForget is the weight that a packet keeps for each later one: the
	// histogram is about the last 1000 packets, or 500 where they are long.
	packetForget = 0.999
	longPacket   = 30 * millisecond
	// sendingForget is what is left of the histogram's weight when the talker sends
	// in another way.
	sendingForget = 0.01
	// priorWeight is the weight, in packets, of StartDelay at the start.
	priorWeight = 0.2
	// doubt is how many packets in time are taken for granted beside those that
	// were seen: one burst among few is no share yet.
	doubt = 30

	queueBuckets = 4    // median delay in buckets from which on packets are taken to wait in queues
	queuePackets = 8    // needed to tell
	queueTail    = 3.42 // the target then is that many times what three in four packets keep to, or more ...
	queueRecent  = 1.3  // ... or that many times this, as three in four of the last ones do: few show less well ...
	queueEnd     = 2.05 // ... or that many times what 95 in 100 keep to: where packets wait for each other alone the tail is short

	queueMost = 250 * millisecond // ... but no more than this: beyond it what was seen to be late must be worth the delay

	baseParts    = 8                 // the sliding minimum's window is 8 parts ...
	basePart     = 250 * millisecond // ... of 250 ms: 2 s as in NetEQ
	baseStep     = 500 * millisecond // how much of that window a silence takes at most
	baseLifetime = 30 * second       // after such a silence the minimum is worth nothing: 300 ppm are 9 ms
	rebase       = 20 * millisecond  // rise of the minimum that tells of a slower path
	jumpTime     = 500 * millisecond // a packet that comes after a silence this long ...
	jumpLimit    = 1 * second        // ... so much later than expected is not late: the clocks jumped

	decayPerSecond = 15 * millisecond // how fast the target comes down ...
	youngDecay     = 100 * millisecond
	young          = 300 // ... and to StartDelay while the histogram is about less packets: what few show, more soon correct
)

// estimator learns the network's delay and chooses the target.
type estimator struct {
	minDelay, startDelay, maxDelay int64 // maxDelay is the hard cap on the delay
	maxTarget                      int64
	buckets                        int
	path                           int64                   // delay from mouth to ear without the buffer's
	costs                          [maxBuckets + 1]float64 // of a target of so many buckets, in R

	base    [baseParts]int64 // minima of arrival less timestamp
	filled  [baseParts]bool
	part    int
	partAge int64
	last    int64 // last observation
	any     bool  // there was one
	flood   bool  // packets come in from a stall that no target covers
	renew   bool  // the next observation is of another path

	edges   edges
	packets histogram

	target int64
}

// durationSamples converts and clamps to what the histograms can hold.
func durationSamples(d, zero time.Duration) int64 {
	if d == 0 {
		d = zero
	}
	d = min(max(d, 0), 2*time.Second)
	return int64(d) * 3 / 62500
}

func (e *estimator) configure(cfg Config) {
	e.maxDelay = max(durationSamples(cfg.MaxDelay, 400*time.Millisecond), 40*millisecond)
	// Between the target and the cap there must be room to steer.
	e.maxTarget = e.maxDelay - max(e.maxDelay/6, 20*millisecond)
	e.minDelay = min(max(durationSamples(cfg.MinDelay, 0), leastTarget), e.maxTarget)
	e.startDelay = min(max(durationSamples(cfg.StartDelay, 40*time.Millisecond), e.minDelay), e.maxTarget)
	e.buckets = int(min((e.maxTarget+bucket-1)/bucket, maxBuckets))
	e.price(durationSamples(cfg.PathDelay, 65*time.Millisecond))
	e.reset()
}

// price notes what delays cost if that much is spent before the buffer. A packet
// waits half a block longer than the target on average, for being asked for, and
// its audio half a packet.
func (e *estimator) price(path int64) {
	e.path = path
	for i := range e.costs {
		e.costs[i] = emodel.DelayCost(duration(path + int64(i)*bucket + block))
	}
}

// reset forgets everything, but of the fastest packet only when the next one
// is observed: what is held is timed by it.
func (e *estimator) reset() {
	e.renew = true
	e.packets, e.edges = histogram{weight: priorWeight}, edges{}
	e.packets.add(int((e.startDelay-1)/bucket), e.buckets, packetForget)
	e.packets.weight = 1
	e.target = e.startDelay
}

// forgetBase forgets the fastest packet.
func (e *estimator) forgetBase() {
	e.filled = [baseParts]bool{}
	e.partAge = 0
	e.any = false
}

// transit is the arrival less timestamp of the fastest recent packet.
func (e *estimator) transit() int64 {
	var m int64
	found := false
	for i, ok := range e.filled {
		if ok && (!found || e.base[i] < m) {
			m, found = e.base[i], true
		}
	}
	return m
}

// observe learns from a packet that came to hand for the first time. A delay
// on the edge of two buckets belongs to the upper one: with a target equal to
// it, a packet comes at the very moment at which it is asked for.
func (e *estimator) observe(transit, t int64) {
	silence := int64(0)
	if e.any {
		silence = t - e.last
		jumped := silence > jumpTime && transit-e.transit() > jumpLimit
		if silence > baseLifetime || jumped || e.renew {
			e.forgetBase()
		}
	}
	e.renew = false
	e.any = true
	e.last = t
	step := min(silence, baseStep)
	e.slide(transit, step)
	delay := transit - e.transit()
	// What comes later than any target can wait for says nothing about which
	// target is best, nor does the rest of the same stall.
	e.flood = delay > e.maxDelay || e.flood && delay > e.target
	if !e.flood {
		e.packets.add(int(delay/bucket), e.buckets, packetForget)
		e.edges.add(delay)
		if step > longPacket && step <= 2*longPacket {
			e.packets.age(packetForget) // it stands for two
		}
	}
	e.choose(step)
}

// slide moves the window of the minimum on and notes transit in it.
func (e *estimator) slide(transit, step int64) {
	before, known := e.transit(), e.filled != [baseParts]bool{}
	defer func() {
		if rise := e.transit() - before; known && rise >= rebase {
			e.rebase(rise)
		}
	}()
	e.partAge += step
	for e.partAge >= basePart {
		e.partAge -= basePart
		e.part = (e.part + 1) % baseParts
		e.filled[e.part] = false
	}
	if !e.filled[e.part] || transit < e.base[e.part] {
		e.base[e.part], e.filled[e.part] = transit, true
	}
}

// rebase corrects what was learnt while the path had become slower by rise and
// the old minimum was still believed: that was no jitter. The target is
// measured from the new minimum now, so the speech being played doesn't move.
func (e *estimator) rebase(rise int64) {
	e.packets.lower(int(rise / bucket))
	e.edges = edges{}
	e.target = max(e.target-rise, e.minDelay)
}

// choose sets the target: upwards at once, downwards slowly.
func (e *estimator) choose(step int64) {
	// Where most packets wait, it is in a queue, whose delay has a long tail:
	// what is late there is late in a row, and few packets don't show how
	// long the tail is. Where few wait, they were lost and come back late at
	// about the same time each.
	want := e.edges.of(e.packets.cheapest(e.costs[:e.buckets+1]))
	if e.packets.quantile(e.buckets, 0.5) >= queueBuckets && e.packets.packets() >= queuePackets {
		most := min(e.packets.quantile(e.buckets, 0.75), queueRecent*float64(e.packets.lately(0.75)))
		want = max(want, min(queueMost, int64(min(queueTail*most, queueEnd*e.packets.quantile(e.buckets, 0.95))*bucket)))
	}
	want = min(max(want, e.minDelay), e.maxTarget)
	lowest := e.target - decayPerSecond*step/second
	if e.packets.packets() < young {
		lowest = min(lowest, max(e.target-youngDecay*step/second, e.startDelay))
	}
	e.target = max(want, lowest)
}

// edges are how far into each bucket delays of late reach, in samples, 0 where there
// was none. What is lost comes back at about the same time each, copies a number of
// packets later: a target of whole buckets would have everything wait longer.
type edges [maxBuckets]int16

const (
	edgeForget = 16              // part of the way down that one delay moves an edge which it doesn't reach
	edgeSpare  = millisecond / 2 // that an edge is beyond what reaches furthest
)

func (e *edges) add(delay int64) {
	i := delay / bucket
	if delay < 0 || i >= maxBuckets {
		return
	}
	reach := int16(min(delay%bucket+edgeSpare, bucket))
	if e[i] -= e[i] / edgeForget; e[i] < reach {
		e[i] = reach
	}
}

// of is how long the delay is that n buckets cover.
func (e *edges) of(n int) int64 {
	if n == 0 || e[n-1] == 0 {
		return int64(n) * bucket
	}
	return int64(n-1)*bucket + int64(e[n-1])
}

// histogram of delays, where later observations weigh more.
type histogram struct {
	share  [maxBuckets + 1]float64
	total  float64
	weight float64 // of the next observation

	recent [recentLen]observation // the last ones, a ring
	next   int
}

// recentLen is more than is observed in the 2 s of the sliding minimum.
const recentLen = 256

// latelyLen is how many of them are the last.
const latelyLen = 200

// observation is what was added to a histogram; of no weight if none was.
type observation struct {
	bucket int
	weight float64
}

// lower moves recent observations down by n buckets.
func (h *histogram) lower(n int) {
	for i := range h.recent {
		o := &h.recent[i]
		to := max(o.bucket-n, 0)
		h.share[o.bucket] -= o.weight
		h.share[to] += o.weight
		o.bucket = to
	}
}

func (h *histogram) add(i, buckets int, forget float64) {
	i = min(i, buckets)
	h.share[i] += h.weight
	h.total += h.weight
	h.recent[h.next] = observation{i, h.weight}
	h.next = (h.next + 1) % recentLen
	h.age(forget)
}

// age lowers the weight of all observations so far.
func (h *histogram) age(to float64) {
	h.weight /= to
	if h.weight < 1e9 {
		return
	}
	for j := range h.share {
		h.share[j] /= h.weight
	}
	for j := range h.recent {
		h.recent[j].weight /= h.weight
	}
	h.total /= h.weight
	h.weight = 1
}

// packets is how many observations the histogram stands for.
func (h *histogram) packets() float64 { return h.total / h.weight }

// cheapest returns the number of buckets that the target should cover, so that
// what that delay costs and what is late are least together.
func (h *histogram) cheapest(costs []float64) int {
	if h.total == 0 {
		return 0
	}
	late, all := h.total, h.total+doubt*h.weight
	best, least := 0, costs[0]+emodel.Loss(1)
	for i := range costs[1:] {
		late -= h.share[i]
		if cost := costs[i+1] + emodel.Loss(late/all); cost < least {
			best, least = i+1, cost
		}
	}
	return best
}

// lately is the quantile q of the last observations alone: a queue that has gone is
// no reason to wait for it.
func (h *histogram) lately(q float64) int {
	var last [latelyLen]int
	n := 0
	for i := 1; i <= latelyLen; i++ {
		o := h.recent[(h.next-i+recentLen)%recentLen]
		if o.weight == 0 {
			break
		}
		last[n] = o.bucket
		n++
	}
	if n == 0 {
		return 0
	}
	slices.Sort(last[:n])
	return last[int(q*float64(n-1))] + 1
}

// quantile returns how many buckets cover the share q, where what is in each is
// taken to be spread over it evenly: in whole ones the target would go up and down by
// several of them.
func (h *histogram) quantile(buckets int, q float64) float64 {
	rest := q * h.total
	for i := range buckets {
		if here := h.share[i]; here > 0 && here >= rest {
			return float64(i) + rest/here
		}
		rest -= h.share[i]
	}
	return float64(buckets)
}
