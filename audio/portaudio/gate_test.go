package portaudio

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestGateKeepsCallsOutWhileItIsShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.enter()
		began := time.Now()
		time.AfterFunc(10*time.Millisecond, g.leave)
		open := g.close()
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("shut after %v, the call under way returned after 10 ms", took)
		}
		entered := make(chan time.Duration)
		go func() {
			g.enter()
			g.leave()
			entered <- time.Since(began)
		}()
		time.Sleep(20 * time.Millisecond)
		open()
		if at := <-entered; at != 30*time.Millisecond {
			t.Errorf("entered after %v, opened after 30 ms", at)
		}
	})
}

func TestGateWaitsForNobodyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.enter() // and doesn't leave
		began := time.Now()
		open := g.close()
		if took := time.Since(began); took != gatePatience {
			t.Errorf("shut after %v, want %v", took, gatePatience)
		}
		g.enter() // opens by itself, since opening hangs
		if took := time.Since(began); took != gatePatience+gateShut {
			t.Errorf("entered after %v, want %v", took, gatePatience+gateShut)
		}
		shutAgain := g.close()
		open() // late, and none of its business any more
		entered := false
		go func() {
			g.enter()
			entered = true
		}()
		synctest.Wait()
		if entered {
			t.Error("a late opener opened the gate that another had shut")
		}
		shutAgain()
		synctest.Wait()
		if !entered {
			t.Error("the gate stays shut")
		}
	})
}

func TestGateCostsNothing(t *testing.T) {
	var g gate
	if allocs := testing.AllocsPerRun(100, func() {
		g.enter()
		g.leave()
	}); allocs > 0 {
		t.Errorf("%v allocations per call", allocs)
	}
}
