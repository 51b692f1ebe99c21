package session

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p/link"
)

func usualFormat() voiceFormat {
	return formatOf(codec.Config{FrameDuration: 20 * time.Millisecond}).on(link.Path{Kind: link.Direct}, true)
}

func TestPlanFitsANumber(t *testing.T) {
	for _, p := range plans {
		if got := unpackPlan(p.pack()); got != p {
			t.Errorf("%+v became %+v", p, got)
		}
	}
	if unpackPlan(0) != (plan{}) {
		t.Error("0 isn't the plan of somebody who loses nothing")
	}
	o := back(2, 4)
	if o.count() != 2 || o.nearest() != 2 || o.nth(2) != 4 || o.nth(3) != 0 || o.has(3) || !o.has(4) || offsets(0).nearest() != 0 {
		t.Errorf("copies of 2 and 4 frames back: %d, %d, %d, %d", o.count(), o.nearest(), o.nth(2), o.nth(3))
	}
}

func TestPlanFollowsTheNetwork(t *testing.T) {
	const ms = time.Millisecond
	free := math.Inf(1)
	for name, c := range map[string]struct {
		n    network
		want func(p plan) bool
	}{
		"nothing is lost": {network{rtt: 50 * ms, limit: free}, func(p plan) bool { return p == plan{} }},
		"hardly anything": {network{loss: 0.002, rtt: 50 * ms, limit: free}, func(p plan) bool { return p == plan{} }},
		"a little, at random": {
			network{loss: 0.02, rtt: 50 * ms, limit: free},
			func(p plan) bool { return p == plan{copies: back(1)} },
		},
		"some, at random: another copy, which is heard seldom": {
			network{loss: 0.06, rtt: 50 * ms, limit: free},
			func(p plan) bool { return p == plan{copies: back(1, 2), light: true} },
		},
		"near, a lot at random: a later copy comes after what is sent again": {
			network{loss: 0.1, rtt: time.Microsecond, limit: free},
			func(p plan) bool { return p.copies.nearest() == 1 },
		},
		"in bursts of 3: no copy right behind, and one behind the burst": {
			network{loss: 0.1, burst: 3, rtt: 50 * ms, limit: free},
			func(p plan) bool { return p == plan{copies: back(2, 4), light: true} },
		},
		"a lot: more than one copy or the other encoding": {
			network{loss: 0.2, rtt: 50 * ms, limit: free},
			func(p plan) bool {
				return p.copies.count() > 0 && usualFormat().carries(network{loss: 0.2, rtt: 50 * ms, limit: free}, p)
			},
		},
		"far and lossy: within QUIC's window": {
			network{loss: 0.1, rtt: 300 * ms, limit: free},
			func(p plan) bool { return p == plan{encoding: lean, twins: 1, copies: back(2, 3)} },
		},
		"far, and a little is lost: the window is longer": {
			network{loss: 0.03, rtt: 300 * ms, limit: free},
			func(p plan) bool { return p == plan{copies: back(1)} },
		},
		"farther": {
			network{loss: 0.02, rtt: 400 * ms, limit: free},
			func(p plan) bool { return p == plan{copies: back(1)} },
		},
		"far, and how much is lost isn't known yet": {
			network{loss: 0.03, rtt: 300 * ms, limit: free, young: true},
			func(p plan) bool { return p.copies == 0 },
		},
		"thin": {network{rtt: 50 * ms, limit: 50}, func(p plan) bool { return p.copies == 0 && usualFormat().rate(p) <= 50 }},
		"thinner than anything fits": {
			network{rtt: 50 * ms, limit: 3, loss: 0.3},
			func(p plan) bool { return p == plan{encoding: thin, twins: 2} },
		},
		"everything is lost": {network{loss: 1, rtt: 50 * ms, limit: free}, func(plan) bool { return true }},
	} {
		if got := usualFormat().choose(c.n, plan{}); !c.want(got) {
			t.Errorf("%s: %+v, which takes %.0f kb/s", name, got, usualFormat().rate(got))
		}
	}
}

// The more is lost, the less there is to be counted on, down to what QUIC's window
// never goes below; losses in a row are one to it.
func TestTheWindowIsShorterTheMoreIsLost(t *testing.T) {
	before := math.Inf(1)
	for loss := 0.001; loss < 1; loss += 0.001 {
		window := network{loss: loss, burst: 1}.window()
		if window > before || window < 1920 || loss > 0.12 && window > 1920 {
			t.Errorf("%.3f lost: %.0f bytes, after %.0f", loss, window, before)
		}
		before = window
	}
	if alone, rows := (network{loss: 0.03, burst: 1}.window()), (network{loss: 0.03, burst: 3}.window()); rows < 1.5*alone {
		t.Errorf("3 %% alone: %.0f bytes, in rows of three %.0f", alone, rows)
	}
}

