package integration_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/integration_test/linkbench"
	"github.com/parley-voice/parley/integration_test/linkem"
)

// A link on which packets come unsteadily carries as much as any other: less is sent for
// a queue, of which there is none, and what a listener loses asks for copies. Both ways are
// to get that, in the mean of some calls.
func TestALinkThatJittersGetsAllThatIsSaid(t *testing.T) {
	skipUnderRaceDetector(t)
	for _, c := range []struct {
		loss            float64
		rate, concealed float64 // kb/s at least, percent at most
	}{
		{0, 55, 1}, {0.05, 85, 1.5},
	} {
		link := linkbench.Case{
			Link:   linkem.Impairment{Delay: 25 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: c.loss},
			Length: 30 * time.Second,
		}
		t.Run(fmt.Sprintf("%.0f %% loss", 100*c.loss), func(t *testing.T) {
			t.Parallel()
			var calls []linkbench.Call
			for seed := range uint64(2) {
				synctest.Test(t, func(t *testing.T) { calls = append(calls, simulate(t, link, seed+1)...) })
			}
			mean := linkbench.Summarise(calls)
			rate, concealed := mean["rate"].Mean, mean["concealed"].Mean
			t.Logf("%+v: %.0f kb/s, %.2f %% concealed, buffer %.0f ms", link.Link, rate, concealed, mean["buffer"].Mean)
			if rate < c.rate {
				t.Errorf("%.0f kb/s were sent, want at least %.0f", rate, c.rate)
			}
			if concealed > c.concealed {
				t.Errorf("%.2f %% concealed, want at most %.2f", concealed, c.concealed)
			}
		})
	}
}

// What comes unsteadily isn't given up for being overdue: neither is speech refused then,
// nor is any taken back that is on its way. One call has many times as much of it as
// another, so that the sum of some counts.
func TestWhatJittersIsNotGivenUp(t *testing.T) {
	skipUnderRaceDetector(t)
	const calls = 4
	link := linkbench.Case{Link: linkem.Impairment{Delay: 25 * time.Millisecond, Jitter: 60 * time.Millisecond}}
	var refused, resets atomic.Uint64
	t.Run("calls", func(t *testing.T) {
		for seed := range uint64(calls) {
			t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					call := newSimCall(t, link, seed+1)
					defer call.close(t)
					time.Sleep(30 * time.Second)
					for i, one := range call.who {
						st := one.peer(call.who[1-i].Self())
						refused.Add(st.SendDropped)
						resets.Add(st.Link.LaneResets)
						t.Logf("end %d: of %d packets %d were refused; %d lanes reset", i, st.Sent+st.SendDropped, st.SendDropped, st.Link.LaneResets)
					}
				})
			})
		}
	})
	if refused.Load() > 8*calls || resets.Load() > 20*calls {
		t.Errorf("in %d calls %d packets were refused, want at most %d; %d lanes were reset, want at most %d", calls, refused.Load(), 8*calls, resets.Load(), 20*calls)
	}
}
