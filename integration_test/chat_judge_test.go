package integration_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// chatAttempts is how often a call is made if other programs keep the
	// processors busy.
	chatAttempts = 2

	// chatBusy is the share of the machine that other programs may take for
	// the delay of a call to mean something.
	chatBusy = 0.1
)

// judge makes a call and fails if it had faults, unless other programs took so
// much of the machine that they tell nothing, and did so again.
func judge(t *testing.T, attempt func() (faults []string)) {
	t.Helper()
	for n := 1; ; n++ {
		before := processorsNow()
		faults := attempt()
		busy := processorsNow().othersSince(before)
		t.Logf("other programs took %.0f %% of the machine", 100*busy)
		switch {
		case len(faults) == 0:
			return
		case busy < chatBusy:
			t.Fatal(strings.Join(faults, "; "))
		case n == chatAttempts:
			t.Skipf("NOT JUDGED: other programs took %.0f %% of the machine, and %s", 100*busy, strings.Join(faults, "; "))
		}
	}
}

// processors is processor time: of all, of that idle, and of that used by this
// process and its children that have ended.
type processors struct{ all, idle, own time.Duration }

func processorsNow() (p processors) {
	const tick = 10 * time.Millisecond   // of /proc/stat
	stat, _ := os.ReadFile("/proc/stat") // without it all is 0, and nothing excused
	var cpu [8]time.Duration             // user, nice, system, idle, iowait, irq, softirq, steal
	_, _ = fmt.Sscan(strings.TrimPrefix(string(stat), "cpu"), &cpu[0], &cpu[1], &cpu[2], &cpu[3], &cpu[4], &cpu[5], &cpu[6], &cpu[7])
	for _, n := range cpu {
		p.all += n * tick
	}
	p.idle = (cpu[3] + cpu[4]) * tick
	self, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(self), ") ") // behind the name
	if fields := strings.Fields(rest); len(fields) > 14 {
		for _, field := range fields[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(field, 10, 64)
			p.own += time.Duration(n) * tick
		}
	}
	return p
}

// othersSince is the share of all time that other programs took.
func (p processors) othersSince(before processors) float64 {
	all := p.all - before.all
	if all <= 0 {
		return 0
	}
	return float64(all-(p.idle-before.idle)-(p.own-before.own)) / float64(all)
}