// What was encoded elsewhere, or is as small as can be, has no lighter copy.
func TestNoCopyIsLightWhereNoneCanBe(t *testing.T) {
	elsewhere := usualFormat()
	elsewhere.elsewhere = true
	least := formatOf(codec.Config{FrameDuration: 20 * time.Millisecond, Bitrate: codec.MinBitrate})
	for name, f := range map[string]voiceFormat{"elsewhere": elsewhere, "least": least} {
		for loss := 0.01; loss < 0.3; loss += 0.01 {
			n := network{loss: loss, burst: 1, rtt: 50 * time.Millisecond, limit: math.Inf(1)}
			if p := f.choose(n, plan{}); p.light || p.copies == 0 {
				t.Errorf("%s, loss %.2f: %+v", name, loss, p)
			}
		}
	}
}

// The encoding is changed, and frames wait for each other, only where the link asks
// for it.
func TestNothingIsSavedWhereNothingIsShort(t *testing.T) {
	for _, frame := range []time.Duration{10, 20, 40, 60} {
		f := formatOf(codec.Config{FrameDuration: frame * time.Millisecond})
		for _, rtt := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond} {
			for _, present := range plans {
				if got := f.choose(network{rtt: rtt, limit: math.Inf(1)}, present); got != (plan{}) {
					t.Errorf("packets of %d ms, %v away, after %+v: %+v", frame, rtt, present, got)
				}
			}
		}
	}
}

// What is hardly better isn't worth a change: each costs the decoder its footing.
func TestPlanSticks(t *testing.T) {
	f := usualFormat()
	n := network{rtt: 50 * time.Millisecond, limit: math.Inf(1)}
	changes, present := 0, plan{}
	for i := range 1000 {
		n.loss = 0.006 + 0.0005*float64(i%2) // around where a copy begins to pay
		next := f.choose(n, present)
		if next != present {
			changes++
		}
		present = next
	}
	if changes > 1 {
		t.Errorf("%d changes while nothing changed to speak of", changes)
	}
}

func TestRateGrowsWithWhatIsSent(t *testing.T) {
	f := usualFormat()
	for _, p := range plans {
		more := p
		more.copies |= back(4)
		if p.copies.has(4) || p.twins > 0 {
			continue
		}
		if f.rate(more) <= f.rate(p) {
			t.Errorf("%+v takes %.1f kb/s, %+v %.1f", p, f.rate(p), more, f.rate(more))
		}
	}
	one, light, two := f.rate(plan{copies: back(1)}), f.rate(plan{copies: back(1, 2), light: true}), f.rate(plan{copies: back(1, 2)})
	if saved := f.bitrate[whole] - f.bitrate[spare]; light <= one || math.Abs(two-light-saved) > 1e-9 {
		t.Errorf("one copy %.1f kb/s, another light one %.1f, or a whole one %.1f", one, light, two)
	}
	if whole, lean, pairs := f.rate(plan{}), f.rate(plan{encoding: lean}), f.rate(little); !(pairs < lean && lean < whole) {
		t.Errorf("whole %.1f, lean %.1f, in pairs %.1f kb/s", whole, lean, pairs)
	}
}

// Gilbert's model: the stationary share far from a loss, the mean burst near it.
func TestLossFollowsLoss(t *testing.T) {
	n := network{loss: 0.1, burst: 3 + burstDoubt}
	if got := n.again(1); math.Abs(got-2./3) > 0.01 {
		t.Errorf("after a loss the next frame is lost with %.3f, want 2/3", got)
	}
	if got := n.again(100); math.Abs(got-0.1) > 1e-6 {
		t.Errorf("long after it with %.3f, want the share", got)
	}
	random := network{loss: 0.2, burst: 1.25}
	for k := 1; k < 5; k++ {
		if got := random.again(k); math.Abs(got-0.2) > 1e-9 {
			t.Errorf("at random, %d frames later: %.3f", k, got)
		}
	}
}

// Nor is one between a pair with copies and one without.
func TestPairsWithCopiesStick(t *testing.T) {
	f := usualFormat()
	n := network{burst: 1, rtt: 90 * time.Millisecond, limit: 46}
	low, high := 0.0, 0.06 // of losses at which copies begin to pay
	for range 40 {
		if n.loss = (low + high) / 2; f.choose(n, plan{encoding: lean, twins: 1}).copies != 0 {
			high = n.loss
		} else {
			low = n.loss
		}
	}
	changes, present := 0, plan{encoding: lean, twins: 1}
	for i := range 1000 {
		n.loss = high + 0.0005*(float64(i%2)*2-1)
		next := f.choose(n, present)
		if next != present {
			changes++
		}
		present = next
	}
	if changes != 1 || present.copies == 0 {
		t.Errorf("%d changes around a loss of %.3f, %+v in the end", changes, high, present)
	}
}
