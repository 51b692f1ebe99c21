package jitter

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

// window watches the delay and the concealment of a part of a trial.
type window struct {
	from, to  time.Duration
	delay     time.Duration // greatest
	concealed int           // samples
	played    int
}

func (w *window) watch(at time.Duration, b *Buffer, d Decision) {
	if at < w.from || at > w.to {
		return
	}
	switch d.Action {
	case Play, Recover:
		w.played += d.Samples
		w.delay = max(w.delay, b.Stats().Delay)
	case Conceal:
		w.concealed += d.Samples
	case Wait:
	}
}

// TestDelayComesBack disturbs a clean link and looks at what is left of it
// some seconds later: no delay that stays, no concealment, and speech.
func TestDelayComesBack(t *testing.T) {
	once := func(length, at time.Duration) func(*rand.Rand, int, time.Duration) []time.Duration {
		return stalling(length, 2*at)
	}
	jump := func(by time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at < 10*time.Second {
				return 0
			}
			return by
		}
	}
	delayJump := func(by time.Duration) func(*rand.Rand, int, time.Duration) []time.Duration {
		return func(_ *rand.Rand, _ int, at time.Duration) []time.Duration {
			if at < 10*time.Second {
				return []time.Duration{max(25*time.Millisecond, 25*time.Millisecond-by)}
			}
			return []time.Duration{max(25*time.Millisecond, 25*time.Millisecond+by)}
		}
	}
	tests := map[string]struct {
		trial trial
		after time.Duration // 10 s is when the disturbance begins
		delay time.Duration
		check func(Stats) bool
	}{
		"a stall of 3 s":            {trial{network: once(3*time.Second, 10*time.Second)}, 14 * time.Second, 60 * time.Millisecond, func(s Stats) bool { return s.Skips > 0 && s.DiscardedSamples > second }},
		"a stall of 500 ms":         {trial{network: once(500*time.Millisecond, 10*time.Second)}, 25 * time.Second, 60 * time.Millisecond, nil},
		"timestamps jump ahead":     {trial{network: clean, jump: jump(5 * time.Second)}, 13 * time.Second, 60 * time.Millisecond, nil},
		"timestamps jump back":      {trial{network: clean, jump: jump(-5 * time.Second)}, 13 * time.Second, 60 * time.Millisecond, func(s Stats) bool { return s.Resyncs == 1 }},
		"everything is 5 s later":   {trial{network: delayJump(5 * time.Second)}, 18 * time.Second, 60 * time.Millisecond, nil},
		"everything is 5 s earlier": {trial{network: delayJump(-5 * time.Second)}, 13 * time.Second, 60 * time.Millisecond, nil},
		"everything is 150 ms earlier": {
			trial{network: delayJump(-150 * time.Millisecond)}, 23 * time.Second, 60 * time.Millisecond, nil,
		},
		"a stall of 200 ms": {trial{network: once(200*time.Millisecond, 10*time.Second)}, 26 * time.Second, 60 * time.Millisecond, nil},
		"everything is 150 ms later": {
			trial{network: delayJump(150 * time.Millisecond)}, 25 * time.Second, 60 * time.Millisecond, nil,
		},
	}
	for name, tt := range maps.Clone(tests) {
		noise := tt
		noise.trial.stretchy = unstretchable
		tests[name+", of noise"] = noise
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := window{from: tt.after, to: 28 * time.Second}
			tt.trial.duration = 30 * time.Second
			tt.trial.watch = w.watch
			o := tt.trial.run(t)
			t.Logf("delay %v, concealed %d of %d, %+v", w.delay, w.concealed, w.played, o.Stats)
			if w.delay > tt.delay {
				t.Errorf("delay of %v is left, want at most %v", w.delay, tt.delay)
			}
			if w.concealed > 0 {
				t.Errorf("%d samples are still concealed", w.concealed)
			}
			if want := int((w.to - w.from - 100*time.Millisecond) * SampleRate / time.Second); w.played < want {
				t.Errorf("%d samples played, want at least %d", w.played, want)
			}
			if tt.check != nil && !tt.check(o.Stats) {
				t.Errorf("stats %+v", o.Stats)
			}
		})
	}
}

// unstretchable is sound without a period, of which no stretch is possible.
func unstretchable(*rand.Rand) int { return 0 }

