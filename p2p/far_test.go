package p2p

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

// More is sent than QUIC's congestion window lets through on a link that is far and
// loses a tenth, and than a session would send there (see TestFarAndLossyIsBounded
// in integration_test). What doesn't fit is refused: audio that isn't acknowledged
// keeps to its bound all the time, and what arrives is live.
func TestFarAndLossyNothingPilesUp(t *testing.T) {
	const delay, length, loss = 150 * time.Millisecond, time.Minute, 0.1
	const extra = 50*time.Millisecond + 300*time.Millisecond // beyond twice the shortest round trip
	inBubble(t, p2ptest.Config{Delay: delay}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		net.SetLoss(0, loss)
		net.SetLoss(1, loss)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range int(length / (20 * time.Millisecond)) {
				head := fmt.Sprintf("%d %d ", i, time.Now().UnixNano())
				_ = a.SendVoice(b.id, []byte(head+strings.Repeat(".", 265-len(head)))) // refused is refused
				time.Sleep(20 * time.Millisecond)
			}
		})
		pr := a.pair(b.id)
		most, over := time.Duration(0), time.Duration(0)
		for range int(length / (10 * time.Millisecond)) {
			time.Sleep(10 * time.Millisecond)
			pr.mu.Lock()
			if pr.best != nil {
				held := pr.sending.flight.span + pr.sending.span
				most = max(most, held)
				// The round-trip time may have become shorter since they were taken.
				over = max(over, held-2*min(pr.best.rtt.low, pr.best.rtt.last)-extra)
			}
			pr.mu.Unlock()
		}
		wg.Wait()
		time.Sleep(2 * time.Second)
		var took []time.Duration
		for _, v := range b.voices(a.id) {
			took = append(took, v.delay(t))
		}
		slices.Sort(took)
		if len(took) < 1000 {
			t.Fatalf("%d packets arrived, %+v", len(took), a.Stats(b.id))
		}
		p99 := took[len(took)*99/100]
		s := a.Stats(b.id)
		t.Logf("%d packets arrived, %d were refused; after %v (median), %v (p99), %v (the last); at most %v unacknowledged", len(took), s.VoiceDropped, took[len(took)/2], p99, took[len(took)-1], most)
		if over > 0 {
			t.Errorf("%v of audio are unacknowledged, %v beyond the bound", most, over)
		}
		if p99 > 2*time.Second || took[len(took)/2] > 250*time.Millisecond {
			t.Errorf("packets took %v (median), %v (p99)", took[len(took)/2], p99)
		}
		if s.VoiceDropped == 0 {
			t.Error("nothing was refused: that wasn't more than the link takes")
		}
	})
}
