package jitter

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestNetworkLoss(t *testing.T) {
	tests := map[string]struct {
		seqs           []int // 20 ms apart, or after a 0 at once; negative ones as copies
		expected, lost uint64
		bursts         uint64
		burst          float64
	}{
		"none":                        {[]int{1, 2, 3, 4, 5}, 2, 0, 0, 0},
		"one":                         {[]int{1, 2, 4, 5, 6, 7}, 4, 1, 1, 1},
		"overtaken by one":            {[]int{1, 3, 2, 4, 5}, 2, 0, 0, 0},
		"overtaken by two":            {[]int{1, 3, 4, 2, 5, 6}, 3, 1, 1, 1},
		"by two, for a moment":        {[]int{1, 3, 4, 0, 2, 5, 6, 7}, 4, 0, 0, 0},
		"a copy is no arrival":        {[]int{1, 2, 4, -3, 5, 6, 7}, 4, 1, 1, 1},
		"a burst of three":            {[]int{1, 2, 6, 7, 8, 9}, 6, 3, 1, 3},
		"bursts of one and three":     {[]int{1, 3, 4, 5, 9, 10, 11, 12}, 9, 4, 2, 2},
		"lost at the end isn't known": {[]int{1, 2, 3}, 0, 0, 0, 0},
		"duplicates":                  {[]int{1, 1, 2, 2, 3, 3, 4, 4}, 1, 0, 0, 0},
		"a long outage":               {[]int{1, 2, 1002, 1003, 1004, 1005}, 1002, 999, 1, 999},
		"a stall, out of order after": {[]int{1, 2, 0, 7, 0, 9, 0, 8, 0, 3, 0, 6, 0, 5, 0, 4, 10, 11, 12, 13}, 10, 0, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			at := 100
			for _, n := range tt.seqs {
				if n == 0 {
					at -= 20
					continue
				}
				p := voice(max(n, -n))
				p.Copy = n < 0
				b.Push(p, ms(at))
				at += 20
			}
			s := b.Stats()
			if s.Expected != tt.expected || s.Lost != tt.lost || s.LossBursts != tt.bursts || math.Abs(s.Burst-tt.burst) > 1e-9 {
				t.Errorf("expected %d lost %d bursts %d of %v, want %d %d %d %v",
					s.Expected, s.Lost, s.LossBursts, s.Burst, tt.expected, tt.lost, tt.bursts, tt.burst)
			}
		})
	}
}

// TestInterarrivalJitter follows RFC 3550 section 6.4.1 by hand.
func TestInterarrivalJitter(t *testing.T) {
	b := New(Config{})
	arrivals := []int{20, 48, 60, 96} // deviations of 8, 8 and 16 ms
	want := 0.0
	for n, at := range arrivals {
		b.Push(voice(n), ms(at))
		if n > 0 {
			d := math.Abs(float64(at-arrivals[n-1]) - 20)
			want += (d - want) / 16
		}
	}
	if got := float64(b.Stats().Jitter) / float64(time.Millisecond); math.Abs(got-want) > 0.03 {
		t.Errorf("jitter %v ms, want %v", got, want)
	}
}

// A frame that waited for the next one, to travel with it, and one that was lost and sent
// again are late, and the network is as steady as ever.
func TestWhatWaitsForOthersIsNoJitter(t *testing.T) {
	b := New(Config{})
	for n := 0; n < 50; n += 2 {
		twin := voice(n)
		twin.Twin = true
		b.Push(twin, ms(20*n+40))
		b.Push(voice(n+1), ms(20*n+40))
	}
	if got := b.Stats().Jitter; got != 0 {
		t.Errorf("frames in pairs: jitter %v", got)
	}
	for n := 50; n < 100; n++ {
		if n%5 > 0 {
			b.Push(voice(n), ms(20*n+20))
		}
		if n%5 == 3 {
			b.Push(voice(n-3), ms(20*n+27))
		}
	}
	if st := b.Stats(); st.Jitter != 0 || st.Received != 100 {
		t.Errorf("one in five sent again: jitter %v, %d came", st.Jitter, st.Received)
	}
	b.Push(voice(100), ms(2020+16))
	if got := b.Stats().Jitter; got != time.Millisecond {
		t.Errorf("16 ms late: jitter %v, want 1 ms", got)
	}
}

