package linkem

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// between fails the test unless low <= got <= high.
func between(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low && got <= high) {
		t.Errorf("%s = %.4f, want %.4f to %.4f", what, got, low, high)
	}
}

func TestLossHasTheSharesAndBurstsAskedFor(t *testing.T) {
	const packets = 400_000
	for _, tt := range []struct {
		name        string
		loss, burst float64
		meanBurst   float64 // expected
	}{
		{"none", 0, 0, 0},
		{"independent", 0.05, 0, 1 / 0.95},
		{"independent, many", 0.2, 1, 1 / 0.8},
		{"bursts of 3", 0.1, 3, 3},
		{"bursts of 8", 0.3, 8, 8},
		{"all", 1, 0, packets},
		{"all, in bursts", 1, 4, packets},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewModel(Impairment{Loss: tt.loss, Burst: tt.burst}, 1, A)
			losses, bursts, before := 0, 0, false
			for range packets {
				_, what := m.schedule(0, 100)
				if what == lost {
					losses++
					if !before {
						bursts++
					}
				}
				before = what == lost
			}
			between(t, "loss", float64(losses)/packets, tt.loss*0.95, tt.loss*1.05)
			between(t, "mean burst", float64(losses)/math.Max(1, float64(bursts)), tt.meanBurst*0.95, tt.meanBurst*1.05)
		})
	}
}

func TestArrivals(t *testing.T) {
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	const over = time.Duration(-1) // stands for a packet that overflowed
	for _, tt := range []struct {
		name string
		imp  Impairment
		sent []time.Duration
		size int
		want []time.Duration
	}{
		{"nothing happens to packets", Impairment{}, []time.Duration{0, ms(1)}, 100, []time.Duration{0, ms(1)}},
		{"all are delayed", Impairment{Delay: ms(25)}, []time.Duration{0, ms(1)}, 100, []time.Duration{ms(25), ms(26)}},
		{
			"a rate spaces packets",
			Impairment{Rate: 80_000, Delay: ms(5)},
			[]time.Duration{0, 0, ms(1), ms(100)},
			100,
			[]time.Duration{ms(15), ms(25), ms(35), ms(115)},
		},
		{
			"a full queue drops",
			Impairment{Rate: 80_000, Queue: ms(20)},
			[]time.Duration{0, 0, 0, 0, ms(10)},
			100,
			[]time.Duration{ms(10), ms(20), ms(30), over, ms(40)},
		},
		{
			"a stall holds what would arrive in it",
			Impairment{Delay: ms(10), Stall: ms(200), StallEvery: time.Second},
			[]time.Duration{0, ms(980), ms(990), ms(1100), ms(1189), ms(1190), ms(1200), ms(1995)},
			100,
			[]time.Duration{ms(10), ms(990), ms(1200), ms(1200), ms(1200), ms(1200), ms(1210), ms(2200)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewModel(tt.imp, 1, A)
			var got []time.Duration
			for _, now := range tt.sent {
				at, what := m.schedule(now, tt.size)
				if what == overflowed {
					at = over
				}
				got = append(got, at)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("arrivals %v, want %v", got, tt.want)
			}
		})
	}
}

func TestJitterIsExponentialAndReordersOnlyIfAsked(t *testing.T) {
	const packets, mean = 100_000, 20 * time.Millisecond
	for _, reorder := range []bool{false, true} {
		// Packets far apart show the distribution itself, close ones the order.
		apart := NewModel(Impairment{Jitter: mean, Reorder: reorder}, 3, A)
		near := NewModel(Impairment{Jitter: mean, Reorder: reorder}, 3, B)
		var sum, last time.Duration
		above, reordered := 0, 0
		for i := range packets {
			now := time.Duration(i) * time.Hour
			at, _ := apart.schedule(now, 100)
			sum += at - now
			if at-now > mean {
				above++
			}
			at, _ = near.schedule(time.Duration(i)*time.Millisecond, 100)
			if at < last {
				reordered++
			}
			last = at
		}
		between(t, "mean jitter in ms", (sum/packets).Seconds()*1000, 19.6, 20.4)
		between(t, "share above the mean", float64(above)/packets, 0.36, 0.376) // 1/e
		if (reordered > 0) != reorder {
			t.Errorf("Reorder %v: %d packets overtook another", reorder, reordered)
		}
	}
}

