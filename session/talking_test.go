package session_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// rest waits in virtual time.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// heardSince is the RMS of what was heard since a number of blocks of the sink.
func heardSince(m *member, blocks int) float64 {
	return m.loudness(time.Duration(blocks)*audio.BlockDuration, time.Hour)
}

func TestModeAndThresholdChangeWhileTalking(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		// Beeps of 300 ms a second, at -13 dBFS RMS.
		beeps := tone(440, 0.316)
		clear(beeps[audio.SampleRate*3/10:])
		a, b := pair(t, net, beeps)
		defer closeAll(t, a, b)
		rest(2 * time.Second)
		for _, step := range []struct {
			what  string
			do    func() error
			heard bool
		}{
			{"open", func() error { return nil }, true},
			{"push-to-talk without the key", func() error { return a.SetMode(session.PushToTalk) }, false},
			{"with the key", func() error { a.SetTalking(true); return nil }, true},
			{"voice activation", func() error { a.SetTalking(false); return a.SetMode(session.VoiceActivation) }, true},
			{"a threshold above the voice", func() error { return a.SetVoiceThreshold(-6) }, false},
			{"a threshold below it", func() error { return a.SetVoiceThreshold(-20) }, true},
			{"a lower one, and the mode once more", func() error { return errors.Join(a.SetVoiceThreshold(-60), a.SetMode(session.VoiceActivation)) }, true},
			{"open again", func() error { return a.SetMode(session.Open) }, true},
			{"muted", func() error { a.SetMuted(true); return nil }, false},
			{"voice activation while muted", func() error { return a.SetMode(session.VoiceActivation) }, false},
			{"no longer muted", func() error { a.SetMuted(false); return nil }, true},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			rest(time.Second)
			from := b.out.Blocks()
			rest(3 * time.Second)
			if l := heardSince(b, from); (l > 0.05) != step.heard || !step.heard && l > 0.001 {
				t.Errorf("%s: heard with an RMS of %.4f", step.what, l)
			}
		}
	})
}

// Who raises the margin above what the voice has over its background is silent.
func TestVoiceMarginIsAboveTheBackground(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		pcm := tone(440, 0.316)
		for i := range pcm[audio.SampleRate/2:] {
			pcm[audio.SampleRate/2+i] *= 0.1 // 20 dB less: the background
		}
		a, b := pair(t, net, pcm)
		defer closeAll(t, a, b)
		if err := errors.Join(a.SetMode(session.VoiceActivation), a.SetVoiceMargin(26)); err != nil {
			t.Fatal(err)
		}
		rest(4 * time.Second)
		from := b.out.Blocks()
		rest(3 * time.Second)
		if l := heardSince(b, from); l > 0.001 {
			t.Errorf("20 dB over the background, with a margin of 26: heard with an RMS of %.4f", l)
		}
		if err := a.SetVoiceMargin(12); err != nil {
			t.Fatal(err)
		}
		from = b.out.Blocks()
		rest(3 * time.Second)
		if l := heardSince(b, from); l < 0.05 {
			t.Errorf("with a margin of 12: heard with an RMS of %.4f", l)
		}
	})
}

func TestNonsenseAboutTalkingIsRefused(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		nan := math.NaN()
		for what, err := range map[string]error{
			"mode 7":            m.SetMode(7),
			"threshold 3":       m.SetVoiceThreshold(3),
			"threshold -200":    m.SetVoiceThreshold(-200),
			"threshold NaN":     m.SetVoiceThreshold(nan),
			"margin -1":         m.SetVoiceMargin(-1),
			"margin 100":        m.SetVoiceMargin(100),
			"margin NaN":        m.SetVoiceMargin(nan),
			"margin infinity":   m.SetVoiceMargin(math.Inf(1)),
			"threshold minus ∞": m.SetVoiceThreshold(math.Inf(-1)),
		} {
			if !errors.Is(err, session.ErrConfig) {
				t.Errorf("%s: %v, want ErrConfig", what, err)
			}
		}
		if m.Mode() != session.Open || m.VoiceThreshold() != -45 || m.VoiceMargin() != 8 {
			t.Errorf("after that mode %v, threshold %v, margin %v", m.Mode(), m.VoiceThreshold(), m.VoiceMargin())
		}
		for _, bad := range []session.Config{{Mode: 3}, {VoiceThreshold: 1}, {VoiceThreshold: nan}, {VoiceMargin: -1}} {
			bad.Transport, bad.Codec = net.Transport(sessiontest.PeerID(2)), &sessiontest.Codec{}
			if _, err := session.New(bad); !errors.Is(err, session.ErrConfig) {
				t.Errorf("New with mode %v, threshold %v, margin %v: %v, want ErrConfig", bad.Mode, bad.VoiceThreshold, bad.VoiceMargin, err)
			}
		}
	})
}

func TestTalkingWhileMutedIsTold(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		beeps := tone(440, 0.3)
		clear(beeps[audio.SampleRate*7/10:])
		a, b := pair(t, net, beeps)
		defer closeAll(t, a, b)
		a.SetMuted(true)
		next[session.TalkingWhileMuted](t, a, 2*time.Second)
		rest(5 * time.Second)
		a.SetMuted(false)
		for range len(a.Events()) {
			if e, ok := (<-a.Events()).(session.TalkingWhileMuted); ok {
				t.Errorf("told a second time: %v", e)
			}
		}
		rest(time.Second)
		a.SetMuted(true)
		next[session.TalkingWhileMuted](t, a, 2*time.Second)
	})
}

// tardy is a processor that says that it holds audio back.
type tardy time.Duration

func (tardy) Process(_, _ *audio.Block) {}

func (d tardy) Delay() time.Duration { return time.Duration(d) }

// What a listener is told of the delay counts what processors and pre-roll hold
// back, and follows the mode.
func TestDelayToldCountsProcessorsAndPreRoll(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		measured := make([]time.Duration, 0, 4)
		for n, chain := range []audio.Chain{nil, {tardy(7 * time.Millisecond)}} {
			a := newMember(t, net, 2*n+1, tone(440, 0.3), func(c *session.Config) { c.Chain = chain })
			b := newMember(t, net, 2*n+2, nil)
			a.start(t)
			b.start(t)
			a.joined(t, b)
			b.joined(t, a)
			rest(2 * time.Second)
			measured = append(measured, b.peer(t, a).FixedDelay)
			if err := a.SetMode(session.VoiceActivation); err != nil {
				t.Fatal(err)
			}
			rest(time.Second)
			measured = append(measured, b.peer(t, a).FixedDelay)
			closeAll(t, a, b)
		}
		if d := measured[2] - measured[0]; d != 7*time.Millisecond {
			t.Errorf("a chain of 7 ms adds %v", d)
		}
		for i := 0; i < len(measured); i += 2 {
			if d := measured[i+1] - measured[i]; d != 80*time.Millisecond {
				t.Errorf("voice activation adds %v, want the 80 ms of its pre-roll", d)
			}
		}
	})
}