func TestDelaySumIsPerSampleAndWaitSumPerPacketBothWithTheQueue(t *testing.T) {
	b := New(Config{})
	b.Push(voice(0), ms(20))
	b.Push(voice(1), ms(40))
	// 960 samples that arrived at 20: half are emitted at 70, half at 80.
	if d := b.Pop(ms(70), 0); d.Action != Play || d.Samples != 960 {
		t.Fatalf("%+v", d)
	}
	want := time.Duration(480*50+480*60) * time.Millisecond
	wait := time.Duration(960*50) * time.Millisecond
	if got := b.Stats(); got.DelaySum != want || got.WaitSum != wait || got.Wait != 50*time.Millisecond {
		t.Errorf("sums are %v and %v, want %v and %v; the last wait was %v, want 50 ms", got.DelaySum, got.WaitSum, want, wait, got.Wait)
	}
	// 960 that arrived at 40, behind 120: 360 emitted at 90, 480 at 100, 120 at 110.
	if d := b.Pop(ms(90), 120); d.Action != Play {
		t.Fatalf("%+v", d)
	}
	want += time.Duration(360*50+480*60+120*70) * time.Millisecond
	// The first of them is heard 2.5 ms after 90.
	wait += time.Duration(960*52.5*1000) * time.Microsecond
	got := b.Stats()
	if got.DelaySum != want || got.WaitSum != wait {
		t.Errorf("sums are %v and %v, want %v and %v", got.DelaySum, got.WaitSum, want, wait)
	}
	if got.Wait <= 50*time.Millisecond || got.Wait >= 51*time.Millisecond {
		t.Errorf("smoothed wait is %v after 50 and 52.5 ms", got.Wait)
	}
	b.Reset()
	if got := b.Stats(); got.Wait != 0 || got.WaitSum != wait {
		t.Errorf("after Reset the wait is %v, want none, and its sum %v, want %v", got.Wait, got.WaitSum, wait)
	}
}

func TestResults(t *testing.T) {
	b := New(Config{})
	steps := []struct {
		name string
		p    Packet
		at   int
		want Result
	}{
		{"first", voice(10), 220, Accepted},
		{"again", voice(10), 221, Duplicate},
		{"its copy", copied(10), 222, Duplicate},
		{"one before it", voice(9), 223, Accepted},
		{"two ahead", voice(12), 260, Accepted},
		{"overlap with the one after", with(voice(11), func(p *Packet) { p.Samples = 1920 }), 261, Rejected},
		{"a copy of the one between", copied(11), 261, Accepted},
		{"that one itself", voice(11), 262, Duplicate},
		{"no audio and no end", Packet{Seq: 13, Timestamp: 13 * 960, Spurt: 1}, 280, Rejected},
		{"shorter than any packet", with(voice(13), func(p *Packet) { p.Samples = 119 }), 280, Rejected},
		{"longer than any packet", with(voice(13), func(p *Packet) { p.Samples = 2881 }), 280, Rejected},
		{"overlap with the one before", with(voice(13), func(p *Packet) { p.Timestamp-- }), 280, Rejected},
		{"an older spurt", with(voice(13), func(p *Packet) { p.Spurt = 0 }), 280, Rejected},
		{"too far ahead", voice(13 + aheadLimit), 280, Rejected},
		{"too far behind", voice(12 - historyLen), 280, Rejected},
	}
	for _, s := range steps {
		if got := b.Push(s.p, ms(s.at)); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}
	for at := 300; at < 400; at += 20 {
		b.Pop(ms(at), 0)
	}
	if got := b.Push(voice(8), ms(400)); got != Late {
		t.Errorf("one whose time has passed: %v", got)
	}
	if got := b.Push(voice(8), ms(401)); got != Duplicate {
		t.Errorf("the same once more: %v", got)
	}
}

