package jitter

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestFastestPacketIsRememberedThroughSilence(t *testing.T) {
	const fast, slow = 20 * millisecond, 35 * millisecond
	tests := map[string]struct {
		silence int64
		later   int64 // transit of the packets after it
		want    int64
	}{
		"of ten seconds":                {10 * second, slow, fast},
		"but not of a minute":           {60 * second, slow, slow},
		"a faster one counts at once":   {second, fast - 10, fast - 10},
		"a jump by seconds does too":    {second, fast + 5*second, fast + 5*second},
		"a stall of 3 s isn't believed": {20 * millisecond, fast + 3*second, fast},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			now := int64(0)
			for range 200 {
				now += 960
				b.est.observe(fast, now)
			}
			b.est.observe(tt.later, now+tt.silence)
			if got := b.est.transit(); got != tt.want {
				t.Errorf("fastest is %d, want %d", got, tt.want)
			}
		})
	}
}

func TestFastestPacketIsForgottenAfterTwoSeconds(t *testing.T) {
	b := New(Config{})
	b.est.observe(100, 0)
	now := int64(0)
	for now < 3*second && b.est.transit() == 100 {
		now += 960
		b.est.observe(580, now)
	}
	if now < 175*second/100 || now > 225*second/100 {
		t.Errorf("forgotten after %v", duration(now))
	}
}

func TestTargetGrowsAtOnceAndDecaysSlowly(t *testing.T) {
	b := New(Config{})
	now := int64(0)
	observe := func(n int, delay int64) {
		for range n {
			now += 960
			b.est.observe(delay, now)
		}
	}
	observe(500, 0)
	if got := b.est.target; got != 5*millisecond {
		t.Fatalf("target %v on a clean link", duration(got))
	}
	observe(20, 100*millisecond)
	grown := b.est.target
	if grown != 100*millisecond+edgeSpare {
		t.Errorf("target %v after 20 packets with 100 ms, want %v", duration(grown), duration(100*millisecond+edgeSpare))
	}
	for before := grown; b.est.target > 20*millisecond; before = b.est.target {
		if now > 600*second {
			t.Fatalf("target is still %v", duration(b.est.target))
		}
		observe(50, 0) // 1 s
		if before-b.est.target > decayPerSecond+50 {
			t.Fatalf("target fell from %v to %v within a second", duration(before), duration(b.est.target))
		}
	}
}

// TestStretchingIsBounded has a listener who stretches but sees no change, so
// that more is always wanted.
func TestStretchingIsBounded(t *testing.T) {
	b := New(Config{})
	last, inserted := -1000, 0
	for n := range 3000 {
		now := n*20 + 20
		b.Push(voice(n), ms(now))
		d := b.Pop(ms(now+15), 0)
		if d.Start {
			b.est.minDelay = 120 * millisecond // the target is above the delay for ever
			continue
		}
		if d.Stretch == None {
			continue
		}
		if d.Stretch != Expand {
			t.Fatalf("packet %d: %v", n, d.Stretch)
		}
		if now-last < 50 {
			t.Fatalf("stretched at %d and %d ms", last, now)
		}
		last = now
		inserted += 480
		b.Stretched(-480)
	}
	share := float64(inserted) / float64(b.Stats().PlayedSamples)
	if share > 0.055 || share < 0.04 {
		t.Errorf("%.1f %% stretched, want 5", share*100)
	}
}

