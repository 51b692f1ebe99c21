package p2p

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

func TestWindowAcceptsEachNumberOnce(t *testing.T) {
	// Against a map, over wraps of the 16 bits, with disorder and gaps.
	random := rand.New(rand.NewPCG(1, 1))
	var w window
	seen := map[int64]bool{}
	var top, highest int64 = 0, -1
	for range 300_000 {
		if random.IntN(2) == 0 {
			top += int64(random.IntN(3))
		}
		if random.IntN(5000) == 0 {
			top += 5000 // a gap wider than the window
		}
		n := max(0, top-int64(random.IntN(1500)))
		got := w.unwrap(uint16(n))
		if got != n {
			t.Fatalf("%d unwraps as %d after %d", n, got, highest)
		}
		want := !seen[n] && n >= highest+1-windowSize
		if w.accept(n) != want {
			t.Fatalf("accept(%d) is %v after %d", n, !want, highest)
		}
		if want {
			seen[n] = true
			highest = max(highest, n)
		}
		if w.largest() != highest {
			t.Fatalf("largest is %d, want %d", w.largest(), highest)
		}
		if random.IntN(100) == 0 {
			for i := range int64(32) {
				if w.bitmap()>>i&1 == 1 != seen[highest-1-i] {
					t.Fatalf("bitmap %032b is wrong at bit %d", w.bitmap(), i)
				}
			}
		}
	}
}

func TestWindowRefusesWhatCannotBe(t *testing.T) {
	var w window
	if n := w.unwrap(0xffff); n != -1 || w.accept(n) {
		t.Errorf("the number before the first unwraps as %d and is accepted", n)
	}
	if !w.accept(0) || w.accept(0) || w.bitmap() != 0 {
		t.Error("number 0 isn't accepted once")
	}
}

func TestFlightSettlesWhatIsAcknowledgedOrOutOfReach(t *testing.T) {
	now := time.Unix(0, 0)
	const span = 20 * time.Millisecond
	lanes := []*lane{{holes: -1}, {holes: -1}}
	fill := func(n int) *flight {
		f := &flight{}
		for i := range n {
			if got := f.add(now, span, lanes[i%2]); got != int64(i) {
				t.Fatalf("number %d, want %d", got, i)
			}
		}
		return f
	}
	cases := []struct {
		name  string
		sent  int
		acks  []ackInfo
		count int
		ok    bool
	}{
		{"nothing acknowledged", 5, nil, 5, true},
		{"the first", 5, []ackInfo{{largest: 0}}, 4, true},
		{"all", 5, []ackInfo{{largest: 4, bitmap: 0xf}}, 0, true},
		{"all but one", 5, []ackInfo{{largest: 4, bitmap: 0xb}}, 1, true},
		{"twice", 5, []ackInfo{{largest: 4, bitmap: 0xb}, {largest: 4, bitmap: 0xb}}, 1, true},
		{"out of reach", 100, []ackInfo{{largest: 99}}, 32, true},
		{"never sent", 5, []ackInfo{{largest: 5}}, 5, false},
		{"below zero", 5, []ackInfo{{largest: 0xffff}}, 5, false},
		{"bitmap below zero", 5, []ackInfo{{largest: 0, bitmap: 1<<32 - 1}}, 4, true},
	}
	for _, c := range cases {
		for _, ln := range lanes {
			*ln = lane{holes: -1}
		}
		f := fill(c.sent)
		ok := true
		for _, a := range c.acks {
			_, _, good := f.acked(a)
			ok = ok && good
		}
		if ok != c.ok || f.count != c.count || f.span != time.Duration(c.count)*span || lanes[0].unacked+lanes[1].unacked != c.count {
			t.Errorf("%s: %v, %d unsettled of %v, %d and %d on the lanes", c.name, ok, f.count, f.span, lanes[0].unacked, lanes[1].unacked)
		}
	}
	for _, ln := range lanes {
		*ln = lane{holes: -1}
	}
	f := fill(7)
	_, _, _ = f.acked(ackInfo{largest: 4, bitmap: 0b1010})
	if f.waits(lanes[0]) || !f.waits(lanes[1]) {
		t.Error("the lane that waits for a retransmission isn't the one that is known")
	}
	f.settleLane(lanes[1])
	if f.count != 1 || lanes[1].unacked != 0 || f.waits(lanes[1]) {
		t.Errorf("%d unsettled after one lane was given up", f.count)
	}
}

