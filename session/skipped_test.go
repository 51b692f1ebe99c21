package session_test

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// A microphone that gives nothing for a while, since the process was suspended,
// say, is no late network: the talker's clock runs on, and the spurt ends.
func TestTheClockRunsOnWhileAMicrophoneGivesNothing(t *testing.T) {
	for _, gap := range []time.Duration{400 * time.Millisecond, 3 * time.Second} {
		party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 20 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
			device := audiotest.NewMicrophone(tone(440, 0.2), 0)
			talker := newMember(t, net, 1, nil, func(c *session.Config) {
				c.OpenSource = func() (audio.Source, error) { return device, nil }
			})
			listener := newMember(t, net, 2, nil)
			defer closeAll(t, talker, listener)
			talker.start(t)
			listener.start(t)
			talker.joined(t, listener)
			listener.joined(t, talker)
			time.Sleep(3 * time.Second)
			before := listener.peer(t, talker).Jitter
			device.Freeze(gap)
			time.Sleep(gap + time.Second)
			after := listener.peer(t, talker).Jitter
			if n := time.Duration(talker.Stats().BlocksSkipped) * audio.BlockDuration; n < gap-30*time.Millisecond || n > gap {
				t.Errorf("%v of a gap of %v were skipped", n, gap)
			}
			played := audiotest.Duration(float64(after.PlayedSamples - before.PlayedSamples))
			stretched := audiotest.Duration(float64(after.InsertedSamples + after.RemovedSamples - before.InsertedSamples - before.RemovedSamples))
			if played < 900*time.Millisecond || stretched > 20*time.Millisecond {
				t.Errorf("after a gap of %v, %v of a second were played, %v stretched", gap, played, stretched)
			}
			if after.Delay > before.Delay+15*time.Millisecond {
				t.Errorf("after a gap of %v the delay is %v, was %v", gap, after.Delay, before.Delay)
			}
		})
	}
}