func TestTheSeedDecidesTheFateOfEveryPacket(t *testing.T) {
	fates := func(imp Impairment, seed uint64, from Side) (out []fate) {
		m := NewModel(imp, seed, from)
		for range 1000 {
			_, what := m.schedule(0, 100)
			out = append(out, what)
		}
		return out
	}
	imp := Impairment{Loss: 0.3}
	want := fates(imp, 7, A)
	if !slices.Equal(fates(imp, 7, A), want) {
		t.Error("the same seed gave other losses")
	}
	if slices.Equal(fates(imp, 8, A), want) {
		t.Error("another seed gave the same losses")
	}
	if slices.Equal(fates(imp, 7, B), want) {
		t.Error("both directions lose the same packets")
	}
	imp.Jitter = time.Millisecond
	if !slices.Equal(fates(imp, 7, A), want) {
		t.Error("jitter changed which packets are lost")
	}
}

func TestQueueHandsOutByArrivalThenByOrderSent(t *testing.T) {
	var q queue
	if _, ok := q.next(); ok {
		t.Fatal("an empty queue has a next packet")
	}
	for i, at := range []time.Duration{5, 1, 5, 3, 1} {
		q.push(at, A, []byte{byte(i)})
	}
	var got []byte
	for {
		if _, ok := q.next(); !ok {
			break
		}
		got = append(got, q.pop().data[0])
	}
	if want := []byte{1, 4, 3, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestConfigOutOfRangeIsRefused(t *testing.T) {
	back := func(i Impairment) Config { return Config{Back: &i} }
	for _, tt := range []struct {
		name string
		cfg  Config
		ok   bool
	}{
		{"zero", Config{}, true},
		{"everything", Config{Impairment: Impairment{Delay: 1, Jitter: 1, Loss: 0.1, Burst: 3, Rate: 1e6, Stall: time.Second}}, true},
		{"loss above 1", Config{Impairment: Impairment{Loss: 1.1}}, false},
		{"loss not a number", Config{Impairment: Impairment{Loss: math.NaN()}}, false},
		{"negative loss", Config{Impairment: Impairment{Loss: -0.1}}, false},
		{"negative delay", Config{Impairment: Impairment{Delay: -1}}, false},
		{"negative rate", Config{Impairment: Impairment{Rate: -1}}, false},
		{"nothing between bursts", Config{Impairment: Impairment{Loss: 0.8, Burst: 3}}, false},
		{"as many bursts as fit", Config{Impairment: Impairment{Loss: 0.75, Burst: 3}}, true},
		{"stalled for ever", Config{Impairment: Impairment{Stall: 5 * time.Second}}, false},
		{"bad way back", back(Impairment{Loss: 2}), false},
		{"good way back", back(Impairment{Loss: 1}), true},
		{"MTU too small", Config{MTU: 575}, false},
		{"MTU too large", Config{MTU: 65536}, false},
		{"long device name", Config{Device: [2]string{"", "sixteen-letters!"}}, false},
		{"device of another directory", Config{Device: [2]string{"../lo", ""}}, false},
		{"two prefixes", Config{Addr: [2]netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.1.1/24")}}, false},
		{"IPv6", Config{Addr: [2]netip.Prefix{netip.MustParsePrefix("fd00::1/64"), netip.MustParsePrefix("fd00::2/64")}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.withDefaults().check()
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, ErrConfig) {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func BenchmarkSchedule(b *testing.B) {
	b.ReportAllocs()
	m := NewModel(Impairment{Delay: 1, Jitter: 1, Loss: 0.1, Burst: 3, Rate: 1e9}, 1, A)
	for now := time.Duration(0); b.Loop(); now += time.Millisecond {
		m.schedule(now, 100)
	}
}