func TestLaneCount(t *testing.T) {
	const ms = time.Millisecond
	cases := []struct {
		cfg     Config
		striped bool
		lossy   bool
		rtt     time.Duration
		joined  int
		want    int
	}{
		{Config{}, true, false, 0, 1, 8},
		{Config{}, true, false, 10 * ms, 1, 4},
		{Config{}, true, false, 80 * ms, 1, 8},
		{Config{}, true, false, 150 * ms, 1, 13},
		{Config{}, true, false, 500 * ms, 1, 16},
		{Config{}, true, false, 500 * ms, 17, 8},
		{Config{}, true, false, 500 * ms, 33, 4},
		{Config{}, false, false, 80 * ms, 1, 1},
		{Config{}, true, true, 10 * ms, 1, 16},
		{Config{}, true, true, 0, 17, 8},
		{Config{}, true, true, 10 * ms, 33, 4},
		{Config{}, false, true, 80 * ms, 1, 1},
		{Config{MaxLanes: 6}, true, true, 10 * ms, 1, 6},
		{Config{PacketInterval: 10 * ms}, true, false, 80 * ms, 1, 15},
		{Config{MaxLanes: 6}, true, false, 80 * ms, 1, 6},
		{Config{Lanes: 3}, true, false, 80 * ms, 1, 3},
		{Config{Lanes: 99}, true, false, 80 * ms, 1, 16},
	}
	for _, c := range cases {
		if got := c.cfg.withDefaults().laneCount(c.striped, c.lossy, c.rtt, c.joined); got != c.want {
			t.Errorf("%+v: %d lanes", c, got)
		}
	}
}

func TestTrustedRoundTripTimeFollowsAQueueOnlySoFar(t *testing.T) {
	var r rttEstimate
	now := time.Unix(0, 0)
	for range 100 {
		r.add(40*time.Millisecond, now)
		now = now.Add(100 * time.Millisecond)
	}
	if got := r.trusted(); got != 40*time.Millisecond {
		t.Errorf("trusted %v of a steady 40 ms", got)
	}
	for range 50 {
		r.add(2*time.Second, now)
		now = now.Add(100 * time.Millisecond)
	}
	if r.smoothed < time.Second || r.trusted() > 130*time.Millisecond {
		t.Errorf("smoothed %v, trusted %v while a queue grows", r.smoothed, r.trusted())
	}
	for range 300 {
		r.add(400*time.Millisecond, now)
		now = now.Add(100 * time.Millisecond)
	}
	if got := r.trusted(); got < 390*time.Millisecond {
		t.Errorf("trusted %v half a minute after the path became longer", got)
	}
}

