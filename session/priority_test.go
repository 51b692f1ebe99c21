package session_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// While somebody speaks with a higher priority others are quieter, softly, and
// only where that is heard.
func TestHigherPrioritiesAreHeardAboveOthers(t *testing.T) {
	cases := map[string]struct {
		attenuation, want float64 // dB
	}{
		"by default": {0, 12},
		"by 20 dB":   {20, 20},
		"silence":    {60, math.Inf(1)},
		"not at all": {-1, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
				talker, leader := newMember(t, net, 1, tone(440, 0.2)), newMember(t, net, 2, tone(600, 1e-4))
				m := newMember(t, net, 3, nil, func(cfg *session.Config) { cfg.PriorityAttenuation = c.attenuation })
				defer closeAll(t, talker, leader, m)
				call := speak(t, leader, session.Everyone())
				leader.SetMuted(true)
				meet(t, talker, leader, m)
				level := func() float64 {
					time.Sleep(time.Second)
					now := time.Since(m.Stats().Speaker.Start)
					return 20 * math.Log10(m.loudness(now-200*time.Millisecond, now))
				}
				is := func(what string, got, want float64) {
					t.Helper()
					if math.IsInf(want, -1) && got < -60 || math.Abs(got-want) < 0.5 {
						return
					}
					t.Errorf("%s the other one is at %.1f dB, want %.1f", what, got, want)
				}
				full := level()
				leader.SetMuted(false)
				is("beside one of the same priority", level(), full)
				call.SetPriority(session.Urgent)
				is("below one of a higher priority", level(), full-c.want)
				m.SetPeerMuted(leader.id, true)
				is("below one that isn't heard here", level(), full)
				m.SetPeerMuted(leader.id, false)
				is("below one that is heard again", level(), full-c.want)
				leader.SetMuted(true)
				is("when that has spoken", level(), full)
				call.SetPriority(session.Low)
				leader.SetMuted(false)
				is("above one of a lower priority", level(), full)
				checkNoSteps(t, m)
			})
		})
	}
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		cfg := session.Config{Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{}, PriorityAttenuation: math.NaN()}
		if _, err := session.New(cfg); !errors.Is(err, session.ErrConfig) {
			t.Errorf("an attenuation that is no number: %v", err)
		}
	})
}

// checkNoSteps checks that the loudness changes by little from one period of the
// tone of 440 Hz to the next, and never at once.
func checkNoSteps(t *testing.T, m *member) {
	t.Helper()
	pcm := m.out.Mono()[audiotest.Samples(time.Second):]
	const period = 109 // samples
	before := -1.0
	for i := 0; i+period <= len(pcm); i += period {
		peak := 0.0
		for _, x := range pcm[i : i+period] {
			peak = max(peak, math.Abs(float64(x)))
		}
		if before >= 0 && math.Abs(peak-before) > 0.2*0.1 {
			t.Fatalf("at sample %d the loudness goes from %.3f to %.3f at once", i, before, peak)
		}
		before = peak
	}
}