func TestDriftForAnHourOfNoise(t *testing.T) {
	for _, drift := range []float64{300e-6, -300e-6} {
		w := window{from: time.Minute, to: time.Hour}
		o := trial{duration: time.Hour, network: stalling(3*time.Millisecond, 100*time.Millisecond), drift: drift, watch: w.watch, stretchy: unstretchable}.run(t)
		t.Logf("drift %v: mean delay %v, greatest %v, concealed or discarded %.4f %%", drift, o.delay, w.delay, o.concealed)
		if w.delay > 60*time.Millisecond || o.delay > 30*time.Millisecond {
			t.Errorf("drift %v: mean delay %v, greatest %v", drift, o.delay, w.delay)
		}
		if o.concealed > 0.05 { // the drift itself is 0.03 %
			t.Errorf("drift %v: concealed or discarded %.4f %%", drift, o.concealed)
		}
	}
}

func TestDriftForAnHour(t *testing.T) {
	for _, drift := range []float64{300e-6, -300e-6} {
		w := window{from: time.Minute, to: time.Hour}
		o := trial{duration: time.Hour, network: stalling(3*time.Millisecond, 100*time.Millisecond), drift: drift, watch: w.watch}.run(t)
		t.Logf("drift %v: mean delay %v, greatest %v, concealed %.4f %%, stretched %.3f %%", drift, o.delay, w.delay, o.concealed, o.stretched)
		if w.delay > 60*time.Millisecond || o.delay > 30*time.Millisecond {
			t.Errorf("drift %v: mean delay %v, greatest %v", drift, o.delay, w.delay)
		}
		if o.concealed > 0.01 || o.stretched > 0.2 || o.Skips > 0 {
			t.Errorf("drift %v: concealed %.4f %%, stretched %.3f %%, %d skips", drift, o.concealed, o.stretched, o.Skips)
		}
	}
}

// TestSpurts holds 20 spurts a minute, whose pauses let the delay be set
// freely, to have nothing concealed and hardly anything stretched; also
// through drift, pauses of minutes, and pauses of DTX.
func TestSpurts(t *testing.T) {
	jittery := func(r *rand.Rand, _ int, _ time.Duration) []time.Duration {
		return []time.Duration{25*time.Millisecond + time.Duration(r.Int64N(int64(8*time.Millisecond)))}
	}
	spurts := func(period, talk time.Duration) func(time.Duration) int64 {
		return func(at time.Duration) int64 {
			if at%period >= talk {
				return 0
			}
			return int64(at/period) + 1
		}
	}
	tests := map[string]trial{
		"20 a minute":              {duration: 5 * time.Minute, network: jittery, spurt: spurts(3*time.Second, 1500*time.Millisecond)},
		"pauses of two minutes":    {duration: 30 * time.Minute, network: jittery, spurt: spurts(124*time.Second, 4*time.Second)},
		"with drift":               {duration: 30 * time.Minute, network: jittery, spurt: spurts(124*time.Second, 4*time.Second), drift: 300e-6},
		"with drift the other way": {duration: 30 * time.Minute, network: jittery, spurt: spurts(124*time.Second, 4*time.Second), drift: -300e-6},
		"DTX": {
			duration: 5 * time.Minute, network: jittery,
			dtx: func(at time.Duration) bool {
				return at%(4*time.Second) > 2*time.Second && at%(420*time.Millisecond) > 20*time.Millisecond
			},
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			w := window{from: 5 * time.Second, to: c.duration}
			c.watch = w.watch
			o := c.run(t)
			t.Logf("delay %v, greatest %v, concealed %.4f %%, stretched %.3f %% %+v", o.delay, w.delay, o.concealed, o.stretched, o.Stats)
			if o.delay > 35*time.Millisecond || w.delay > 70*time.Millisecond {
				t.Errorf("mean delay %v, greatest %v", o.delay, w.delay)
			}
			if o.concealed > 0.02 || o.Missing > 0 || o.stretched > 0.5 {
				t.Errorf("concealed %.4f %%, %d missing, stretched %.3f %%", o.concealed, o.Missing, o.stretched)
			}
			if o.DiscardedSamples+o.PlayedSamples != 960*o.Received {
				t.Errorf("%d samples played of %d", o.PlayedSamples, 960*o.Received)
			}
		})
	}
}