func TestBucket(t *testing.T) {
	b := newBucket(2, 4)
	now, taken := time.Unix(0, 0), 0
	for range 1000 { // 10 s
		if b.take(now) {
			taken++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if taken != 23 && taken != 24 {
		t.Errorf("%d tokens in 10 s at 2 a second and a burst of 4", taken)
	}
}

func TestTypicalRoundTripTimeIsNotThatOfARetransmission(t *testing.T) {
	var r rttEstimate
	now := time.Now()
	for i := range 20 {
		sample := 50 * time.Millisecond
		if i%3 == 0 {
			sample = 210 * time.Millisecond
		}
		r.add(sample, now)
		now = now.Add(60 * time.Millisecond)
		if got := r.typical(); i > 0 && got != 50*time.Millisecond {
			t.Errorf("after %d samples %v", i+1, got)
		}
	}
	for range rttRecent {
		r.add(300*time.Millisecond, now)
	}
	if got := r.typical(); got != 300*time.Millisecond {
		t.Errorf("a way that became longer takes %v", got)
	}
}

// Only where round trips differ from one to the next may one take longer: neither what
// was lost and sent again does that, nor a queue that grows, nor a path that is far
// anyway.
func TestRoundTripsSwingWhereThereIsJitter(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name        string
		sample      func(i int) time.Duration
		least, most time.Duration
	}{
		{"steady", func(int) time.Duration { return 50 * ms }, 0, 0},
		{"one in five sent again", func(i int) time.Duration { return 50*ms + time.Duration(i%5/4)*150*ms }, 0, 0},
		{"a queue that grows", func(i int) time.Duration { return 50*ms + time.Duration(i)*ms }, 0, 6 * ms},
		{"jitter", func(i int) time.Duration { return 60*ms + time.Duration(i/3%2)*100*ms }, 150 * ms, 250 * ms},
		{"more jitter", func(i int) time.Duration { return 60*ms + time.Duration(i/3%2)*400*ms }, 250 * ms, swingReach - 60*ms},
		{"far, with jitter", func(i int) time.Duration { return 500*ms + time.Duration(i/3%2)*100*ms }, 0, 0},
	} {
		var r rttEstimate
		for i := range 200 {
			r.add(c.sample(i), time.Unix(0, int64(i)*int64(20*ms)))
		}
		if got := r.swing(); got < c.least || got > c.most {
			t.Errorf("%s: swing %v, want %v to %v", c.name, got, c.least, c.most)
		}
	}
}

// A relay that cuts without a word is left in two steps: from half of what it
// allows on for any other, and near the end for one that is worn too.
func TestWearOfACircuit(t *testing.T) {
	opened := time.Unix(1000, 0)
	limited := func(sent, got uint64) *path {
		return &path{sent: sent, got: got, budget: budget{data: 128 << 10, from: opened, ends: opened.Add(2 * time.Minute)}}
	}
	for _, c := range []struct {
		pt    *path
		after time.Duration
		want  wear
	}{
		{&path{sent: 1 << 40}, time.Hour, unworn}, // no limit
		{limited(0, 0), -time.Second, unworn},     // the relay's clock is ahead
		{limited(56<<10, 56<<10), time.Second, unworn},
		{limited(57<<10, 0), time.Second, worn},
		{limited(0, 57<<10), time.Second, worn},
		{limited(105<<10, 105<<10), time.Second, spent},
		{limited(1<<20, 0), time.Second, spent},
		{limited(0, 0), time.Minute, unworn},
		{limited(0, 0), time.Minute + 1, worn},
		{limited(0, 0), 106 * time.Second, spent},
	} {
		if got := c.pt.wear(opened.Add(c.after)); got != c.want {
			t.Errorf("%d and %d bytes in %v: wear %d, want %d", c.pt.sent, c.pt.got, c.after, got, c.want)
		}
	}
	now := opened.Add(time.Second)
	order := []*path{limited(120<<10, 0), limited(60<<10, 0), limited(1<<10, 0), {class: connClass{kind: link.Direct}}}
	order[0].senior = true
	for n := range len(order) - 1 {
		if order[n].rank(now) >= order[n+1].rank(now) {
			t.Errorf("path %d is taken for as good as path %d", n, n+1)
		}
	}
}

// While another circuit is searched for, nothing else is, unless that goes on for
// long: a relay may not give a second one.
func TestASearchForACircuitGoesFirst(t *testing.T) {
	now := time.Unix(1000, 0)
	best := &path{class: connClass{kind: link.Relayed}, cur: &control{}, sent: 70 << 10, budget: budget{data: 128 << 10}}
	p := &pair{t: &Transport{node: &Node{}}, far: 1, best: best, paths: []*path{best}}
	if better, safer := p.aimsLocked(now); better != aimDirect || safer != aimRenew {
		t.Fatalf("aims %d and %d", better, safer)
	}
	soon := now.Add(time.Second)
	for tries := range 2 * renewAlone {
		p.guard = seeking{aim: aimRenew, running: true, tries: tries}
		p.seek = seeking{aim: aimDirect, at: soon}
		if both := p.keepSeekLocked(now).Equal(soon); both != (tries >= renewAlone) {
			t.Errorf("after %d tries: a direct way is looked for: %t", tries, both)
		}
	}
}
