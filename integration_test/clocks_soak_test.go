package integration_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/linkem"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// An hour on the real QUIC stack between two whose devices' clocks differ by 300
// ppm, with 1 % loss, jitter, and 20 talk spurts a minute: the last five minutes are
// heard as soon as the first. TestAnHourEndsAsItBegan in session is the same
// without a stack.
func TestSoakAnHourOfTwoClocks(t *testing.T) {
	if os.Getenv("PARLEY_SOAK") == "" {
		t.Skip("an hour of two peers takes minutes: make soak")
	}
	const length, part = time.Hour, 5 * time.Minute
	said := append(audiotest.Babble(4, 2100*time.Millisecond), make([]float32, audiotest.Samples(900*time.Millisecond))...)
	synctest.Test(t, func(t *testing.T) {
		lab := newImpaired(linkem.Impairment{Delay: 25 * time.Millisecond, Loss: 0.01, Jitter: 3 * time.Millisecond}, 1)
		net := p2ptest.NewNetwork(t, p2ptest.Config{Fate: lab.fate, BitsPerSecond: 1e10})
		var who [2]*participant
		for i, ppm := range []float64{0, 300} {
			net.Introduce(i, 1-i)
			who[i] = newParticipant(t, net.Host(i), audiotest.NewMicrophone(said, ppm), audiotest.NewSpeaker(ppm))
			defer who[i].close(t)
		}
		for i, p := range who {
			if err := p.PeerJoined(who[1-i].Self()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		first, last := [2]time.Duration{}, [2]time.Duration{}
		for n := range int(length / part) {
			before := [2]harm{}
			sums := [2]time.Duration{}
			for i, listener := range who {
				j := listener.peer(who[1-i].Self()).Jitter
				before[i], sums[i] = harm{float64(j.PlayedSamples), float64(j.ConcealedSamples + j.DiscardedSamples)}, j.DelaySum
			}
			time.Sleep(part)
			for i, listener := range who {
				j := listener.peer(who[1-i].Self()).Jitter
				played := float64(j.PlayedSamples) - before[i].played
				last[i] = time.Duration(float64(j.DelaySum-sums[i]) / max(1, played))
				if n == 0 {
					first[i] = last[i]
				}
				missed := float64(j.ConcealedSamples+j.DiscardedSamples) - before[i].missed
				t.Logf("%d min, heard by %d: in the buffer for %v, %.3f %% concealed, target %v", (n+1)*int(part/time.Minute), i, last[i], 100*missed/max(1, played), j.Target)
				if (last[i] - first[i]).Abs() > 5*time.Millisecond {
					t.Errorf("heard by %d: in the buffer for %v in the first five minutes, for %v in those after %d", i, first[i], last[i], n*int(part/time.Minute))
				}
				if missed > 0.005*played || played < part.Seconds()*audio.SampleRate/2 {
					t.Errorf("heard by %d: of %v, %v were missing", i, audiotest.Duration(played), audiotest.Duration(missed))
				}
			}
		}
	})
}
