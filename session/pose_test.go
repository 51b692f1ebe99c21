package session_test

import (
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// at is a pose at a position.
func at(x, z float64) spatial.Pose { return spatial.Pose{Position: spatial.Vec{X: x, Z: z}} }

// sides is how loud it is on the left and on the right over the next 100 ms, half a
// second from now.
func sides(m *member) (left, right float64) {
	time.Sleep(600 * time.Millisecond)
	pcm := m.out.Stereo()
	pcm = pcm[len(pcm)-2*audiotest.Samples(100*time.Millisecond):]
	for i := 0; i < len(pcm); i += 2 {
		left += float64(pcm[i]) * float64(pcm[i])
		right += float64(pcm[i+1]) * float64(pcm[i+1])
	}
	n := float64(len(pcm) / 2)
	return math.Sqrt(left / n), math.Sqrt(right / n)
}

// full is how loud a tone at 0.2 is in the centre: the codec of the tests takes some
// of it away.
const full = 0.901 * 0.2 / math.Sqrt2

// wantSides checks how loud it is on both sides beside a voice in the centre.
func wantSides(t *testing.T, what string, m *member, left, right float64) {
	t.Helper()
	l, r := sides(m)
	if l, r = l/full, r/full; math.Abs(l-left) > 0.02 || math.Abs(r-right) > 0.02 {
		t.Errorf("%s: %.3f left and %.3f right, want %.3f and %.3f", what, l, r, left, right)
	}
}

// panned is what constant power makes of a gain and a pan.
func panned(gain, pan float64) (left, right float64) {
	sin, cos := math.Sincos((pan + 1) * math.Pi / 4)
	return gain * math.Sqrt2 * cos, gain * math.Sqrt2 * sin
}

func TestVoicesComeFromWhereTheirPeersAre(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		must(t, listener.SetPeerPose(talker.id, at(4, 0))) // before it joined
		meet(t, talker, listener)
		wantSides(t, "without a pose of our own", listener, 1, 1)
		must(t, listener.SetPose(spatial.Pose{}))
		l, r := panned(0.25, 0.8)
		wantSides(t, "to the right", listener, l, r)
		must(t, listener.SetPose(spatial.Pose{Forward: spatial.Vec{Z: 1}}))
		wantSides(t, "turned round", listener, r, l)
		must(t, listener.SetPose(spatial.Pose{Forward: spatial.Vec{X: 1}, Position: spatial.Vec{X: 2}}))
		wantSides(t, "ahead", listener, 0.5, 0.5)
		must(t, listener.SetDistance(spatial.Model{Curve: spatial.Linear, Min: 1, Max: 3}))
		wantSides(t, "another model", listener, 0.5, 0.5)
		must(t, listener.SetPeerPose(talker.id, at(100, 0)))
		wantSides(t, "far away", listener, 0, 0)
		if why := listener.Why(talker.id); why != "It is too far away to be heard, or speaks through what it has turned down to nothing." {
			t.Errorf("why: %s", why)
		}
		listener.ClearPeerPose(talker.id)
		wantSides(t, "a peer without a pose", listener, 1, 1)
		must(t, listener.SetPeerPose(talker.id, at(0, 0)))
		wantSides(t, "at once again", listener, 0.5, 0.5)
		listener.ClearPose()
		wantSides(t, "without a pose of our own again", listener, 1, 1)
		must(t, listener.PeerLeft(talker.id))
		if _, placed := listener.PeerPose(talker.id); placed {
			t.Error("the pose of a peer that left is kept")
		}
		if talker.peer(t, listener).BytesOut == 0 || talker.peer(t, listener).Heard.Positional {
			t.Error("poses are not the listener's alone")
		}
	})
}

