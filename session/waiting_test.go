package session

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// What a queue does to the jitter while it lasts is no reason to see less of it, nor is
// what few packets show; what is there all the time is.
func TestOnlyJitterThatStaysIsTakenOffAQueue(t *testing.T) {
	const ms = time.Millisecond
	direct := link.Path{Kind: link.Direct, RTT: 50 * ms}
	var w waiting
	now := time.Unix(1000, 0)
	drive := func(d, there, back time.Duration) (queue time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(controlTick) {
			if now.UnixMilli()%reportInterval.Milliseconds() == 0 {
				w.report(there)
			}
			queue = w.queue(now, direct, 100*ms, back)
		}
		return queue
	}
	for _, step := range []struct {
		what              string
		d                 time.Duration
		there, back, want time.Duration
	}{
		{"few packets", 3 * reportInterval, 30 * ms, 30 * ms, 100 * ms},
		{"steady", 10 * time.Second, 2 * ms, 3 * ms, 95 * ms},
		{"a queue that makes packets unsteady", 4 * time.Second, 30 * ms, 20 * ms, 95 * ms},
		{"steady again", 5 * time.Second, 2 * ms, 3 * ms, 95 * ms},
		{"a network that does", 10*time.Second + reportInterval, 30 * ms, 20 * ms, 50 * ms},
		{"one way that does", 10*time.Second + reportInterval, 0, 40 * ms, 60 * ms},
		{"more than round trips do", 10*time.Second + reportInterval, 80 * ms, 40 * ms, 0},
		{"steady at last", reportInterval, 0, 0, 100 * ms},
	} {
		if got := drive(step.d, step.there, step.back); got != step.want {
			t.Errorf("%s: a queue of %v, want %v", step.what, got, step.want)
		}
	}
}
