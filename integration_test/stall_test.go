package integration_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// After a link carried nothing for three seconds both are live again within half a
// second: what is said then is heard, without a hole. Where what was sent is lost it
// waits no longer than before; where it was held back, and comes all at once, it may be
// so again, and the buffer has grown.
func TestLiveAgainHalfASecondAfterAStall(t *testing.T) {
	const (
		delay   = 25 * time.Millisecond
		begins  = 10 * time.Second
		ends    = begins + 3*time.Second
		within  = 500 * time.Millisecond
		watched = time.Second
	)
	for held, most := range map[bool]time.Duration{false: 60 * time.Millisecond, true: 250 * time.Millisecond} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("held %t, seed %d", held, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					shift := time.Duration(seed) * 7 * time.Millisecond // where in a frame it falls
					began := time.Now()
					fate := func(_, _ int, _ time.Duration, _ int) (time.Duration, bool) {
						rest := ends + shift - time.Since(began)
						if rest <= 0 || rest > ends-begins {
							return delay, true
						}
						return rest + delay, held
					}
					net := p2ptest.NewNetwork(t, p2ptest.Config{Fate: fate, Seed: seed, BitsPerSecond: 1e10})
					p := &simCall{net: net, ways: [2]*journeys{newJourneys(), newJourneys()}}
					for i := range p.who {
						said := audiotest.NewLoop(audiotest.Babble(uint64(i), 20*time.Second))
						p.who[i] = newWatched(t, net.Host(i), p2p.Config{}, said, p.ways[i], p.ways[1-i])
						net.Introduce(i, 1-i)
					}
					p.join(t)
					defer p.close(t)
					time.Sleep(ends + shift + within - time.Since(began))
					before := [2]talked{p.heard(0), p.heard(1)}
					time.Sleep(watched)
					for i := range before {
						before[i].checkLive(t, p.heard(i), most)
					}
				})
			})
		}
	}
}

// talked is what one has heard, and the other has said.
type talked struct {
	jitter.Stats
	said time.Duration
}

func (p *simCall) heard(i int) talked {
	listener, talker := p.who[i], p.who[1-i]
	sent := talker.peer(listener.Self()).Sent
	return talked{listener.peer(talker.Self()).Jitter, time.Duration(sent) * 20 * time.Millisecond}
}

// checkLive wants what was said between two moments to have been heard, after so long
// in the buffer at most.
func (a talked) checkLive(t *testing.T, b talked, most time.Duration) {
	t.Helper()
	played, said := audiotest.Duration(float64(b.PlayedSamples-a.PlayedSamples)), b.said-a.said
	missing := audiotest.Duration(float64(b.ConcealedSamples - a.ConcealedSamples + b.DiscardedSamples - a.DiscardedSamples))
	wait := time.Duration(0)
	if played > 0 {
		wait = (b.DelaySum - a.DelaySum) / time.Duration(b.PlayedSamples-a.PlayedSamples)
	}
	text := fmt.Sprintf("%v heard of %v that were said, %v missing, %v in the buffer", played, said, missing, wait.Round(time.Millisecond))
	t.Log(text)
	if said < 500*time.Millisecond || played < said-100*time.Millisecond || missing > 10*time.Millisecond || wait > most {
		t.Errorf("%s; want at most %v there", text, most)
	}
}
