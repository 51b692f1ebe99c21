package emodel

import (
	"math"
	"testing"
	"time"
)

// The values of Idd are those of G.107's formula, computed by hand.
func TestDelayCostsWhatG107Says(t *testing.T) {
	for ms, want := range map[int]float64{0: 0, 100: 0, 150: 0.2, 200: 3.0, 300: 14.8, 400: 24.1} {
		if got := Delay(time.Duration(ms) * time.Millisecond); math.Abs(got-want) > 0.1 {
			t.Errorf("%d ms cost %.2f, want %.1f", ms, got, want)
		}
	}
}

func TestLossCostsWhatG107Says(t *testing.T) {
	for share, want := range map[float64]float64{-1: 0, 0: 0, 0.01: 95. / 26, 0.05: 95. / 6, 0.25: 47.5, 1: 76, 2: 76} {
		if got := Loss(share); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v lost costs %v, want %v", share, got, want)
		}
	}
}

func TestRatingAndOpinion(t *testing.T) {
	for _, c := range []struct {
		ms          int
		lost        float64
		rating, mos float64
	}{{50, 0, 93.2, 4.41}, {200, 0, 90.2, 4.34}, {50, 0.05, 77.4, 3.93}, {2000, 1, 0, 1}} {
		r := Rating(time.Duration(c.ms)*time.Millisecond, c.lost)
		if math.Abs(r-c.rating) > 0.1 || math.Abs(MOS(r)-c.mos) > 0.02 {
			t.Errorf("%d ms, %v lost: R %.1f, MOS %.2f; want %v, %v", c.ms, c.lost, r, MOS(r), c.rating, c.mos)
		}
	}
	if MOS(-5) != 1 || MOS(200) != 4.5 {
		t.Errorf("MOS of the impossible: %v, %v", MOS(-5), MOS(200))
	}
}

// Below 100 ms, where Idd is nothing, a millisecond costs something all the same, and
// above it never less than Idd rises.
func TestDelayIsNeverForNothing(t *testing.T) {
	const ms = time.Millisecond
	before := 0.0
	for d := ms; d <= 500*ms; d += ms {
		step := DelayCost(d) - DelayCost(d-ms)
		if idd := Delay(d) - Delay(d-ms); step < idd+slope-1e-9 || step > idd+steep+1e-9 {
			t.Errorf("the millisecond to %v costs %.4f, of which Idd is %.4f", d, step, idd)
		}
		if d <= 200*ms && step < before-1e-9 {
			t.Errorf("the millisecond to %v costs %.4f, the one before %.4f", d, step, before)
		}
		before = step
	}
}
