package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// ear keeps what a chain sees.
type ear struct{ mic, mix []float32 }

func (e *ear) Process(mic, mix *audio.Block) {
	e.mic, e.mix = append(e.mic, mic[:]...), append(e.mix, mix[:]...)
}

// The chain sees a sound that is played MixLead before the microphone hears it, and
// what the devices don't say of their latency earlier still. Devices without latency
// take of the lead what isn't known yet.
func TestMixIsAheadOfItsEcho(t *testing.T) {
	for _, c := range []struct{ speaker, mic, untold, air time.Duration }{
		{15, 5, 0, 0},
		{5, 5, 0, 0},
		{60, 40, 0, 0},
		{15, 5, 20, 3},
		{15, 5, -3, 0},
		{1, 1, 0, 0},
	} {
		t.Run(fmt.Sprintf("speaker %d ms and %d untold, microphone %d ms, air %d ms", c.speaker, c.untold, c.mic, c.air), func(t *testing.T) {
			party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
				seen := &ear{}
				laptop := sessiontest.NewLaptop(sessiontest.LaptopConfig{
					Echo:       []sessiontest.Reflection{{Delay: c.air * time.Millisecond, Gain: 0.5}},
					Speaker:    c.speaker * time.Millisecond,
					Microphone: c.mic * time.Millisecond,
					Untold:     c.untold * time.Millisecond,
				})
				a := newMember(t, net, 1, nil, func(cfg *session.Config) {
					cfg.OpenSource = func() (audio.Source, error) { return laptop.Microphone(), nil }
					cfg.OpenSink = func() (audio.Sink, error) { return laptop.Speaker(), nil }
					cfg.Chain = audio.Chain{seen}
				})
				b := newMember(t, net, 2, audiotest.Babble(1, 5*time.Second))
				a.start(t)
				b.start(t)
				a.joined(t, b)
				b.joined(t, a)
				rest(6 * time.Second)
				closeAll(t, a, b)
				from := 2 * audio.SampleRate
				m := audiotest.FindWithin(seen.mix[from:from+audio.SampleRate], seen.mic[from:], -50*time.Millisecond, 50*time.Millisecond)
				lead := min(audio.MixLead, (c.speaker+c.mic)*time.Millisecond)
				want := lead + (c.untold+c.air)*time.Millisecond
				if off := (m.Offset - want).Abs(); off > time.Millisecond || m.Confidence < 0.9 {
					t.Errorf("the echo comes %v after the mix (confidence %.2f), want %v", m.Offset, m.Confidence, want)
				}
			})
		})
	}
}