// What is marked decides once anything is: by this side for all, by a peer for its
// own voice.
func TestOnlyWhatIsPositionalIsPlaced(t *testing.T) {
	away, _ := panned(0.5, 0)
	for _, tt := range []struct {
		name          string
		speaks, marks []session.Target // of the talker, at the same time
		listenerMarks bool
		once          bool // the talker marked something, long ago
		want          float64
	}{
		{name: "nobody knows of channels", want: away},
		{name: "a room, nobody marks", speaks: []session.Target{session.Room("a")}, want: away},
		{name: "a room that is marked", marks: []session.Target{session.Room("a")}, want: away},
		{name: "everyone, marked", marks: []session.Target{session.Everyone()}, want: away},
		{name: "all that it speaks through", marks: []session.Target{session.Room("a"), session.Everyone()}, want: away},
		{name: "one of two", speaks: []session.Target{session.Room("b")}, marks: []session.Target{session.Room("a")}, want: 1},
		{name: "everyone, after something was marked", once: true, speaks: []session.Target{session.Everyone()}, want: 1},
		{name: "no channel, and we mark", listenerMarks: true, want: 1},
		{name: "a room, and we mark", listenerMarks: true, speaks: []session.Target{session.Room("a")}, want: 1},
		{name: "marked, and we mark too", listenerMarks: true, marks: []session.Target{session.Room("a")}, want: away},
	} {
		t.Run(tt.name, func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
				defer closeAll(t, talker, listener)
				if tt.listenerMarks {
					speak(t, listener, session.Room("mine")).SetPositional(true)
				}
				must(t, listener.SetPose(spatial.Pose{}))
				must(t, listener.SetPeerPose(talker.id, at(0, 2)))
				meet(t, talker, listener)
				if tt.once {
					c := speak(t, talker, session.Everyone())
					c.SetPositional(true)
					wantSides(t, "before", listener, away, away)
					c.Close()
				}
				for _, to := range tt.speaks {
					speak(t, talker, to)
				}
				for _, to := range tt.marks {
					speak(t, talker, to).SetPositional(true)
				}
				wantSides(t, "now", listener, tt.want, tt.want)
			})
		})
	}
}

// Who jumps from one side to the other, again and again, at any moment, makes no
// click and no noise: the gains of both sides go in lines that are hardly steep.
func TestAMovingVoiceDoesNotClick(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, listener := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, nil)
		defer closeAll(t, talker, listener)
		meet(t, talker, listener)
		time.Sleep(500 * time.Millisecond)
		var voice, mix []float32
		remove := listener.Tap(session.Taps{
			Peer: func(_ identity.PeerID, b *audio.Block, _ bool) { voice = append(voice, b[:]...) },
			Mix:  func(b *audio.StereoBlock, _ time.Time) { mix = append(mix, b[:]...) },
		})
		must(t, listener.SetPose(spatial.Pose{}))
		for i := range 40 {
			x := float64(2 * (i%2*2 - 1))
			must(t, listener.SetPeerPose(talker.id, at(x, float64(i%3)-1)))
			if i%8 == 7 {
				listener.ClearPeerPose(talker.id)
			}
			time.Sleep(time.Duration(37+i) * time.Millisecond)
		}
		remove()
		synctest.Wait()
		if len(mix) != 2*len(voice) {
			t.Fatalf("%d samples of the voice, %d of the mix", len(voice), len(mix)/2)
		}
		const steepest = 0.0005 // of a gain, in a sample: a quarter of the way in a block
		for side := range 2 {
			last, before, lowest, highest := -1, 0.0, 2.0, 0.0
			for i := range len(voice) - audio.MixerDelay {
				if math.Abs(float64(voice[i])) < 0.02 {
					continue
				}
				gain := float64(mix[2*(i+audio.MixerDelay)+side]) / float64(voice[i])
				if last >= 0 && math.Abs(gain-before) > steepest*float64(i-last)+1e-5 {
					t.Fatalf("side %d: the gain goes from %.4f to %.4f within %d samples at %d", side, before, gain, i-last, i)
				}
				last, before, lowest, highest = i, gain, min(lowest, gain), max(highest, gain)
			}
			if lowest > 0.4 || highest < 0.6 {
				t.Errorf("side %d: gains of %.3f to %.3f: nothing moved", side, lowest, highest)
			}
		}
	})
}

func TestWhatIsNoPoseChangesNothing(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		other := sessiontest.PeerID(2)
		must(t, m.SetPose(at(1, 2)))
		must(t, m.SetPeerPose(other, at(3, 4)))
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e200} {
			if err := m.SetPose(at(bad, 0)); !errors.Is(err, spatial.ErrPose) {
				t.Errorf("our own at %g: %v", bad, err)
			}
			if err := m.SetPeerPose(other, spatial.Pose{Up: spatial.Vec{Y: bad}}); !errors.Is(err, spatial.ErrPose) {
				t.Errorf("a peer's with %g: %v", bad, err)
			}
			if err := m.SetDistance(spatial.Model{Min: bad}); !errors.Is(err, spatial.ErrModel) {
				t.Errorf("a model with %g: %v", bad, err)
			}
			if _, err := m.Speak(session.Everyone().Within(bad)); !errors.Is(err, session.ErrTarget) {
				t.Errorf("within %g: %v", bad, err)
			}
		}
		for _, bad := range []float64{0, -1} {
			if _, err := m.Speak(session.Room("a").Within(bad)); !errors.Is(err, session.ErrTarget) {
				t.Errorf("within %g: %v", bad, err)
			}
		}
		if p, ok := m.Pose(); !ok || p != at(1, 2) {
			t.Errorf("our own pose is %v", p)
		}
		if p, ok := m.PeerPose(other); !ok || p != at(3, 4) {
			t.Errorf("the peer's pose is %v", p)
		}
		m.ClearPeerPose(other)
		if _, ok := m.PeerPose(identity.PeerID("nobody")); ok {
			t.Error("a pose of nobody")
		}
		cfg := session.Config{Transport: net.Transport(sessiontest.PeerID(3)), Codec: &sessiontest.Codec{}, Distance: spatial.Model{Max: -1}}
		if _, err := session.New(cfg); !errors.Is(err, session.ErrConfig) || !errors.Is(err, spatial.ErrModel) {
			t.Errorf("a configuration with a wrong model: %v", err)
		}
	})
}

