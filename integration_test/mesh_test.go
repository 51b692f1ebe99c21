package integration_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session"
)

// participant is a session on a real libp2p host in virtual time.
type participant struct {
	*session.Session

	node      *p2p.Node
	transport *p2p.Transport
}

// newParticipant starts a session that says something and is heard by a sink, or
// by nobody.
func newParticipant(t *testing.T, h host.Host, said audio.Source, out ...audio.Sink) *participant {
	t.Helper()
	out = append(out, &audio.Null{})
	node, err := p2p.New(h, p2p.Config{})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := node.Session("")
	if err != nil {
		t.Fatal(err)
	}
	return startParticipant(t, &participant{node: node, transport: transport}, transport, said, out[0])
}

// startParticipant starts the session of one who has a node already, and sees the
// network as it is handed over.
func startParticipant(t *testing.T, p *participant, network link.Transport, said audio.Source, out audio.Sink) *participant {
	t.Helper()
	var err error
	p.Session, err = session.New(session.Config{
		Transport:  network,
		Codec:      opus.Codec{},
		OpenSource: func() (audio.Source, error) { return said, nil },
		OpenSink:   func() (audio.Sink, error) { return out, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *participant) close(t *testing.T) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	p.transport.Release()
	if err := p.node.Close(); err != nil {
		t.Error(err)
	}
}

func (p *participant) peer(id identity.PeerID) session.PeerStats {
	for _, st := range p.Stats().Peers {
		if st.ID == id {
			return st
		}
	}
	return session.PeerStats{}
}

// Eight peers in a mesh on the real QUIC stack, 40 ms apart, 2 % loss.
func TestMeshOfEight(t *testing.T) {
	mesh(t, 24*time.Second) // in less, the beginning weighs too much
}

func TestSoakMeshForAnHour(t *testing.T) {
	if os.Getenv("PARLEY_SOAK") == "" {
		t.Skip("an hour of eight peers takes long: make soak")
	}
	mesh(t, time.Hour)
}

func mesh(t *testing.T, length time.Duration) {
	const peers, loss = 8, 0.02
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: peers, Delay: 40 * time.Millisecond, Seed: 5})
		var all []*participant
		for i := range peers {
			net.SetLoss(i, loss)
			// Not all talk all the time: a sentence and a pause of another
			// length for each.
			said := audiotest.NewLoop(append(audiotest.Babble(uint64(i), 3*time.Second), make([]float32, audiotest.Samples(time.Duration(i)*500*time.Millisecond))...))
			all = append(all, newParticipant(t, net.Host(i), said))
			for j := range i {
				net.Introduce(i, j)
				net.Introduce(j, i)
			}
		}
		for _, p := range all {
			defer p.close(t)
		}
		for _, p := range all {
			for _, other := range all {
				if err := p.PeerJoined(other.Self()); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkMesh(t, all, length)
		checkVanishing(t, net, all)
	})
}

// checkMesh lets them talk and judges every pair after each part of the time.
func checkMesh(t *testing.T, all []*participant, length time.Duration) {
	t.Helper()
	const parts = 4
	worstBuffer := [parts]time.Duration{}
	for part := range parts {
		time.Sleep(length / parts)
		for _, p := range all {
			for _, st := range p.Stats().Peers {
				worstBuffer[part] = max(worstBuffer[part], st.Jitter.Target)
			}
		}
	}
	var concealed, played uint64
	for i, p := range all {
		for k, other := range all {
			if i == k {
				continue
			}
			st := p.peer(other.Self())
			concealed += st.Jitter.ConcealedSamples + st.Jitter.DiscardedSamples
			played += st.Jitter.PlayedSamples + st.Jitter.ConcealedSamples
			if share := st.ConcealedShare(); share > 0.01 {
				t.Logf("%d of %d: %.2f %% concealed; %d copies %d packets back, reported loss %.3f; link %+v; jitter %+v", i, k, 100*share, st.Copies, st.CopyOffset, st.ReportedLoss, st.Link, st.Jitter)
			}
			heard := time.Duration(st.Jitter.PlayedSamples) * time.Second / audio.SampleRate
			if heard < length/4 {
				t.Errorf("%d heard %d for %v of %v: %s", i, k, heard, length, p.Why(other.Self()))
			}
			if st.Jitter.Delay > 200*time.Millisecond || st.Jitter.Held > 20 {
				t.Errorf("%d of %d: buffer grew to %v, %d packets held", i, k, st.Jitter.Delay, st.Jitter.Held)
			}
		}
	}
	share := float64(concealed) / math.Max(1, float64(played))
	t.Logf("%v of %d peers: %.3f %% concealed, worst target per quarter %v", length, len(all), 100*share, worstBuffer)
	if share >= 0.005 {
		t.Errorf("%.3f %% concealed, want less than 0.5", 100*share)
	}
	if worstBuffer[parts-1] > 2*worstBuffer[0]+50*time.Millisecond {
		t.Errorf("buffers grow: %v", worstBuffer)
	}
}

