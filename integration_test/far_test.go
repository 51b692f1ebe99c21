package integration_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/integration_test/linkem"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// journeys are those of the voice packets between two: when each was sent, and how
// long it took.
type journeys struct {
	mu    sync.Mutex // guards what follows
	sent  map[string]time.Time
	took  []time.Duration
	taken int // packets that the link took
}

func newJourneys() *journeys { return &journeys{sent: make(map[string]time.Time)} }

// oldest is the age that one packet in a hundred exceeds when it arrives, and how
// many arrived.
func (j *journeys) oldest() (age time.Duration, arrived int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.took) == 0 {
		return 0, 0
	}
	took := slices.Sorted(slices.Values(j.took))
	return took[int(0.99*float64(len(took)-1))], len(took)
}

// watched is a transport of which every voice packet is looked at, on both sides.
type watched struct {
	*p2p.Transport
	out, in *journeys
}

func (w watched) SendVoice(p identity.PeerID, b []byte) error {
	err := w.Transport.SendVoice(p, b)
	if err == nil {
		w.out.mu.Lock()
		defer w.out.mu.Unlock()
		w.out.sent[string(b)] = time.Now()
		w.out.taken++
	}
	return err
}

func (w watched) Open(h link.Handler) error {
	return w.Transport.Open(watchedHandler{Handler: h, in: w.in})
}

type watchedHandler struct {
	link.Handler
	in *journeys
}

func (h watchedHandler) Voice(p identity.PeerID, b []byte, at time.Time) {
	h.in.mu.Lock()
	if sent, known := h.in.sent[string(b)]; known {
		h.in.took = append(h.in.took, at.Sub(sent))
		delete(h.in.sent, string(b))
	}
	h.in.mu.Unlock()
	h.Handler.Voice(p, b, at)
}

// newWatched is newParticipant, with an eye on the packets.
func newWatched(t *testing.T, h host.Host, cfg p2p.Config, said audio.Source, out, in *journeys) *participant {
	t.Helper()
	node, err := p2p.New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := node.Session("")
	if err != nil {
		t.Fatal(err)
	}
	return startParticipant(t, &participant{node: node, transport: transport}, watched{transport, out, in}, said, &audio.Null{})
}

// At the other end of the world, over a link that loses a tenth, audio that isn't
// acknowledged stays bounded, what arrives is no older than a second but for one
// packet in a hundred, and is understood.
func TestFarAndLossyIsBounded(t *testing.T) {
	const length, delay = time.Minute, 150 * time.Millisecond
	// Packets are counted here, as if all stood for the same time: the exact bound,
	// 950 ms, is held by TestFarAndLossyNothingPilesUp in p2p.
	const bound = 1200 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		lab := newImpaired(linkem.Impairment{Delay: delay, Loss: 0.1}, 1)
		net := p2ptest.NewNetwork(t, p2ptest.Config{Fate: lab.fate, BitsPerSecond: 1e10})
		ways := [2]*journeys{newJourneys(), newJourneys()}
		var who [2]*participant
		for i, name := range []string{"anna", "ben"} {
			said, err := audiotest.LoadWAV(filepath.Join("..", "testdata", "speech", name+".wav"))
			if err != nil {
				t.Fatal(err)
			}
			net.Introduce(i, 1-i)
			who[i] = newWatched(t, net.Host(i), p2p.Config{}, audiotest.NewLoop(said), ways[i], ways[1-i])
			defer who[i].close(t)
		}
		for i, p := range who {
			if err := p.PeerJoined(who[1-i].Self()); err != nil {
				t.Fatal(err)
			}
		}
		var unacked [2]int
		for range int(length / (10 * time.Millisecond)) {
			time.Sleep(10 * time.Millisecond)
			for i, p := range who {
				unacked[i] = max(unacked[i], p.peer(who[1-i].Self()).Link.VoiceUnacked)
			}
		}
		for i, way := range ways {
			listener := who[1-i]
			j := listener.peer(who[i].Self()).Jitter
			buffer := time.Duration(float64(j.DelaySum) / float64(max(1, j.PlayedSamples)))
			concealed := 100 * float64(j.ConcealedSamples+j.DiscardedSamples) / float64(max(1, j.PlayedSamples+j.ConcealedSamples))
			way.mu.Lock()
			took, taken := slices.Sorted(slices.Values(way.took)), way.taken
			way.mu.Unlock()
			if len(took) < taken/2 || taken < int(length/(80*time.Millisecond)) {
				t.Fatalf("from %d: %d of %d packets arrived", i, len(took), taken)
			}
			at := func(share float64) time.Duration { return took[int(share*float64(len(took)-1))] }
			t.Logf("from %d: %d of %d packets arrived, after %v (median), %v (p99), %v (the last); at most %d unacknowledged at a time; %v in the buffer, %.2f %% concealed", i, len(took), taken, at(0.5), at(0.99), at(1), unacked[i], buffer, concealed)
			if held := time.Duration(unacked[i]) * length / time.Duration(taken); held > bound || held < delay {
				t.Errorf("from %d: up to %v of audio unacknowledged, want at most %v", i, held, bound)
			}
			if at(0.99) > time.Second || at(0) < delay {
				t.Errorf("from %d: the oldest packet in a hundred took %v, the fastest %v", i, at(0.99), at(0))
			}
			if buffer > 250*time.Millisecond || concealed > 4 {
				t.Errorf("from %d: %v in the buffer, %.2f %% concealed", i, buffer, concealed)
			}
		}
	})
}
