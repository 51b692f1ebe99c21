package session_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is a session on a network in memory, with what it says and hears.
type member struct {
	*session.Session
	id  identity.PeerID
	in  *audiotest.Source
	out *audiotest.Sink
}

// party runs f in virtual time with a network that is closed in the end.
func party(t *testing.T, cfg sessiontest.Config, f func(*testing.T, *sessiontest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(cfg)
		defer func() {
			if err := net.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, net)
	})
}

// newMember makes the n-th peer of a network, who says pcm again and again;
// without pcm it is silent. It is closed when the bubble ends.
func newMember(t *testing.T, net *sessiontest.Network, n int, pcm []float32, edit ...func(*session.Config)) *member {
	t.Helper()
	m := &member{id: sessiontest.PeerID(n)}
	if len(pcm) == 0 {
		pcm = make([]float32, audio.BlockSamples)
	}
	cfg := session.Config{
		Transport: net.Transport(m.id),
		Codec:     &sessiontest.Codec{},
		OpenSource: func() (audio.Source, error) {
			m.in = audiotest.NewLoop(pcm)
			return m.in, nil
		},
		OpenSink: func() (audio.Sink, error) {
			m.out = &audiotest.Sink{}
			return m.out, nil
		},
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Session = s
	return m
}

func (m *member) start(t *testing.T) {
	t.Helper()
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *member) joined(t *testing.T, others ...*member) {
	t.Helper()
	for _, o := range others {
		if err := m.PeerJoined(o.id); err != nil {
			t.Fatal(err)
		}
	}
}

// close ends members; it belongs in a defer within the bubble.
func closeAll(t *testing.T, members ...*member) {
	t.Helper()
	for _, m := range members {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// pair is two members that joined each other, the first of whom speaks.
func pair(t *testing.T, net *sessiontest.Network, pcm []float32) (talker, listener *member) {
	t.Helper()
	talker, listener = newMember(t, net, 1, pcm), newMember(t, net, 2, nil)
	talker.start(t)
	listener.start(t)
	talker.joined(t, listener)
	listener.joined(t, talker)
	return talker, listener
}

func (m *member) peer(t *testing.T, other *member) session.PeerStats {
	t.Helper()
	for _, p := range m.Stats().Peers {
		if p.ID == other.id {
			return p
		}
	}
	t.Fatalf("no statistics of peer %s", other.id)
	return session.PeerStats{}
}

// next returns the next event of type E within limit; others are skipped.
func next[E session.Event](t *testing.T, m *member, limit time.Duration) E {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case e := <-m.Events():
			if found, ok := e.(E); ok {
				return found
			}
		case <-timeout:
			var zero E
			t.Fatalf("no %T within %v", zero, limit)
		}
	}
}

// loudness is the RMS of what was heard between two times since Start.
func (m *member) loudness(from, to time.Duration) float64 {
	pcm := m.out.Mono()
	a, b := audiotest.Samples(from), min(audiotest.Samples(to), len(pcm))
	if a >= b {
		return 0
	}
	sum := 0.0
	for _, x := range pcm[a:b] {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum / float64(b-a))
}

// tone is a second of sine.
func tone(hz, level float64) []float32 {
	pcm := make([]float32, audio.SampleRate)
	for i := range pcm {
		pcm[i] = float32(level * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate))
	}
	return pcm
}

var errBroken = errors.New("broken on purpose")
