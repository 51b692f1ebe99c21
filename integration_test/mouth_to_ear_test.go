package integration_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session"
)

// In virtual time no processor is late, so what the statistics say of the
// delay is held against the recording to 2.5 ms. Where the network makes
// packets late half the round trip, of which few are measured, is not so exact.
func TestStatisticsTellTheDelayFromMouthToEar(t *testing.T) {
	skipUnderRaceDetector(t)
	const oneWay = 25 * time.Millisecond
	for _, c := range []struct {
		name     string
		encoding codec.Config
		loss     float64
		jitter   time.Duration // mean, exponential, order kept
		within   time.Duration
	}{
		{"clean", codec.Config{}, 0, 0, 2500 * time.Microsecond},
		{"packets of 10 ms", codec.Config{FrameDuration: 10 * time.Millisecond}, 0, 0, 2500 * time.Microsecond},
		{"low delay", codec.Config{FrameDuration: 10 * time.Millisecond, LowDelay: true}, 0, 0, 2500 * time.Microsecond},
		{"packets of 60 ms", codec.Config{FrameDuration: 60 * time.Millisecond}, 0, 0, 2500 * time.Microsecond},
		{"5 % loss", codec.Config{}, 0.05, 0, 5 * time.Millisecond},
		{"jitter", codec.Config{}, 0, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := p2ptest.Config{Delay: oneWay, Seed: 3}
				if c.jitter > 0 {
					cfg.DelayFunc = jittered(oneWay, c.jitter)
				}
				network := p2ptest.NewNetwork(t, cfg)
				network.SetLoss(0, c.loss)
				network.SetLoss(1, c.loss)
				network.Introduce(0, 1)
				voice := audiotest.Babble(1, 20*time.Second)
				talker, _ := recorded(t, network, 0, audiotest.NewSource(voice), c.encoding)
				listener, sink := recorded(t, network, 1, &audio.Silence{}, codec.Config{})
				if err := talker.PeerJoined(listener.Self()); err != nil {
					t.Fatal(err)
				}
				if err := listener.PeerJoined(talker.Self()); err != nil {
					t.Fatal(err)
				}
				present, rtt := presentDelay(listener, talker, 20*time.Second)
				synctest.Wait()
				st := listener.peer(talker.Self())
				played := time.Duration(st.Jitter.PlayedSamples)
				if played < 15*audio.SampleRate {
					t.Fatalf("%v played of 20 s: %s", audiotest.Duration(float64(played)), listener.Why(talker.Self()))
				}
				shift := talker.Stats().Microphone.Start.Sub(listener.Stats().Speaker.Start)
				heard, pieces := meanDelay(voice, sink.Mono(), shift)
				whole := st.FixedDelay + rtt/2 + st.Jitter.WaitSum/played
				t.Logf("heard after %.2f ms (%d pieces); statistics: %.2f in the mean of the call, %.2f in the mean of moments; fixed %.2f, RTT %.2f, buffer %.2f, wait %.2f",
					millis(heard), pieces, millis(whole), millis(present), millis(st.FixedDelay), millis(rtt), millis(st.Jitter.DelaySum/played), millis(st.Jitter.WaitSum/played))
				if pieces < 30 {
					t.Errorf("only %d of 40 half seconds were found", pieces)
				}
				for what, said := range map[string]time.Duration{"the whole call": whole, "the moments": present} {
					if math.Abs(float64(said-heard)) > float64(c.within) {
						t.Errorf("%s: %v by the statistics, %v in the recording", what, said, heard)
					}
				}
			})
		})
	}
}

// jittered delays packets by an exponentially distributed time on top, and
// keeps the order of those that go the same way.
func jittered(delay, mean time.Duration) func(from, to net.Addr) time.Duration {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(3, 3))
	last := map[string]time.Time{}
	return func(from, to net.Addr) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		at := now.Add(delay + time.Duration(random.ExpFloat64()*float64(mean)))
		way := from.String() + to.String()
		if at.Before(last[way]) {
			at = last[way]
		}
		last[way] = at
		return at.Sub(now)
	}
}

// recorded is a participant whose speaker is a recording, closed with the test.
func recorded(t *testing.T, n *p2ptest.Network, i int, said audio.Source, encoding codec.Config) (*participant, *audiotest.Sink) {
	t.Helper()
	return recordedWith(t, n, i, said, session.Config{Encoding: encoding})
}

// recordedWith is recorded with more settings than the encoding.
func recordedWith(t *testing.T, n *p2ptest.Network, i int, said audio.Source, cfg session.Config) (*participant, *audiotest.Sink) {
	t.Helper()
	node, err := p2p.New(n.Host(i), p2p.Config{PacketInterval: cfg.Encoding.FrameDuration})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := node.Session("")
	if err != nil {
		t.Fatal(err)
	}
	sink := &audiotest.Sink{}
	p := &participant{node: node, transport: transport}
	cfg.Transport, cfg.Codec = transport, opus.Codec{}
	cfg.OpenSource = func() (audio.Source, error) { return said, nil }
	cfg.OpenSink = func() (audio.Sink, error) { return sink, nil }
	p.Session, err = session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close(t) })
	return p, sink
}

// presentDelay is the mean of what the statistics say of the delay and of the
// round trip in each moment of a time in which the talker is heard.
func presentDelay(listener, talker *participant, length time.Duration) (delay, rtt time.Duration) {
	n := time.Duration(0)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(7 * time.Millisecond) {
		if st := listener.peer(talker.Self()); st.Jitter.Delay > 0 {
			delay += st.MouthToEar
			rtt += st.Path.RTT
			n++
		}
	}
	return delay / max(1, n), rtt / max(1, n)
}

// meanDelay is how much later a voice is heard in a recording than it was said,
// in the mean of the half seconds that were found in it.
func meanDelay(voice, recording []float32, shift time.Duration) (mean time.Duration, pieces int) {
	var sum time.Duration
	for _, piece := range audiotest.Offsets(voice, recording, audiotest.OffsetsConfig{From: shift, To: shift + time.Second/2}) {
		if piece.Confidence < 0.7 {
			continue
		}
		sum += piece.Offset - shift
		pieces++
	}
	return sum / time.Duration(max(1, pieces)), pieces
}