func TestStretchFollowsTheDelay(t *testing.T) {
	// level is when what follows the queued samples would be heard, against a
	// target of 40 ms.
	tests := map[string]struct {
		level, queued int64
		want          Stretch
		most          int64
	}{
		"on target":                          {40, 0, None, 0},
		"less than a block above":            {49, 0, None, 0},
		"a block above":                      {50, 0, Accelerate, 10},
		"less than two above":                {59, 0, Accelerate, 10},
		"far above":                          {141, 0, AccelerateFast, 100},
		"a little below":                     {38, 0, None, 0},
		"below":                              {37, 0, Expand, 0},
		"behind a little that is queued":     {42, 2, None, 0},
		"behind what delays it for nothing":  {45, 5, Accelerate, 5},
		"asked for a block too early":        {50, 10, Accelerate, 10},
		"the same behind a little":           {54, 14, Accelerate, 14},
		"asked for too late, behind 5":       {45, 8, Expand, 0},
		"a block above, behind 5":            {55, 5, Accelerate, 15},
		"queued for whole blocks, on target": {45, 20, None, 0},
	}
	for name, tt := range tests {
		b := New(Config{})
		b.play.level = tt.level * millisecond
		if got, most := b.stretch(second, tt.queued*millisecond); got != tt.want || int64(most) != tt.most*millisecond && got != None {
			t.Errorf("%s: %v by at most %d samples, want %v by %d ms", name, got, most, tt.want, tt.most)
		}
		if got, _ := b.stretch(second+stretchInterval-1, tt.queued*millisecond); got != None {
			t.Errorf("%s: %v again within 50 ms", name, got)
		}
	}
}

// What comes late within a bucket is waited for no longer than it takes, whatever it
// was before.
func TestTheTargetEndsWhereWhatIsLateEnds(t *testing.T) {
	b := New(Config{})
	now := int64(0)
	for i := range 4000 {
		delay := int64(0)
		if i%8 == 0 { // a copy, four packets later
			delay = 80*millisecond + millisecond/10
			if i > 500 && i < 1000 {
				delay += 2 * millisecond
			}
		}
		now += 960
		b.est.observe(delay, now)
	}
	if got := b.est.target; got < 80*millisecond+millisecond/10 || got > 81*millisecond {
		t.Errorf("a target of %v for copies that come after 80.1 ms", duration(got))
	}
	if got := b.est.edges.of(40); got != 40*bucket {
		t.Errorf("40 buckets in which nothing came cover %v", duration(got))
	}
}

func TestDropToLiveIsAnnouncedOnce(t *testing.T) {
	b := New(Config{})
	pushes := every(0, 20, 0, voice)
	for n := 21; n <= 60; n++ { // a stall: 40 packets come at once
		pushes = append(pushes, push{61 * 20, voice(n)})
	}
	got := script(t, b, append(pushes, every(61, 70, 0, voice)...), 1400)
	if strings.Count(got, "!") != 1 || !strings.Contains(got, "x !P") {
		t.Errorf("%s", got)
	}
	s := b.Stats()
	if s.Skips != 1 || s.DiscardedSamples < 30*960 || s.Delay > 60*time.Millisecond || s.Missing > 0 {
		t.Errorf("%+v", s)
	}
}

// A talker says the end of its spurt several times, a frame apart and with one
// timestamp: that is no delay of the network.
func TestRepeatedEndMarksAreNoDelay(t *testing.T) {
	b := New(Config{})
	spurt := func(first int, begin time.Duration) (next int, end time.Duration) {
		n := first
		for range 100 {
			at := begin + time.Duration(n-first)*20*time.Millisecond
			p := voice(n)
			p.Timestamp, p.Spurt = int64(begin/time.Millisecond)*48+int64(n-first)*960, int64(first)
			b.Push(p, epoch.Add(at))
			for i := range 2 {
				b.Pop(epoch.Add(at+time.Duration(i)*10*time.Millisecond), 0)
			}
			n++
		}
		end = begin + 2*time.Second
		for i := range 3 {
			b.Push(Packet{Seq: int64(n), Timestamp: int64(end/time.Millisecond) * 48, Spurt: int64(first), End: true}, epoch.Add(end+time.Duration(i)*20*time.Millisecond))
			n++
		}
		return n, end
	}
	n, end := spurt(1, 0)
	n, end = spurt(n, end+time.Second)
	settled := b.Stats()
	for range 3 {
		n, end = spurt(n, end+time.Second)
	}
	if got := b.Stats(); got.Target > settled.Target || got.Jitter > time.Millisecond {
		t.Errorf("target %v, then %v; jitter %v: repeated end marks count as delay", settled.Target, got.Target, got.Jitter)
	}
	if settled.Target > 20*time.Millisecond {
		t.Errorf("target %v on a perfect link", settled.Target)
	}
}

