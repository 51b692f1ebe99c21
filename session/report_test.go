package session

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p/link"
)

// What is missing on a way that keeps the order is what the sender left out, since
// the way was full: a copy would only fill it more.
func TestNoCopiesWhereEverythingKeepsItsOrder(t *testing.T) {
	now := time.Now()
	f := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond})
	for _, reports := range []int{0, 1, surelyReports, 100} {
		for _, loss := range []float64{0.02, 0.1, 0.8} {
			st := reportState{start: easyStart{over: true}, reports: reports, loss: loss, last: lossReport{network: loss, burst: 1}, carries: newCongestion()}
			st.path = link.Path{Kind: link.Direct, RTT: 50 * time.Millisecond}
			if p := f.on(st.path, true).choose(st.network(now, f.rate(little), false), plan{}); p.copies == 0 && loss < 0.5 {
				t.Errorf("%d reports, %.2f lost: no copies on a way that doesn't keep the order", reports, loss)
			}
			for _, kind := range []link.Kind{link.Relayed, link.Direct} {
				st.path = link.Path{Kind: kind, RTT: 50 * time.Millisecond, Ordered: true}
				if p := f.on(st.path, true).choose(st.network(now, f.rate(little), false), plan{copies: back(1)}); p != (plan{}) {
					t.Errorf("%d reports, %.2f lost, %v: %+v", reports, loss, kind, p)
				}
			}
		}
	}
}

// On a way that carries little, what a packet costs beside its frames decides: more
// of it through a relay, and so pairs are made sooner there.
func TestPacketsThroughARelayCostMore(t *testing.T) {
	f := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond})
	relayed := f.on(link.Path{Kind: link.Relayed, Ordered: true}, false)
	for _, p := range plans {
		more := 50 * relayedOverhead * 8 / 1000.
		more /= float64(1 + p.twins)
		if got := relayed.rate(p) - f.rate(p); math.Abs(got-more) > 1e-9 {
			t.Errorf("%+v takes %.2f kb/s more through a relay, want %.2f", p, got, more)
		}
	}
	n := network{rtt: 50 * time.Millisecond, limit: f.rate(plan{}) + 1}
	if direct, through := f.choose(n, plan{}), relayed.choose(n, plan{}); direct != (plan{}) || through.twins == 0 {
		t.Errorf("with %.0f kb/s %+v directly, %+v through a relay", n.limit, direct, through)
	}
}

// Little is sent through a relay, and on a way whose round trip is long, until nothing
// waited for a while, and what is found to be too much then ends where it began. A
// quick direct way is used at once.
func TestLittleIsSentAtFirstWhereMoreMayBeTooMuch(t *testing.T) {
	const ms = time.Millisecond
	f := formatOf(codec.Config{FrameDuration: 20 * ms})
	never := 99
	wait := func(ticks int, queue time.Duration) []time.Duration {
		return slices.Repeat([]time.Duration{queue}, ticks)
	}
	for name, c := range map[string]struct {
		kind   link.Kind
		rtts   []time.Duration // at each tick, the last for ever
		queues []time.Duration // at each tick, none later
		over   int             // the tick at which the start is over
		proven bool            // it is known then that nothing waits
	}{
		"direct":                     {link.Direct, wait(1, 50*ms), nil, 0, false},
		"direct, far":                {link.Direct, wait(1, 150*ms), nil, 15, true},
		"direct, always a queue":     {link.Direct, wait(1, 150*ms), wait(40, 40*ms), never, false},
		"direct, an answer was late": {link.Direct, append(wait(3, 130*ms), 60*ms), nil, 3, false},
		"direct, and not much less":  {link.Direct, append(wait(3, 130*ms), 78*ms), nil, 19, true},
		"direct, a queue goes":       {link.Direct, []time.Duration{400 * ms, 350 * ms, 300 * ms, 250 * ms, 200 * ms, 150 * ms, 145 * ms}, nil, 21, true},
		"direct, known late":         {link.Direct, append(wait(12, 0), 150*ms), nil, 27, true},
		"direct, unknown":            {link.Direct, wait(1, 0), nil, 35, true},
		"relayed":                    {link.Relayed, wait(1, 50*ms), nil, 5, true},
		"relayed, a queue at first":  {link.Relayed, wait(1, 50*ms), wait(3, 40*ms), 8, true},
		"relayed, always a queue":    {link.Relayed, wait(1, 50*ms), wait(40, 40*ms), never, false},
		"relayed, unknown":           {link.Relayed, wait(1, 0), nil, never, false},
	} {
		now := time.Now()
		st := reportState{reports: surelyReports, carries: newCongestion(), path: link.Path{Kind: c.kind}}
		for tick := range 40 {
			st.path.RTT = c.rtts[min(tick, len(c.rtts)-1)]
			queue := time.Duration(0)
			if tick < len(c.queues) {
				queue = c.queues[tick]
			}
			if ends := st.start.look(now, st.path, queue, true); ends != (c.proven && tick == c.over) {
				t.Errorf("%s: tick %d ends it: %t", name, tick, ends)
			}
			want := plan{}
			if tick < c.over {
				want = little
			}
			on := f.on(st.path, true)
			if p := on.choose(st.network(now, on.rate(little), false), plan{}); p != want {
				t.Errorf("%s: after tick %d %+v", name, tick, p)
			}
			now = now.Add(controlTick)
		}
	}
	var moved easyStart
	now := time.Now()
	moved.look(now, link.Path{Kind: link.Direct, RTT: 50 * ms}, 0, true)
	if !moved.over {
		t.Fatal("a quick direct way isn't used at once")
	}
	if moved.look(now, link.Path{Kind: link.Relayed, RTT: 50 * ms}, 0, true); moved.over {
		t.Error("through a relay, to which the voice moves, as much is sent as before")
	}
	for range 30 {
		now = now.Add(controlTick)
		if moved.look(now, link.Path{Kind: link.Relayed, RTT: 50 * ms}, 0, false) || moved.over {
			t.Fatal("it ended while nobody spoke")
		}
	}
}

