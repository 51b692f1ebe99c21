package ownsession_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/pipe"
	"github.com/parley-voice/parley/session"
)

// badNetwork passes messages on after 25 ms, and loses, doubles and reorders some.
type badNetwork struct {
	loss float64

	mu   sync.Mutex
	draw *rand.Rand
	ends map[identity.PeerID]*pipe.Transport
}

func (n *badNetwork) send(from, to identity.PeerID, b []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 1 + int(n.draw.Float64()+0.05) {
		if n.draw.Float64() < n.loss {
			continue
		}
		delay := 25 * time.Millisecond
		if n.draw.Float64() < 0.05 {
			delay += 10 * time.Millisecond
		}
		m, end := slices.Clone(b), n.ends[to]
		time.AfterFunc(delay, func() { _ = end.Receive(from, m) })
	}
	return nil
}

// Two people talk over a pipe that loses messages. Copies make up for it, as over any
// other network: reports and round trips get through.
func TestConversationOverABadPipe(t *testing.T) {
	for loss, most := range map[float64]float64{0: 0.1, 0.05: 1, 0.2: 2.6} { // percent concealed
		synctest.Test(t, func(t *testing.T) {
			network := &badNetwork{loss: loss, draw: rand.New(rand.NewPCG(1, 1)), ends: make(map[identity.PeerID]*pipe.Transport)}
			var voices []*session.Session
			for range 2 {
				key, _, err := crypto.GenerateEd25519Key(nil)
				if err != nil {
					t.Fatal(err)
				}
				id, err := peer.IDFromPrivateKey(key)
				if err != nil {
					t.Fatal(err)
				}
				transport, err := pipe.New(pipe.Config{
					Key:  key,
					Ways: pipe.UnreliableOnly,
					Send: func(to identity.PeerID, b []byte, _ bool) error { return network.send(id, to, b) },
				})
				if err != nil {
					t.Fatal(err)
				}
				network.ends[id] = transport
				voice, err := session.New(session.Config{
					Transport:  transport,
					Codec:      opus.Codec{},
					OpenSource: func() (audio.Source, error) { return audio.NewTone(440, -20), nil },
					OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				voices = append(voices, voice)
			}
			a, b := voices[0], voices[1]
			for _, v := range voices {
				if err := v.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(a.PeerJoined(b.Self()), b.PeerJoined(a.Self())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
			for _, v := range voices {
				st := v.Stats().Peers[0]
				concealed := 100 * float64(st.Jitter.ConcealedSamples) / float64(st.Jitter.PlayedSamples)
				t.Logf("loss %.0f %%: played %v, concealed %.2f %%, copies for the other %d, round trip %v",
					100*loss, time.Duration(st.Jitter.PlayedSamples)*time.Second/audio.SampleRate, concealed, st.Copies, st.Path.RTT)
				if concealed > most || st.Jitter.PlayedSamples < 29*audio.SampleRate {
					t.Errorf("loss %.0f %%: %.2f %% are concealed, want at most %.1f", 100*loss, concealed, most)
				}
				if rtt := st.Path.RTT; rtt < 48*time.Millisecond || rtt > 56*time.Millisecond {
					t.Errorf("the round trip is %v, want about 50 ms", rtt)
				}
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