func TestWhenNobodyAsksTheNewestIsKept(t *testing.T) {
	b := New(Config{})
	for n := range 1000 {
		if got := b.Push(voice(n), ms(20+n*20)); got != Accepted {
			t.Fatalf("packet %d: %v", n, got)
		}
	}
	s := b.Stats()
	if s.Held != MaxPackets || s.DiscardedSamples != 800*960 || b.order[0].seq != 800 {
		t.Errorf("%+v, first %d", s, b.order[0].seq)
	}
	d := b.Pop(ms(1000*20+50), 0)
	if d.Action != Play || !d.Skipped || d.Timestamp < 990*960 {
		t.Errorf("%+v: not live", d)
	}
}

func TestResetBeginsANewEpoch(t *testing.T) {
	b := New(Config{})
	for n := range 5 {
		b.Push(voice(1000+n), ms(20+20*n))
	}
	b.Pop(ms(100), 0)
	before := b.Stats()
	b.Reset()
	s := b.Stats()
	if s.Held != 0 || s.Received != before.Received || s.Target != 40*time.Millisecond || s.DiscardedSamples == 0 {
		t.Errorf("%+v", s)
	}
	if d := b.Pop(ms(110), 0); d.Action != Wait {
		t.Errorf("%+v after Reset", d)
	}
	if got := b.Push(voice(0), ms(120)); got != Accepted {
		t.Errorf("the first packet of the new epoch: %v", got)
	}
	if d := b.Pop(ms(165), 0); d.Action != Play || !d.Start || d.Skipped {
		t.Errorf("%+v", d)
	}
}

func TestPathChangePlaysWhatIsHeld(t *testing.T) {
	b := New(Config{})
	script(t, b, every(0, 9, 0, voice), 120)
	b.PathChanged()
	held := b.Stats().Held
	if got := b.Stats().Target; got != 40*time.Millisecond {
		t.Errorf("target %v, want that of a start", got)
	}
	if d := b.Pop(ms(140), 0); d.Action != Play || d.Start || b.Stats().Held != held-1 {
		t.Errorf("%+v with %d held", d, held)
	}
	for _, p := range every(10, 19, 60, voice) { // the new path is 60 ms slower
		b.Push(p.packet, ms(p.at))
	}
	s := b.Stats()
	if s.DiscardedSamples != 0 {
		t.Errorf("%d samples discarded", s.DiscardedSamples)
	}
	if base := b.est.transit(); base != 80*millisecond {
		t.Errorf("the fastest packet took %d samples, want those of the new path alone", base)
	}
}

func TestClockNeverGoesBackAndCountsNoTimeTwice(t *testing.T) {
	tests := map[string]struct {
		steps []time.Duration // since the epoch
		want  time.Duration
	}{
		"forwards":                       {[]time.Duration{0, 10, 20}, 20},
		"back and forth by a little":     {[]time.Duration{0, 100, 95, 200, 199, 150, 201}, 201},
		"back and forth many times":      {[]time.Duration{0, 100, 50, 100, 50, 100, 50, 100}, 100},
		"back by an hour, then onwards":  {[]time.Duration{0, 100, 100 - 3600e3, 110 - 3600e3, 105 - 3600e3, 120 - 3600e3}, 120},
		"back by a second, then onwards": {[]time.Duration{0, 5000, 4000, 4010}, 5010},
	}
	for name, tt := range tests {
		var c clock
		last := int64(-1)
		for _, at := range tt.steps {
			got := c.samples(epoch.Add(at * time.Millisecond))
			if got < last {
				t.Errorf("%s: %d after %d", name, got, last)
			}
			last = got
		}
		if last != int64(tt.want)*millisecond {
			t.Errorf("%s: %v at last, want %v ms", name, duration(last), int64(tt.want))
		}
	}
}

