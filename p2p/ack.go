package p2p

import (
	"slices"
	"time"
)

// flightSize is the number of packets that may be written and not settled.
const flightSize = 256

// sentPacket is one packet that was written.
type sentPacket struct {
	at   time.Time
	span time.Duration // of audio: the time since the packet before
	lane *lane         // nil when settled
}

// flight knows which voice packets were written and not yet acknowledged. A
// packet is settled when it was acknowledged, when it fell out of reach of
// acknowledgements, or when its lane was reset.
type flight struct {
	base, next int64 // unsettled packets are within [base, next)
	recs       [flightSize]sentPacket
	span       time.Duration // sum of what is unsettled
	count      int
	heard      int64 // largest number of the latest acknowledgement
}

// free is how many packets there is room for.
func (f *flight) free() int { return flightSize - int(f.next-f.base) }

// add notes a packet that is about to be written and returns its number.
func (f *flight) add(at time.Time, span time.Duration, ln *lane) int64 {
	n := f.next
	f.recs[n%flightSize] = sentPacket{at: at, span: span, lane: ln}
	f.next++
	f.span += span
	f.count++
	ln.unacked++
	return n
}

// get returns the record of an unsettled packet.
func (f *flight) get(n int64) *sentPacket {
	if n < f.base || n >= f.next {
		return nil
	}
	if r := &f.recs[n%flightSize]; r.lane != nil {
		return r
	}
	return nil
}

func (f *flight) settle(n int64) {
	if r := f.get(n); r != nil {
		f.span -= r.span
		f.count--
		r.lane.unacked--
		r.lane = nil
	}
	for f.base < f.next && f.recs[f.base%flightSize].lane == nil {
		f.base++
	}
}

// settleLane settles everything that was written to a lane.
func (f *flight) settleLane(ln *lane) {
	for n := f.base; n < f.next && ln.unacked > 0; n++ {
		if f.recs[n%flightSize].lane == ln {
			f.settle(n)
		}
	}
}

// waits says whether the latest acknowledgement shows that a lane waits for a
// retransmission: packets that were written after one of its own arrived.
func (f *flight) waits(ln *lane) bool { return ln.unacked > 0 && ln.holes == f.heard }

// lost says whether a packet is missing by the latest acknowledgement, though
// three after it arrived (RFC 9002 section 6.1.1, kPacketThreshold).
func (f *flight) lost() bool { return f.base < f.next && f.base+3 <= f.heard }

// each calls visit for every unsettled packet, from old to new, until it
// returns false.
func (f *flight) each(visit func(n int64, r *sentPacket) bool) {
	for n := f.base; n < f.next; n++ {
		if r := f.get(n); r != nil && !visit(n, r) {
			return
		}
	}
}

// acked applies an acknowledgement. It returns the largest number, and its
// record as it was if the acknowledgement settled it. ok is false if something
// was acknowledged that never was written.
func (f *flight) acked(a ackInfo) (largest int64, rec sentPacket, ok bool) {
	largest = f.next + int64(int16(a.largest-uint16(f.next)))
	if largest < 0 || largest >= f.next {
		return largest, rec, false
	}
	if r := f.get(largest); r != nil {
		rec = *r
		f.settle(largest)
	}
	for i := range int64(32) {
		if a.bitmap&(1<<i) != 0 {
			f.settle(largest - 1 - i)
		}
	}
	for f.base < f.next && f.base < largest-32 {
		f.settle(f.base)
	}
	f.heard = largest
	for n := max(f.base, largest-32); n < largest; n++ {
		if r := f.get(n); r != nil {
			r.lane.holes = largest // packets after it arrived: the lane waits for a retransmission
		}
	}
	return largest, rec, true
}

// rttEstimate smooths the round-trip time and knows the lowest of late.
type rttEstimate struct {
	smoothed  time.Duration
	low, last time.Duration // lowest in the present 10 s and in those before
	since     time.Time

	recent [rttRecent]time.Duration // the last samples, a ring
	count  int                      // of all samples
	change time.Duration            // from one sample to the next, smoothed
	middle time.Duration            // of the last three samples
}

const rttRecent = 9

func (r *rttEstimate) add(sample time.Duration, now time.Time) {
	sample = max(sample, time.Microsecond)
	r.recent[r.count%rttRecent] = sample
	r.count++
	r.vary()
	if r.smoothed == 0 {
		r.smoothed, r.low, r.last, r.since = sample, sample, sample, now
		return
	}
	r.smoothed += (sample - r.smoothed) / 8 // RFC 6298 section 2
	if now.Sub(r.since) > 10*time.Second {
		r.last, r.low, r.since = r.low, sample, now
	}
	r.low = min(r.low, sample)
}

// vary learns how different round trips are. Of three the middle one counts: what was
// lost and sent again is no sign of jitter.
func (r *rttEstimate) vary() {
	if r.count < 3 {
		return
	}
	before := r.middle
	last := [3]time.Duration{r.back(0), r.back(1), r.back(2)}
	slices.Sort(last[:])
	r.middle = last[1]
	if before > 0 {
		r.change += ((r.middle - before).Abs() - r.change) / 16 // as jitter in RFC 3550, 6.4.1
	}
}

// back is the sample so many before the last one.
func (r *rttEstimate) back(n int) time.Duration { return r.recent[(r.count-1-n)%rttRecent] }

// typical is the median of the last samples: what a round trip takes when nothing
// is lost. A sample that waited for a retransmission is far above it.
func (r *rttEstimate) typical() time.Duration {
	n := min(r.count, rttRecent)
	if n == 0 {
		return 0
	}
	sorted := r.recent
	slices.Sort(sorted[:n])
	return sorted[(n-1)/2]
}

// rttFew are the samples of a quarter of a second of talk.
const rttFew = 4

// queue is by how much the shortest of the last few round trips is above the
// shortest of all that are remembered. What was lost and sent again is no shortest
// one.
func (r *rttEstimate) queue() time.Duration {
	if r.count < rttFew {
		return 0
	}
	now := r.back(0)
	for i := range rttFew {
		now = min(now, r.back(i))
	}
	return now - min(r.shortest(), now)
}

// calmMost is by how much the usual round trip exceeds the shortest one where nothing
// waits on the way: scheduling on both sides.
const calmMost = 10 * time.Millisecond

// calm tells whether it is known that nothing waits on the way.
func (r *rttEstimate) calm() bool { return r.count >= rttRecent && r.agreed() }

// agreed tells whether most of the last samples are about the shortest.
func (r *rttEstimate) agreed() bool { return r.typical()-r.shortest() < calmMost }

// shortest is the lowest of all that are remembered.
func (r *rttEstimate) shortest() time.Duration { return min(r.low, r.last) }

// trusted is the round-trip time that bounds are made of: the smoothed one,
// but not so much of it as a growing queue adds.
func (r *rttEstimate) trusted() time.Duration {
	return min(r.smoothed, 2*r.shortest()+50*time.Millisecond)
}

const (
	swingShare = 6                      // of the usual change
	swingReach = 480 * time.Millisecond // that a round trip may take by it: far ones have as much room without
)

// swing is how much longer than usual a round trip may take on a path that jitters,
// with no more wrong than that. A growing queue makes each round trip hardly longer
// than the one before.
func (r *rttEstimate) swing() time.Duration {
	return min(swingShare*r.change, max(swingReach-r.trusted(), 0))
}
