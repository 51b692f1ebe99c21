package session

import (
	"math"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

const (
	// jitterKnown is how many reports it takes to know the jitter of a way: it is
	// smoothed over 16 packets.
	jitterKnown = 4
	// jitterPart is how often the least is taken anew, beside that of the time before:
	// a queue that comes and goes makes packets unsteady too, but not for so long.
	jitterPart = 5 * time.Second
)

// waiting tells how long packets wait in queues on the way to a listener, from round
// trips, which take longer on a way that jitters too. The zero value is ready.
type waiting struct {
	reports   int
	there     time.Duration // jitter on the way to the listener, as last reported
	low, last time.Duration // least jitter of both ways in the present part, and in the one before
	since     time.Time
}

// report takes note of the jitter that a listener reports.
func (w *waiting) report(jitter time.Duration) {
	w.reports++
	w.there = jitter
}

// queue is how long packets wait, by how much longer even the shortest of the last few
// round trips took than the shortest of all: less the interarrival jitter that was there
// and back together all the time. With an exponential distribution, order kept, most are
// not longer than that without a queue.
func (w *waiting) queue(now time.Time, path link.Path, longer, back time.Duration) time.Duration {
	if path.Ordered {
		return longer // what is lost there looks like jitter
	}
	if w.reports < jitterKnown {
		return longer
	}
	return max(0, longer-w.least(now, w.there+back))
}

// least is the least jitter of late.
func (w *waiting) least(now time.Time, jitter time.Duration) time.Duration {
	if w.since.IsZero() {
		w.low, w.last, w.since = math.MaxInt64, math.MaxInt64, now
	}
	if now.Sub(w.since) >= jitterPart {
		w.last, w.low, w.since = w.low, math.MaxInt64, now
	}
	w.low = min(w.low, jitter)
	return min(w.low, w.last)
}
