package clean_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
)

// speakers are beside the microphone, so loud as they may be.
func speakers(gain float64) audiotest.Room {
	return audiotest.Room{Delay: 60 * time.Millisecond, RT60: 300 * time.Millisecond, Gain: gain, Seed: 1}
}

// From the first word on, and however loud it is, echo is turned down.
func TestHalfDuplexKeepsEchoBack(t *testing.T) {
	far := voice(t, "ben", 20*time.Second, 0)
	for _, gain := range []float64{0.05, 0.3, 1, 3} {
		t.Run(fmt.Sprint("gain ", gain), func(t *testing.T) {
			h := &clean.HalfDuplex{}
			echo := speakers(gain).Echo(far)
			out := audiotest.Process(h, echo, far)
			for _, s := range []float64{0, 5, 15} {
				before, after := level(seconds(echo, s, s+5)), level(seconds(out, s, s+5))
				t.Logf("second %.0f to %.0f: %.0f dB less, %.0f dBFS left, coupling %.0f dB", s, s+5, before-after, after, h.Coupling())
				least := min(20, before+60)
				if before-after < least {
					t.Errorf("second %.0f to %.0f: %.1f dB less, want %.0f", s, s+5, before-after, least)
				}
			}
		})
	}
}

// Who speaks while nothing is heard is not touched, and who speaks louder than
// the echo gets through.
func TestHalfDuplexLetsAVoiceThrough(t *testing.T) {
	near := voice(t, "clara", 20*time.Second, 0)
	if out := audiotest.Process(&clean.HalfDuplex{}, near, nil); level(sum(out, negative(near))) > -150 {
		t.Error("a voice is changed though nothing is heard")
	}
	far := voice(t, "ben", 20*time.Second, 0)
	clear(seconds(near, 0, 8))
	mic := sum(speakers(0.1).Echo(far), near)
	out := audiotest.Process(&clean.HalfDuplex{}, mic, far)
	near, out = seconds(near, 8, 14), seconds(out, 8, 14)
	changed := level(spoken(near, out)) - level(spoken(near, near))
	stoi := audiotest.STOI(near, out)
	t.Logf("voice %+.2f dB, STOI %.3f", changed, stoi)
	if changed < -1.5 || changed > 1.5 || stoi < 0.85 {
		t.Errorf("a voice 20 dB over the echo changed by %.2f dB, STOI %.3f", changed, stoi)
	}
}

// Once an echo canceller has learned the way there is nothing left to do.
func TestHalfDuplexBehindACancellerOpens(t *testing.T) {
	far := voice(t, "ben", 30*time.Second, 0)
	residual := sum(speakers(0.005).Echo(far), noise(30*time.Second, -75))
	near := voice(t, "clara", 30*time.Second, -15)
	clear(seconds(near, 0, 20))
	out := audiotest.Process(&clean.HalfDuplex{}, sum(residual, near), far)
	near, out = seconds(near, 20, 30), seconds(out, 20, 30)
	if changed := level(spoken(near, out)) - level(spoken(near, near)); changed < -0.5 {
		t.Errorf("a quiet voice changed by %.2f dB though the echo is gone", changed)
	}
}

// The coupling that was learned is unlearned when the speakers are turned up.
func TestHalfDuplexFollowsTheSpeakers(t *testing.T) {
	far := voice(t, "ben", 40*time.Second, 0)
	echo := append(seconds(speakers(0.03).Echo(far), 0, 20), seconds(speakers(0.6).Echo(far), 20, 40)...)
	out := audiotest.Process(&clean.HalfDuplex{}, echo, far)
	for _, s := range []float64{25, 30, 35} {
		t.Logf("%.0f s: %.0f dB less", s, level(seconds(echo, s, s+5))-level(seconds(out, s, s+5)))
	}
	if down := level(seconds(echo, 35, 40)) - level(seconds(out, 35, 40)); down < 20 {
		t.Errorf("15 s after the speakers were turned up the echo is %.1f dB less, want 20", down)
	}
}

func negative(pcm []float32) []float32 {
	out := make([]float32, len(pcm))
	for i, x := range pcm {
		out[i] = -x
	}
	return out
}