// A talker who sends in pairs at first is late with each other frame, but not for
// longer than that.
func TestTargetForgetsHowItWasSentBefore(t *testing.T) {
	target := func(told bool) time.Duration {
		b := New(Config{})
		for n := range 200 {
			at := 20 * n
			if n < 50 && n%2 == 0 {
				at += 20 // with the next one
			}
			if n == 50 && told {
				b.SendingChanged()
			}
			b.Push(voice(n), ms(at))
		}
		return b.Stats().Target
	}
	if told, untold := target(true), target(false); told > 10*time.Millisecond || untold < 20*time.Millisecond {
		t.Errorf("target %v three seconds after the talker changed, %v if the buffer isn't told", told, untold)
	}
}

// A late packet among the first ones says little about how many will be: it
// neither asks for the delay that the same share of many packets does, nor keeps
// for seconds what it did ask for.
func TestAFirstLatePacketIsNotHeldAgainstTheNetwork(t *testing.T) {
	const late = 150 * millisecond
	for _, c := range []struct {
		packets     int
		most, least int64 // target after one in eight was late
		left        int64 // 1.5 s later
	}{
		{10, 40 * millisecond, 0, 25 * millisecond},
		{20, 160 * millisecond, 0, 40 * millisecond},
		{200, 160 * millisecond, late, 160 * millisecond},
	} {
		b := New(Config{})
		now := int64(0)
		observe := func(n int, delay int64) {
			for range n {
				now += 960
				b.est.observe(delay, now)
			}
		}
		observe(c.packets, 0)
		observe(c.packets/8, late)
		if got := b.est.target; got > c.most || got < c.least {
			t.Errorf("after %d packets and %d late ones the target is %v", c.packets, c.packets/8, duration(got))
		}
		observe(75, 0)
		if got := b.est.target; got > c.left {
			t.Errorf("1.5 s after %d packets and %d late ones the target is %v", c.packets, c.packets/8, duration(got))
		}
	}
}

// Where the network holds everything back, what is left is lengthened at short
// intervals and with a poorer match too: otherwise it would be guessed at. A packet or
// two that are lost are no reason.
func TestTheLastPacketInHandIsLengthenedAllTheSame(t *testing.T) {
	for silence, want := range map[time.Duration]Stretch{40 * time.Millisecond: None, 80 * time.Millisecond: None, 100 * time.Millisecond: ExpandFast} {
		b := New(Config{})
		b.est.target = 100 * millisecond
		b.play.level = 100 * millisecond
		now := int64(second)
		b.play.idle = false
		b.lastAccepted = now - durationSamples(silence, 0)
		b.play.lastStretch = now - 20*millisecond
		if got, _ := b.stretch(now, 0); got != want {
			t.Errorf("nothing came for %v: %v, want %v", silence, got, want)
		}
	}
}

// The target of jitter goes with the jitter, not in steps of several buckets: each
// step up stays for a while, and is delay for nothing.
func TestTheTargetOfJitterIsSteady(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := New(Config{})
	const learn, packets = 2000, 30000
	var sum, squares float64
	last := int64(0)
	for n := range int64(packets) {
		sent := n * 20 * millisecond
		at := max(sent+int64(r.ExpFloat64()*20*millisecond), last)
		last = at
		b.est.observe(at-sent, at)
		if n < learn {
			continue
		}
		ms := float64(b.est.target) / millisecond
		sum += ms
		squares += ms * ms
	}
	mean := sum / (packets - learn)
	deviation := math.Sqrt(squares/(packets-learn) - mean*mean)
	t.Logf("target of %.1f ms, standard deviation %.1f", mean, deviation)
	if deviation > 5.5 {
		t.Errorf("target of %.1f ms, standard deviation %.1f, want 5.5 at most", mean, deviation)
	}
}