// What was lost while a queue of the start was there says nothing of the way: copies,
// which losses are a reason for otherwise, would bring the queue back.
func TestLossesInAQueueOfTheStartAreForgotten(t *testing.T) {
	const ms = time.Millisecond
	f := formatOf(codec.Config{FrameDuration: 20 * ms})
	for _, queued := range []time.Duration{0, 100 * ms} {
		now := time.Now()
		path := link.Path{Kind: link.Direct, RTT: 150 * ms}
		st := reportState{reports: surelyReports, loss: 0.2, last: lossReport{network: 0.2, burst: 1}, carries: newCongestion(), path: path}
		r := f.rates(little)
		st.begins(now, queued, true, r)
		for !st.start.over {
			now = now.Add(controlTick)
			st.begins(now, 0, true, r)
		}
		n := st.network(now, 0, false)
		if queued > 0 && (n.loss != 0 || st.loss != 0) {
			t.Errorf("after a queue of %v: a loss of %.2f, remembered as %.2f", queued, n.loss, st.loss)
		}
		if queued == 0 && n.loss != 0.2 {
			t.Errorf("without a queue: a loss of %.2f, want what was reported", n.loss)
		}
	}
}

// After an interruption a start begins anew, for the connection may be another; when
// voice moves from one way to another, or a path is as it was, it doesn't.
func TestAStartBeginsAnewAfterAnInterruption(t *testing.T) {
	c := still(t, &loop{}, 1)
	p := c.roster.list()[0]
	c.PathChanged(p.id, link.Path{Kind: link.LAN, Epoch: 1})
	for _, path := range []struct {
		link.Path
		over bool
	}{
		{link.Path{Kind: link.LAN, Epoch: 1}, true},
		{link.Path{Kind: link.Direct, Epoch: 1}, true},
		{link.Path{Kind: link.None, Epoch: 1, Reason: "no answer for 2.5 s"}, true},
		{link.Path{Kind: link.Direct, Epoch: 1}, false},
	} {
		p.report.start.over = true
		c.PathChanged(p.id, path.Path)
		if p.report.start.over != path.over {
			t.Errorf("after a path of kind %v a start is over: %t", path.Kind, !path.over)
		}
	}
}

// How much a far link bears depends on how much it loses, which a few reports don't tell.
func TestLittleIsSentFarUntilTheLossIsKnown(t *testing.T) {
	path := link.Path{Kind: link.Direct, RTT: 300 * time.Millisecond}
	for reports, want := range map[int]int{surelyReports: 0, knownReports - 1: 0, knownReports: 1, 100: 1} {
		st := reportState{reports: reports, loss: 0.03, last: lossReport{network: 0.03, burst: 1}, carries: newCongestion(), path: path}
		st.start.over = true
		f := usualFormat()
		if got := f.choose(st.network(time.Now(), f.rate(little), false), plan{}).copies.count(); got != want {
			t.Errorf("after %d reports %d copies, want %d", reports, got, want)
		}
	}
}

// Round trips that are long since packets come unsteadily show no queue, one way or the
// other; those that are longer still do, and on a way that keeps the order all do.
func TestJitterIsNoQueue(t *testing.T) {
	const ms = time.Millisecond
	direct := link.Path{Kind: link.Direct, RTT: 50 * ms}
	ordered := link.Path{Kind: link.Relayed, RTT: 50 * ms, Ordered: true}
	for _, c := range []struct {
		path                link.Path
		there, back, longer time.Duration
		falls               bool
	}{
		{direct, 25 * ms, 25 * ms, 100 * ms, false},
		{direct, 45 * ms, 0, 100 * ms, false},
		{direct, 0, 45 * ms, 100 * ms, false},
		{direct, 25 * ms, 25 * ms, 120 * ms, true},
		{direct, 3 * ms, 3 * ms, 70 * ms, true},
		{ordered, 25 * ms, 25 * ms, 70 * ms, true},
	} {
		st := reportState{start: easyStart{over: true}, carries: newCongestion(), path: c.path}
		f := usualFormat().on(c.path, true)
		now := time.Unix(1000, 0)
		for range 40 {
			now = now.Add(controlTick)
			st.heard(lossReport{jitter: c.there})
			st.hear(now, st.waiting.queue(now, c.path, c.longer, c.back), f.rates(plan{}))
		}
		if fell := !math.IsInf(st.carries.limit, 1); fell != c.falls {
			t.Errorf("%v, jitter of %v and %v, round trips %v longer: fell %v, want %v", c.path.Kind, c.there, c.back, c.longer, fell, c.falls)
		}
		st.moved()
		if got := st.waiting.queue(now, c.path, c.longer, 0); got != c.longer {
			t.Errorf("on another way a queue of %v, want %v: nobody reported jitter there", got, c.longer)
		}
	}
}