// checkVanishing cuts one peer off without a word and brings it back.
func checkVanishing(t *testing.T, net *p2ptest.Network, all []*participant) {
	t.Helper()
	lost := all[0]
	for _, away := range []time.Duration{5 * time.Second, 45 * time.Second} {
		net.Cut(0)
		time.Sleep(3 * time.Second)
		for i, p := range all[1:] {
			if st := p.peer(lost.Self()); st.Reachable {
				t.Errorf("peer %d takes one that vanished 3 s ago for reachable", i+1)
			}
		}
		time.Sleep(away - 3*time.Second)
		before := make([]uint64, len(all))
		for i, p := range all {
			before[i] = p.peer(lost.Self()).Jitter.PlayedSamples
		}
		net.Restore(0)
		// It talks most of the time, so its return is heard soon after it.
		back := time.Now()
		for i, p := range all[1:] {
			for p.peer(lost.Self()).Jitter.PlayedSamples == before[i+1] {
				time.Sleep(10 * time.Millisecond)
				if time.Since(back) > 2*time.Second {
					t.Errorf("away %v: its return isn't heard by peer %d after 2 s: %s", away, i+1, p.Why(lost.Self()))
					break
				}
			}
		}
		t.Logf("away %v: heard again by all after %v", away, time.Since(back))
		time.Sleep(5 * time.Second)
	}
}

// First audio on the real stack: at most 300 ms and two round trips after the
// later PeerJoined, on connected hosts.
func TestFirstAudioOnQUIC(t *testing.T) {
	const oneWay = 50 * time.Millisecond
	for _, apart := range []time.Duration{0, 100 * time.Millisecond, time.Second, 5 * time.Second} {
		for _, talkerFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v apart, talker first %t", apart, talkerFirst), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					net := p2ptest.NewNetwork(t, p2ptest.Config{Delay: oneWay})
					if err := net.Connect(0, 1); err != nil {
						t.Fatal(err)
					}
					talker := newParticipant(t, net.Host(0), audiotest.NewLoop(audiotest.Babble(1, 5*time.Second)))
					defer talker.close(t)
					listener := newParticipant(t, net.Host(1), &audio.Silence{})
					defer listener.close(t)
					first, second := listener, talker
					if talkerFirst {
						first, second = talker, listener
					}
					if err := first.PeerJoined(second.Self()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(apart)
					if err := second.PeerJoined(first.Self()); err != nil {
						t.Fatal(err)
					}
					joined := time.Now()
					for listener.peer(talker.Self()).Jitter.PlayedSamples == 0 {
						time.Sleep(5 * time.Millisecond)
						if time.Since(joined) > 300*time.Millisecond+4*oneWay {
							t.Fatalf("nothing heard after %v: %s", time.Since(joined), listener.Why(talker.Self()))
						}
					}
					t.Logf("first audio after %v", time.Since(joined))
				})
			})
		}
	}
}

// An idle peer costs at most 1 kb/s each way, as IP packets, with everything
// that QUIC and libp2p add.
func TestIdleCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Delay: 20 * time.Millisecond})
		net.Introduce(0, 1)
		a := newParticipant(t, net.Host(0), &audio.Silence{})
		defer a.close(t)
		b := newParticipant(t, net.Host(1), &audio.Silence{})
		defer b.close(t)
		for _, f := range []func() error{func() error { return a.PeerJoined(b.Self()) }, func() error { return b.PeerJoined(a.Self()) }} {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		if !a.peer(b.Self()).Reachable {
			t.Fatal("not reachable:", a.Why(b.Self()))
		}
		before := [2]uint64{net.Bytes(0).IPBytesSent(), net.Bytes(1).IPBytesSent()}
		const minutes = 2
		time.Sleep(minutes * time.Minute)
		for i, was := range before {
			rate := float64(net.Bytes(i).IPBytesSent()-was) * 8 / (minutes * 60)
			t.Logf("idle host %d sends %.0f b/s", i, rate)
			if rate > 1000 {
				t.Errorf("idle host %d sends %.0f b/s, want at most 1000", i, rate)
			}
		}
	})
}
