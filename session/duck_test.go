package session_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// words is a tone with a pause of 100 ms in each half second: one that goes on would
// be taken for the background.
func words(hz, level float64) []float32 {
	pcm := tone(hz, level)
	for i := range pcm {
		if i%(audio.SampleRate/2) < audio.SampleRate/10 {
			pcm[i] = 0
		}
	}
	return pcm
}

// What is heard makes way while somebody speaks here, in every mode, and doesn't for
// the noise of an open microphone.
func TestWhatIsHeardMakesWayForUs(t *testing.T) {
	const lower = 0.5012 // 6 dB
	for _, tt := range []struct {
		name   string
		mode   session.Mode
		says   float64 // amplitude of what is recorded
		key    bool
		muted  bool
		factor float64
	}{
		{name: "a voice, open", says: 0.2, factor: lower},
		{name: "noise, open", says: 0.001, factor: 1},
		{name: "a voice, muted", says: 0.2, muted: true, factor: 1},
		{name: "a voice, by activation", mode: session.VoiceActivation, says: 0.2, factor: lower},
		{name: "noise, by activation", mode: session.VoiceActivation, says: 0.001, factor: 1},
		{name: "the key is down", mode: session.PushToTalk, says: 0.001, key: true, factor: lower},
		{name: "the key is up", mode: session.PushToTalk, says: 0.2, factor: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				talker := newMember(t, net, 1, tone(440, 0.2))
				m := newMember(t, net, 2, words(300, tt.says), func(cfg *session.Config) {
					cfg.Ducking = 6
					cfg.Mode = tt.mode
				})
				defer closeAll(t, talker, m)
				m.SetTalking(tt.key)
				m.SetMuted(tt.muted)
				meet(t, talker, m)
				wantSides(t, "while that is so", m, tt.factor, tt.factor)
				m.SetMuted(true)
				wantSides(t, "muted", m, 1, 1)
				m.SetMuted(tt.muted)
				must(t, m.SetDucking(0))
				wantSides(t, "without", m, 1, 1)
				must(t, m.SetDucking(100))
				want := 0.0
				if tt.factor == 1 {
					want = 1
				}
				wantSides(t, "by all", m, want, want)
			})
		})
	}
}

func TestDuckingIsOffUnlessAskedFor(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker, m := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, words(300, 0.2))
		defer closeAll(t, talker, m)
		meet(t, talker, m)
		wantSides(t, "while we speak", m, 1, 1)
		for _, bad := range []float64{-1, math.NaN(), math.Inf(-1)} {
			if err := m.SetDucking(bad); !errors.Is(err, session.ErrConfig) || m.Ducking() != 0 {
				t.Errorf("ducking by %g: %v, and it is %g", bad, err, m.Ducking())
			}
			if _, err := m.NewDucker(session.DuckerConfig{Attenuation: bad}); !errors.Is(err, session.ErrConfig) {
				t.Errorf("a ducker by %g: %v", bad, err)
			}
		}
		cfg := session.Config{Transport: net.Transport(sessiontest.PeerID(3)), Codec: &sessiontest.Codec{}, Ducking: -3}
		if _, err := session.New(cfg); !errors.Is(err, session.ErrConfig) {
			t.Errorf("ducking by less than nothing: %v", err)
		}
	})
}