// Poses, readers and duckers may be used from any goroutine while people talk and the
// session starts and stops: what the race detector and the end of the bubble look at.
func TestPlacesAndReadersAreSafeForConcurrentUse(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, words(440, 0.2), shares), newMember(t, net, 2, words(300, 0.2), shares)
		defer closeAll(t, talker, m)
		meet(t, talker, m)
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 100 {
					must(t, errors.Join(m.SetPose(at(float64(i), 1)), m.SetPeerPose(talker.id, at(1, float64(worker)))))
					must(t, errors.Join(m.SetDistance(spatial.Model{Max: float64(10 + i)}), m.SetDucking(float64(i%2))))
					pcm, err := m.OpenPeerPCM(talker.id, session.PCMConfig{Exclusive: i%2 == 0, Volume: true, SampleRate: 44100})
					must(t, err)
					ducker, err := m.NewDucker(session.DuckerConfig{})
					must(t, err)
					near, err := m.Speak(session.Everyone().Within(float64(5 + worker)))
					must(t, err)
					near.SetPositional(true)
					for range 3 {
						time.Sleep(7 * time.Millisecond)
						if n, err := pcm.Read(make([]byte, 1000)); n != 1000 || err != nil {
							t.Errorf("read %d bytes: %v", n, err)
						}
						ducker.Apply(make([]float32, 300), 2)
						pcm.Stats()
						m.Why(talker.id)
						m.Stats()
					}
					near.Close()
					ducker.Close()
					must(t, pcm.Close())
					m.ClearPeerPose(talker.id)
					if worker == 0 && i%40 == 20 {
						m.ClearPose()
						must(t, m.Stop())
						m.start(t)
						m.joined(t, talker)
					}
				}
			})
		}
		wg.Wait()
		must(t, m.SetDistance(spatial.Model{}))
		must(t, m.SetDucking(0))
		m.ClearPeerPose(talker.id)
		m.ClearPose()
		talker.ClearPose()
		_ = speak(t, m, session.Everyone())
		time.Sleep(3 * time.Second)
		if l, r := sides(m); l < 0.5*full || l != r {
			t.Errorf("in the end it is %.3f left and %.3f right", l, r)
		}
	})
}

// listenIn is a processor that measures the mix beside the microphone.
type listenIn struct {
	mu  sync.Mutex
	sum float64 // of squares, of the last block
}

func (l *listenIn) Process(_, mix *audio.Block) {
	sum := 0.0
	for _, x := range mix {
		sum += float64(x) * float64(x)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum = 0.9*l.sum + 0.1*sum
}

// The capture chain gets what is heard, placed, in mono: an echo canceller can't do
// with anything else. Who is left out of the mix isn't in it.
func TestTheChainGetsTheMixAsItIsHeard(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		var ear listenIn
		talker := newMember(t, net, 1, tone(440, 0.2))
		m := newMember(t, net, 2, nil, func(cfg *session.Config) { cfg.Chain = audio.Chain{&ear} })
		defer closeAll(t, talker, m)
		meet(t, talker, m)
		is := func(what string, want float64) {
			t.Helper()
			time.Sleep(time.Second)
			ear.mu.Lock()
			defer ear.mu.Unlock()
			if got := math.Sqrt(ear.sum/audio.BlockSamples) / full; math.Abs(got-want) > 0.03 {
				t.Errorf("%s the mix is at %.3f, want %.3f", what, got, want)
			}
		}
		is("in the centre", 1)
		must(t, errors.Join(m.SetPose(at(0, 0)), m.SetPeerPose(talker.id, at(2, 0))))
		l, r := panned(0.5, 0.8)
		is("to the right", (l+r)/2)
		pcm, err := m.OpenPeerPCM(talker.id, session.PCMConfig{Exclusive: true})
		must(t, err)
		defer pcm.Close()
		is("without the voice", 0)
	})
}
