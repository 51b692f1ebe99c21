package jitter

import "time"

const (
	bucket     = 5 * millisecond // width of the histograms' buckets
	maxBuckets = 400             // 2 s

	// packetForget is the weight that a packet keeps for each later one: the
	// histogram is about the last 1000 packets.
	packetForget = 0.999
	// peakForget and peakQuantile are NetEQ's, per interval of 500 ms.
	peakForget   = 0.983
	peakQuantile = 0.95
	peakInterval = 500 * millisecond
	// peakRank says which of an interval's greatest delays counts: less than
	// that many packets together are loss that came back, and a matter of
	// cost; that many are a stall.
	peakRank = 3
	// priorWeight is the weight, in packets, of StartDelay at the start.
	priorWeight = 0.2

	queueBuckets = 2  // median delay in buckets from which on packets are taken to wait in queues
	queuePackets = 15 // needed to tell
	queueCost    = 3  // factor of LateCost then
	queueTail    = 4  // the target then is at least that many times what three in four packets keep to

	baseParts    = 8                 // the sliding minimum's window is 8 parts ...
	basePart     = 250 * millisecond // ... of 250 ms: 2 s as in NetEQ
	baseStep     = 500 * millisecond // how much of that window a silence takes at most
	baseLifetime = 30 * second       // after such a silence the minimum is worth nothing: 300 ppm are 9 ms
	rebase       = 20 * millisecond  // rise of the minimum that tells of a slower path
	jumpTime     = 500 * millisecond // a packet that comes after a silence this long ...
	jumpLimit    = 1 * second        // ... so much later than expected is not late: the clocks jumped

	decayPerSecond = 15 * millisecond // how fast the target comes down
)

// estimator learns the network's delay and chooses the target.
type estimator struct {
	minDelay, startDelay, maxDelay int64 // maxDelay is the hard cap on the delay
	maxTarget                      int64
	lateCost                       float64 // samples of delay per late share of 1
	buckets                        int

	base    [baseParts]int64 // minima of arrival less timestamp
	filled  [baseParts]bool
	part    int
	partAge int64
	last    int64 // last observation
	any     bool  // there was one
	flood   bool  // packets come in from a stall that no target covers
	renew   bool  // the next observation is of another path

	packets histogram
	peaks   histogram
	top     [peakRank]int64 // greatest delays of the present interval
	count   int             // packets in it
	age     int64           // its age

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
	e.maxDelay = max(durationSamples(cfg.MaxDelay, 300*time.Millisecond), 40*millisecond)
	// Between the target and the cap there must be room to steer.
	e.maxTarget = e.maxDelay - max(e.maxDelay/6, 20*millisecond)
	e.minDelay = min(max(durationSamples(cfg.MinDelay, 0), bucket), e.maxTarget)
	e.startDelay = min(max(durationSamples(cfg.StartDelay, 40*time.Millisecond), e.minDelay), e.maxTarget)
	e.lateCost = 100 * float64(durationSamples(cfg.LateCost, 45*time.Millisecond))
	e.buckets = int(min((e.maxTarget+bucket-1)/bucket, maxBuckets))
	e.reset()
}

// reset forgets everything, but of the fastest packet only when the next one
// is observed: what is held is timed by it.
func (e *estimator) reset() {
	e.renew = true
	e.packets = histogram{weight: priorWeight}
	e.packets.add(int((e.startDelay-1)/bucket), e.buckets, packetForget)
	e.packets.weight = 1
	e.peaks = histogram{weight: 1}
	e.target = e.startDelay
}

// forgetBase forgets the fastest packet.
func (e *estimator) forgetBase() {
	e.filled = [baseParts]bool{}
	e.partAge = 0
	e.any = false
	e.top = [peakRank]int64{}
	e.count = 0
	e.age = 0
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
	}
	e.peak(delay, step)
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
	e.peaks.lower(int(rise / bucket))
	for i := range e.top {
		e.top[i] = max(e.top[i]-rise, 0)
	}
	e.target = max(e.target-rise, e.minDelay)
}

// peak notes the interval's greatest delays, and at its end the peakRank-th
// of them in the histogram.
func (e *estimator) peak(delay, step int64) {
	e.age += step
	if e.age >= peakInterval {
		if e.count >= peakRank {
			e.peaks.add(int(e.top[peakRank-1]/bucket), e.buckets, peakForget)
		}
		e.age, e.count, e.top = 0, 0, [peakRank]int64{}
	}
	if e.flood {
		return
	}
	e.count++
	for i, v := range e.top {
		if delay > v {
			delay, e.top[i] = v, delay
		}
	}
}

// choose sets the target: upwards at once, downwards slowly.
func (e *estimator) choose(step int64) {
	// Where most packets wait, it is in a queue, whose delay has a long tail:
	// what is late there is late in a row, and few packets don't show how
	// long the tail is. Where few wait, they were lost and come back late at
	// about the same time each.
	lateCost, floor := e.lateCost, 0
	if queued := e.packets.quantile(e.buckets, 0.5) - 1; queued >= queueBuckets && e.packets.packets() >= queuePackets {
		lateCost *= queueCost
		floor = queueTail * (e.packets.quantile(e.buckets, 0.75) - 1)
	}
	best := max(e.packets.cheapest(e.buckets, lateCost), e.peaks.quantile(e.buckets, peakQuantile), floor)
	want := min(max(int64(best)*bucket, e.minDelay), e.maxTarget)
	e.target = max(want, e.target-decayPerSecond*step/second)
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
	h.weight /= forget
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

// cheapest returns the number of buckets that the target should cover, so
// that the delay in samples plus what the late share costs is least.
func (h *histogram) cheapest(buckets int, lateCost float64) int {
	if h.total == 0 {
		return 0
	}
	late := h.total
	best, least := 0, late/h.total*lateCost
	for i := range buckets {
		late -= h.share[i]
		cost := float64((i+1)*bucket) + late/h.total*lateCost
		if cost < least {
			best, least = i+1, cost
		}
	}
	return best
}

// quantile returns the number of buckets that cover the share q.
func (h *histogram) quantile(buckets int, q float64) int {
	sum := 0.0
	for i := range buckets {
		sum += h.share[i]
		if sum >= q*h.total {
			if sum == 0 {
				return 0
			}
			return i + 1
		}
	}
	return buckets
}
