package jitter

import (
	"math/rand/v2"
	"testing"
	"time"
)

const seeds = 5

// TestQuality holds the buffer to the delay and the concealment that a
// listener may expect on each network, as means over seeds. The bars of the
// first four are what a measured call with another implementation allows.
func TestQuality(t *testing.T) {
	minute := time.Minute
	tests := map[string]struct {
		trial     trial
		delay     time.Duration
		concealed float64 // %
		stretched float64 // %
	}{
		"clean":       {trial{duration: minute, network: clean}, 25 * time.Millisecond, 0.02, 0.5},
		"clean 10 ms": {trial{duration: minute, network: clean, packet: 10 * time.Millisecond}, 20 * time.Millisecond, 0.02, 0.5},
		"clean 60 ms": {trial{duration: minute, network: clean, packet: 60 * time.Millisecond}, 45 * time.Millisecond, 0.02, 0.5},
		"device in pairs": {trial{duration: minute, network: clean, pull: func(_ *rand.Rand, tick int) time.Duration {
			return time.Duration(tick%2-1) * -10 * time.Millisecond // two blocks at once every 20 ms
		}}, 26 * time.Millisecond, 0.1, 0.5},
		"device with jitter": {trial{duration: minute, network: clean, pull: func(r *rand.Rand, _ int) time.Duration {
			return time.Duration(r.Int64N(int64(6 * time.Millisecond)))
		}}, 27 * time.Millisecond, 0.1, 0.5},
		"busy machine": {trial{duration: minute, network: clean, pull: func(r *rand.Rand, _ int) time.Duration {
			if r.IntN(100) == 0 {
				return time.Duration(r.Int64N(int64(9 * time.Millisecond)))
			}
			return 0
		}}, 27 * time.Millisecond, 0.2, 0.5},
		"5 % loss, one copy":     {trial{duration: minute, network: lossy(.05, 1, 50*time.Millisecond, true), copies: []int{1}}, 55 * time.Millisecond, 0.3, 5},
		"5 % loss, bare":         {trial{duration: minute, network: lossy(.05, 1, 50*time.Millisecond, true)}, 115 * time.Millisecond, 0.15, 1},
		"10 % loss in 3":         {trial{duration: minute, network: lossy(.1, 3, 50*time.Millisecond, true), copies: []int{3}}, 90 * time.Millisecond, 2.8, 5},
		"5 % loss, FEC":          {trial{duration: minute, network: lossy(.05, 1, 50*time.Millisecond, false), fec: true}, 45 * time.Millisecond, 0.35, 1},
		"5 % loss, FEC and late": {trial{duration: minute, network: lossy(.05, 1, 50*time.Millisecond, true), fec: true}, 45 * time.Millisecond, 0.35, 1},
		"20 % loss, copies":      {trial{duration: minute, network: lossy(.2, 1, 50*time.Millisecond, true), copies: []int{1, 2}}, 90 * time.Millisecond, 2.6, 5},
		"exponential jitter":     {trial{duration: minute, network: exponential(20 * time.Millisecond), ordered: true}, 110 * time.Millisecond, 0.2, 5},
		"much jitter":            {trial{duration: minute, network: exponential(40 * time.Millisecond), ordered: true}, 210 * time.Millisecond, 0.45, 5},
		"far too much jitter":    {trial{duration: minute, network: exponential(60 * time.Millisecond), ordered: true}, 205 * time.Millisecond, 3.2, 5.5},
		"200 ms stalls":          {trial{duration: minute, network: stalling(200*time.Millisecond, 5*time.Second)}, 105 * time.Millisecond, 2.9, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var delay time.Duration
			var concealed, stretched float64
			for seed := range uint64(seeds) {
				tt.trial.seed = seed
				o := tt.trial.run(t)
				delay += o.delay / seeds
				concealed += o.concealed / seeds
				stretched += o.stretched / seeds
			}
			t.Logf("delay %v, concealed %.3f %%, stretched %.2f %%", delay.Round(100*time.Microsecond), concealed, stretched)
			if delay > tt.delay {
				t.Errorf("delay %v, want at most %v", delay, tt.delay)
			}
			if concealed > tt.concealed {
				t.Errorf("concealed %.3f %%, want at most %.3f %%", concealed, tt.concealed)
			}
			if stretched > tt.stretched {
				t.Errorf("stretched %.2f %%, want at most %.2f %%", stretched, tt.stretched)
			}
		})
	}
}

// A busy machine hands packets over some milliseconds after it noted their
// arrival, while the listener has asked in between. That costs what it takes,
// and no more.
func TestDelayIsNoneButThatOfTheHandOver(t *testing.T) {
	jittery := func(r *rand.Rand, _ int, _ time.Duration) []time.Duration {
		return []time.Duration{25*time.Millisecond + time.Duration(r.Int64N(int64(10*time.Millisecond)))}
	}
	upTo := func(most time.Duration) func(*rand.Rand) time.Duration {
		return func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	}
	plain := trial{duration: time.Minute, network: jittery}.run(t)
	tests := map[string]struct {
		handOver func(*rand.Rand) time.Duration
		costs    time.Duration
	}{
		"up to 1 ms":  {upTo(time.Millisecond), time.Millisecond},
		"up to 5 ms":  {upTo(5 * time.Millisecond), 2 * time.Millisecond},
		"up to 10 ms": {upTo(10 * time.Millisecond), 12 * time.Millisecond},
		"10 ms of one in ten": {func(r *rand.Rand) time.Duration {
			if r.IntN(10) > 0 {
				return 0
			}
			return 10 * time.Millisecond
		}, 12 * time.Millisecond},
	}
	for name, tt := range tests {
		o := trial{duration: time.Minute, network: jittery, handOver: tt.handOver}.run(t)
		t.Logf("%s: delay %v (without %v), target %v (%v), concealed %.3f %%", name, o.delay, plain.delay, o.Target, plain.Target, o.concealed)
		if o.delay > plain.delay+tt.costs || o.Target > plain.Target+10*time.Millisecond {
			t.Errorf("%s: delay %v, target %v; without it %v, %v", name, o.delay, o.Target, plain.delay, plain.Target)
		}
		if o.concealed > 0.25 {
			t.Errorf("%s: concealed %.3f %%", name, o.concealed)
		}
	}
}