// The gain of what is heard makes no step when we begin to speak and when we cease.
func TestDuckingIsSmooth(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker := newMember(t, net, 1, tone(440, 0.2))
		m := newMember(t, net, 2, tone(300, 0.2), func(cfg *session.Config) {
			cfg.Ducking = 100
			cfg.Mode = session.PushToTalk
		})
		defer closeAll(t, talker, m)
		meet(t, talker, m)
		time.Sleep(500 * time.Millisecond)
		var voice, mix []float32
		remove := m.Tap(session.Taps{
			Peer: func(_ identity.PeerID, b *audio.Block, _ bool) { voice = append(voice, b[:]...) },
			Mix:  func(b *audio.StereoBlock, _ time.Time) { mix = append(mix, b[:]...) },
		})
		for i := range 12 {
			m.SetTalking(i%2 == 0)
			time.Sleep(time.Duration(40*i+5) * time.Millisecond)
		}
		remove()
		synctest.Wait()
		const steepest = 1. / 10 / audio.BlockSamples // all of it within 100 ms
		last, before, lowest, highest := -1, 0.0, 2.0, 0.0
		for i := range len(voice) - audio.MixerDelay {
			if math.Abs(float64(voice[i])) < 0.02 {
				continue
			}
			gain := float64(mix[2*(i+audio.MixerDelay)]) / float64(voice[i])
			if last >= 0 && math.Abs(gain-before) > 1.01*steepest*float64(i-last)+1e-4 {
				t.Fatalf("the gain goes from %.4f to %.4f within %d samples at %d", before, gain, i-last, i)
			}
			last, before, lowest, highest = i, gain, min(lowest, gain), max(highest, gain)
		}
		if lowest > 0.01 || highest < 0.99 {
			t.Errorf("gains of %.3f to %.3f: nothing moved", lowest, highest)
		}
	})
}

func TestTheApplicationsSoundMakesWay(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		talker := newMember(t, net, 1, tone(440, 0.2))
		m := newMember(t, net, 2, words(300, 0.2))
		defer closeAll(t, talker, m)
		var duckers [3]*session.Ducker
		for i, cfg := range []session.DuckerConfig{{}, {Attenuation: 20, WhileHeard: true}, {Attenuation: 60, WhileSpeaking: true}} {
			d, err := m.NewDucker(cfg)
			must(t, err)
			duckers[i] = d
		}
		talker.SetMuted(true)
		m.SetMuted(true)
		is := func(what string, want ...float64) {
			t.Helper()
			time.Sleep(800 * time.Millisecond)
			for i, d := range duckers {
				if g := float64(d.Gain()); math.Abs(g-want[i]) > 1e-3 {
					t.Errorf("%s: gain %.3f of ducker %d, want %.3f", what, g, i, want[i])
				}
			}
		}
		is("before Start", 1, 1, 1)
		meet(t, talker, m)
		is("in silence", 1, 1, 1)
		talker.SetMuted(false)
		is("a peer speaks", 0.251, 0.1, 1)
		m.SetPeerMuted(talker.id, true)
		is("one that we don't hear", 1, 1, 1)
		m.SetPeerMuted(talker.id, false)
		must(t, errors.Join(m.SetPose(at(0, 0)), m.SetPeerPose(talker.id, at(1000, 0))))
		is("one that is too far away", 1, 1, 1)
		m.ClearPose()
		m.SetDeafened(true)
		is("deafened", 1, 1, 1)
		m.SetDeafened(false)
		m.SetMuted(false)
		is("both speak", 0.251, 0.1, 0)
		talker.SetMuted(true)
		is("we speak", 0.251, 1, 0)

		pcm := make([]float32, 2*441)
		for i := range pcm {
			pcm[i] = 1
		}
		music := duckers[0]
		music.Apply(pcm, 2)
		for i := 2; i < len(pcm); i++ {
			if step := float64(pcm[i-2] - pcm[i]); math.Abs(step-(1-0.251)/441) > 1e-4 || pcm[i|1] != pcm[i&^1] {
				t.Fatalf("samples %d: %g and %g", i, pcm[i-2], pcm[i])
			}
		}
		odd := []float32{1, 1, 1}
		music.Apply(odd, 2)
		music.Apply(nil, 2)
		music.Apply(odd[:1], 0)
		if math.Abs(float64(odd[2])-0.251) > 1e-3 || math.Abs(float64(odd[0])-0.063) > 1e-3 {
			t.Errorf("at rest %v", odd)
		}
		must(t, m.Stop())
		for i, d := range duckers {
			if d.Gain() != 1 {
				t.Errorf("gain %g of ducker %d after Stop", d.Gain(), i)
			}
		}
		m.start(t)
		is("alone, we speak", 0.251, 1, 0)
		for _, d := range duckers {
			d.Close()
			d.Close()
		}
		is("closed", 1, 1, 1)
	})
}
