package clean_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
)

// Recordings whose loudness differs by 40 dB end up within 2 dB of each other.
func TestAutoGainMakesVoicesEquallyLoud(t *testing.T) {
	const from, to = 14, 20
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, name := range []string{"anna", "ben", "clara"} {
		for _, db := range []float64{-16, -8, 0, 8, 16, 24} {
			said := voice(t, name, to*time.Second, db)
			mic := sum(said, noise(to*time.Second, -75))
			out := audiotest.Process(&clean.AutoGain{}, mic, nil)
			l := level(spoken(seconds(said, from, to), seconds(out, from, to)))
			t.Logf("%s %+.0f dB: %.1f dBFS, was %.1f", name, db, l, level(spoken(seconds(said, from, to), seconds(said, from, to))))
			lowest, highest = min(lowest, l), max(highest, l)
		}
	}
	if highest-lowest > 3 || math.Abs((highest+lowest)/2-clean.GainTarget) > 3 {
		t.Errorf("voices are at %.1f to %.1f dBFS, want %.0f", lowest, highest, clean.GainTarget)
	}
}

func TestAutoGainLeavesTheBackground(t *testing.T) {
	for _, dbfs := range []float64{-70, -50, -30} {
		g := &clean.AutoGain{}
		audiotest.Process(g, noise(20*time.Second, dbfs), nil)
		if math.Abs(g.Gain()) > 1 {
			t.Errorf("noise at %.0f dBFS alone: the gain is %.1f dB", dbfs, g.Gain())
		}
	}
	// In a pause it stays as it is.
	g := &clean.AutoGain{}
	audiotest.Process(g, voice(t, "anna", 20*time.Second, -10), nil)
	before := g.Gain()
	audiotest.Process(g, noise(20*time.Second, -65), nil)
	if math.Abs(g.Gain()-before) > 1 {
		t.Errorf("the gain went from %.1f to %.1f dB in a pause", before, g.Gain())
	}
}

// What comes out of the speaker isn't ours to be raised.
func TestAutoGainDoesNotRaiseEcho(t *testing.T) {
	far := voice(t, "ben", 20*time.Second, 0)
	g := &clean.AutoGain{}
	audiotest.Process(g, audiotest.Room{Delay: 10 * time.Millisecond, RT60: 100 * time.Millisecond, Gain: 0.05}.Echo(far), far)
	if g.Gain() > 3 {
		t.Errorf("the gain is %.1f dB after nothing but echo", g.Gain())
	}
}

func TestAutoGainHasNoSteps(t *testing.T) {
	g := &clean.AutoGain{}
	tone := sine(200)
	last, worst := float32(0), float32(0)
	for range 10 {
		for i, x := range audiotest.Process(g, tone, nil) {
			if i > 0 {
				worst = max(worst, x-last, last-x)
			}
			last = x
		}
	}
	if steepest := float32(0.5*2*math.Pi*200/audio.SampleRate) * 1.05; worst > steepest {
		t.Errorf("a step of %.4f, the tone's steepest is %.4f", worst, steepest)
	}
}

func TestAutoGainIsLimited(t *testing.T) {
	for db, want := range map[float64]float64{-30: clean.MaxGain, 28: clean.MinGain} {
		g := &clean.AutoGain{}
		audiotest.Process(g, voice(t, "anna", 30*time.Second, db), nil)
		if db < 0 && g.Gain() > want || db > 0 && g.Gain() < want {
			t.Errorf("%s: gain %.1f dB, beyond %.0f", fmt.Sprint(db), g.Gain(), want)
		}
	}
}
