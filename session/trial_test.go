package session

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// shortQueue is a way to one listener that drops what is too much: its queue is short.
type shortQueue struct {
	rate  float64 // kb/s
	queue time.Duration
	lost  float64 // share that is lost whatever is sent

	now  time.Time
	st   reportState
	plan plan
	sent float64 // kb/s, sums over the ticks
	got  float64
	n    int
	few  int // ticks in which a trial was under way
}

func newShortQueue(rate float64, queue time.Duration, lost float64) *shortQueue {
	s := &shortQueue{rate: rate, queue: queue, lost: lost, now: time.Unix(1000, 0)}
	s.st = reportState{start: easyStart{over: true}, carries: newCongestion()}
	s.st.path = link.Path{Kind: link.Direct, RTT: 50 * time.Millisecond}
	return s
}

// drive has us speak for a time.
func (s *shortQueue) drive(d time.Duration) {
	f := usualFormat()
	s.sent, s.got, s.n, s.few = 0, 0, 0, 0
	for tick := range int(d / controlTick) {
		s.now = s.now.Add(controlTick)
		r := f.rates(s.plan)
		queue, loss := time.Duration(0), s.lost
		if r.sending > s.rate || s.lost > 0 {
			queue = s.queue
		}
		loss += (1 - loss) * max(0, 1-s.rate/r.sending)
		if tick%int(reportInterval/controlTick) == 0 {
			s.st.heard(lossReport{network: loss, burst: 1})
		}
		s.st.hear(s.now, queue, r)
		s.plan = f.choose(s.st.network(s.now, f.rate(little), false), s.plan)
		s.sent += r.sending
		s.got += r.sending * (1 - loss)
		s.n++
		if s.st.trial.underway() {
			s.few++
		}
	}
}

// What a short queue drops looks like chance, which copies would be good for. They
// make it worse there.
func TestAWayThatDropsIsKeptFree(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		queue time.Duration
	}{{50, 40 * time.Millisecond}, {60, 30 * time.Millisecond}, {70, 25 * time.Millisecond}, {55, 0}} {
		s := newShortQueue(c.rate, c.queue, 0)
		s.drive(20 * time.Second)
		first := 1 - s.got/s.sent
		s.drive(2 * time.Minute)
		lost := 1 - s.got/s.sent
		t.Logf("%v kb/s, queue of %v: %.1f %% dropped in 20 s, %.1f %% in the two minutes after it", c.rate, c.queue, 100*first, 100*lost)
		if first == 0 || lost > 0.03 {
			t.Errorf("%v kb/s, queue of %v: %.1f %% dropped", c.rate, c.queue, 100*lost)
		}
	}
}

// Losses that have other reasons are left alone once that was found out, and copies sent.
func TestLossesOfOthersDontLimitAWay(t *testing.T) {
	for _, c := range []struct {
		lost  float64
		queue time.Duration
	}{{0.05, 30 * time.Millisecond}, {0.2, 30 * time.Millisecond}, {0.2, 0}, {0.4, 0}} {
		s := newShortQueue(10000, c.queue, c.lost)
		s.drive(5 * time.Minute)
		first := s.few
		s.drive(5 * time.Minute)
		t.Logf("%v lost, queue of %v: %d and %d of 3000 ticks each are trials'", c.lost, c.queue, first, s.few)
		if none := c.queue == 0 && c.lost < trialAlone; none != (first == 0) || first > 155 || s.few > 55 {
			t.Errorf("%v lost, queue of %v: %d and %d of 3000 ticks each are trials'", c.lost, c.queue, first, s.few)
		}
		if !s.st.trial.underway() && s.plan.copies == 0 {
			t.Errorf("%v lost, queue of %v: no copies", c.lost, c.queue)
		}
	}
}

// Where no more than little is sent there is nothing to find out, and losses that there
// always were don't become suspicious by a raise.
func TestNoTrialWithoutAReason(t *testing.T) {
	s := newShortQueue(10000, 40*time.Millisecond, 0.1)
	s.st.carries.limit = usualFormat().rate(little)
	s.st.carries.cut, s.st.carries.calm = s.now, s.now
	if s.drive(10 * time.Second); s.few > 0 {
		t.Errorf("%d ticks of trials while little was sent", s.few)
	}
	s = newShortQueue(10000, 0, 0.15)
	s.st.carries.raised = s.now
	if s.drive(15 * time.Second); s.few > 0 {
		t.Errorf("%d ticks of trials after a raise on a way that was never full", s.few)
	}
}

// A trial in which nobody spoke tells nothing: the next one may begin at once.
func TestATrialInSilenceTellsNothing(t *testing.T) {
	s := newShortQueue(50, 40*time.Millisecond, 0)
	for !s.st.trial.underway() {
		if s.drive(controlTick); s.now.Sub(time.Unix(1000, 0)) > time.Minute {
			t.Fatal("no trial")
		}
	}
	s.now = s.now.Add(time.Minute)
	limit := s.st.carries.limit
	if s.drive(controlTick); s.st.trial.underway() || s.st.carries.limit != limit || s.st.trial.rest != 0 {
		t.Errorf("under way: %v; may send %v, was %v; rests %v", s.st.trial.underway(), s.st.carries.limit, limit, s.st.trial.rest)
	}
}

// What a way loses tells nothing of another.
func TestATrialEndsWithItsWay(t *testing.T) {
	s := newShortQueue(10000, 40*time.Millisecond, 0.2)
	s.drive(15 * time.Second)
	if !s.st.trial.settled(s.now, 0.2) {
		t.Fatal("losses of others weren't found out in 15 s")
	}
	s.st.moved()
	if s.st.trial.settled(s.now, 0.2) || s.st.trial.underway() {
		t.Error("what was found out about one way counts on another")
	}
	s.drive(5 * time.Second)
	if !s.st.trial.underway() {
		t.Error("no trial on the new way")
	}
}