func TestStretchedIsCounted(t *testing.T) {
	b := New(Config{})
	b.Stretched(300)
	b.Stretched(-200)
	b.Stretched(50)
	if s := b.Stats(); s.RemovedSamples != 350 || s.InsertedSamples != 200 {
		t.Errorf("%+v", s)
	}
}

func TestConfigIsClamped(t *testing.T) {
	tests := []struct {
		cfg            Config
		minimum, start time.Duration
	}{
		{Config{}, 5 * time.Millisecond, 40 * time.Millisecond},
		{Config{MinDelay: -1, StartDelay: time.Millisecond}, 5 * time.Millisecond, 5 * time.Millisecond},
		{Config{MinDelay: 80 * time.Millisecond}, 80 * time.Millisecond, 80 * time.Millisecond},
		{Config{MinDelay: time.Hour, StartDelay: time.Hour, MaxDelay: 120 * time.Millisecond}, 100 * time.Millisecond, 100 * time.Millisecond},
		{Config{MaxDelay: time.Nanosecond}, 5 * time.Millisecond, 20 * time.Millisecond},
	}
	for _, tt := range tests {
		b := New(tt.cfg)
		if got := b.Stats().Target.Round(10 * time.Microsecond); got != tt.start {
			t.Errorf("%+v starts at %v, want %v", tt.cfg, got, tt.start)
		}
		for n := range 1000 {
			b.Push(voice(n), ms(20*n))
		}
		if got := b.Stats().Target.Round(10 * time.Microsecond); got != tt.minimum {
			t.Errorf("%+v comes down to %v, want %v", tt.cfg, got, tt.minimum)
		}
	}
}

// steady returns a step of 20 ms of a running conversation.
func steady(b *Buffer) func() {
	payload := make([]byte, 80)
	n, queued := 0, 0
	return func() {
		now := ms(n*20 + 20)
		p := Packet{Seq: int64(n), Timestamp: int64(n) * 960, Samples: 960, Spurt: 1, FEC: true, Payload: payload}
		if n%10 != 3 {
			b.Push(p, now)
		}
		n++
		for range 2 {
			for queued < 480 {
				d := b.Pop(now, queued)
				if d.Action == Wait {
					queued = 480
				}
				queued += d.Samples
			}
			queued -= 480
			now = now.Add(10 * time.Millisecond)
		}
	}
}

func TestNothingIsAllocatedAfterWarmUp(t *testing.T) {
	step := steady(New(Config{}))
	for range 500 {
		step()
	}
	if n := testing.AllocsPerRun(2000, step); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkPushPop(b *testing.B) {
	step := steady(New(Config{}))
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

func ExampleBuffer() {
	b := New(Config{})
	start := time.Now()
	// Three packets of 20 ms arrive on time, the second got lost, and the
	// third carries a coarse version of it.
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	b.Push(Packet{Seq: 0, Timestamp: 0, Samples: 960, Payload: []byte("one")}, at(20))
	b.Push(Packet{Seq: 2, Timestamp: 1920, Samples: 960, FEC: true, End: true, Payload: []byte("three")}, at(60))

	queued := 0 // samples decoded and not yet played
	for tick := 60; tick < 150; tick += 10 {
		for queued < 480 {
			d := b.Pop(at(tick), queued)
			if d.Action == Wait {
				queued = 480 // with silence
				break
			}
			names := map[Action]string{Play: "decode", Recover: "decode the FEC of", Conceal: "conceal"}
			fmt.Printf("%d ms: %s %s\n", tick, names[d.Action], d.Payload)
			queued += d.Samples
		}
		queued -= 480
	}
	// Output:
	// 60 ms: decode one
	// 80 ms: decode the FEC of three
	// 100 ms: decode three
}
