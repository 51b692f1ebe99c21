package integration_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// holed is a transport that loses some voice messages.
type holed struct {
	*sessiontest.Transport
	sent, from, to int // messages so far, and which of them are lost
}

func (h *holed) SendVoice(p identity.PeerID, b []byte) error {
	h.sent++
	if h.sent > h.from && h.sent <= h.to {
		return nil
	}
	return h.Transport.SendVoice(p, b)
}

// A pure tone through Opus has no steps but its own, and gets none where
// packets are lost or the way is interrupted.
func TestLossIsNoClick(t *testing.T) {
	const hz, dBFS = 200.0, -10.0
	slope := audio.Amplitude(dBFS) * 2 * math.Pi * hz / audio.SampleRate
	for _, c := range []struct {
		name string
		lost int // packets
		cut  time.Duration
	}{{"nothing", 0, 0}, {"1 packet", 1, 0}, {"2 packets", 2, 0}, {"3 packets", 3, 0}, {"4 packets", 4, 0}, {"everything for 3 s", 0, 3 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := sessiontest.NewNetwork(sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}})
				way := &holed{Transport: network.Transport(sessiontest.PeerID(1)), from: 100, to: 100 + c.lost}
				talker, _ := wired(t, session.Config{Transport: way, Codec: opus.Codec{}}, audio.NewTone(hz, dBFS))
				listener, sink := wired(t, session.Config{Transport: network.Transport(sessiontest.PeerID(2)), Codec: opus.Codec{}}, &audio.Silence{})
				if err := talker.PeerJoined(sessiontest.PeerID(2)); err != nil {
					t.Fatal(err)
				}
				if err := listener.PeerJoined(sessiontest.PeerID(1)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				if c.cut > 0 {
					network.Cut(sessiontest.PeerID(1), sessiontest.PeerID(2))
					time.Sleep(c.cut)
					network.Restore(sessiontest.PeerID(1), sessiontest.PeerID(2))
					time.Sleep(3 * time.Second)
				}
				synctest.Wait()
				heard := sink.Mono()
				at := 0
				for i := 1; i < len(heard); i++ {
					if step(heard, i) > step(heard, at) {
						at = i
					}
				}
				st := listener.Stats().Peers[0].Jitter
				t.Logf("greatest step %.4f at %v; that of the tone %.4f; %d samples concealed", step(heard, at), audiotest.Duration(float64(at)), slope, st.ConcealedSamples)
				if got := step(heard, at); got > 1.2*slope || got < 0.8*slope {
					t.Errorf("greatest step %.4f at %v, want that of the tone, %.4f", got, audiotest.Duration(float64(at)), slope)
				}
				if st.PlayedSamples < 2*audio.SampleRate || st.Missing < uint64(c.lost) {
					t.Errorf("%d packets lost, but %+v", c.lost, st)
				}
				for _, s := range []*session.Session{talker, listener} {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
				if err := network.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// step is by how much sample i differs from the one before.
func step(pcm []float32, i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Abs(float64(pcm[i] - pcm[i-1]))
}

// wired starts a session that says something, and returns what it hears.
func wired(t *testing.T, cfg session.Config, said audio.Source) (*session.Session, *audiotest.Sink) {
	t.Helper()
	sink := &audiotest.Sink{}
	cfg.OpenSource = func() (audio.Source, error) { return said, nil }
	cfg.OpenSink = func() (audio.Sink, error) { return sink, nil }
	s, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s, sink
}
