package integration_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session/sessiontest"
)

// A call between somebody with headphones and somebody at a laptop, whose
// microphone hears its speakers, with what Parley does by default. Only the first
// speaks, then both do. The first must not hear her own voice, and must understand
// the other.
func TestCallWithALaptopHasNoEcho(t *testing.T) {
	const both, end = 16, 24 // seconds
	headset := repeat(voiceOf(t, "anna"), end*time.Second)
	near := repeat(voiceOf(t, "ben"), end*time.Second)
	clear(near[:both*audio.SampleRate])
	on := parley.Clean{Echo: parley.EchoCancel, Noise: parley.On, Gain: parley.Off}
	heard := map[string][]float32{}
	for name, clean := range map[string]parley.Clean{
		"off":         {},
		"cancel":      on,
		"half-duplex": {Echo: parley.EchoHalfDuplex},
	} {
		heard[name] = callOf(t, headset, near, desk(), clean, end*time.Second)
	}
	for name, bar := range map[string]struct{ first, later, stoi float64 }{
		"cancel":      {15, 20, 0.9},
		"half-duplex": {20, 20, 0},
	} {
		first := levelOf(heard["off"], 1, 4) - levelOf(heard[name], 1, 4)
		later := levelOf(heard["off"], 10, both) - levelOf(heard[name], 10, both)
		mean, _ := audiotest.Intelligibility(near, heard[name], audiotest.OffsetsConfig{To: 300 * time.Millisecond})
		noEcho, _ := audiotest.Intelligibility(near, heard["off"], audiotest.OffsetsConfig{To: 300 * time.Millisecond})
		t.Logf("%s: echo %.0f dB less in the first seconds, %.0f dB after 10 s; STOI of who speaks at the same time %.2f, with echo %.2f", name, first, later, mean, noEcho)
		if first < bar.first || later < bar.later {
			t.Errorf("%s: echo is %.1f dB less in the first seconds, %.1f dB after 10 s, want %.0f and %.0f", name, first, later, bar.first, bar.later)
		}
		if mean < bar.stoi {
			t.Errorf("%s: STOI of who speaks at the same time is %.2f, want %.2f", name, mean, bar.stoi)
		}
	}
}

// Two with headphones who both speak from the first word on have nothing to cancel,
// and lose nothing.
func TestCallWithHeadphonesIsLeftAlone(t *testing.T) {
	pause := make([]float32, audio.SampleRate)
	one, other := append(pause, voiceOf(t, "anna")...), append(pause, voiceOf(t, "ben")...)
	const end = 7
	var stoi, level [2]float64
	for i, clean := range []parley.Clean{{}, {Echo: parley.EchoCancel, Noise: parley.On, Gain: parley.On}} {
		got := callOf(t, one, other, nil, clean, end*time.Second)
		stoi[i], _ = audiotest.Intelligibility(other, got, audiotest.OffsetsConfig{To: 300 * time.Millisecond})
		level[i] = levelOf(got, 1, end) - levelOf(other, 1, end)
	}
	t.Logf("STOI %.3f, level %+.1f dB; %.3f and %+.1f dB with nothing done", stoi[1], level[1], stoi[0], level[0])
	if stoi[1] < stoi[0]-0.06 || level[1] < level[0]-2 || level[1] > level[0]+4 {
		t.Error("somebody without an echo is turned down")
	}
}

// callOf is what is heard at the headset of such a call, from the moment on in
// which it begins.
func callOf(t *testing.T, headset, near []float32, echo []sessiontest.Reflection, clean parley.Clean, length time.Duration) (heard []float32) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Delay: 20 * time.Millisecond, Seed: 1})
		net.Introduce(0, 1)
		laptop := sessiontest.NewLaptop(sessiontest.LaptopConfig{Voice: near, Echo: echo, Untold: 10 * time.Millisecond, Late: true})
		ear := &audiotest.Sink{}
		a, err := parley.New(net.Host(0), parley.Config{
			OpenSource: func() (audio.Source, error) { return audiotest.NewSource(headset), nil },
			OpenSink:   func() (audio.Sink, error) { return ear, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		b, err := parley.New(net.Host(1), parley.Config{
			OpenSource: func() (audio.Source, error) { return laptop.Microphone(), nil },
			OpenSink:   func() (audio.Sink, error) { return laptop.Speaker(), nil },
			Clean:      clean,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []*parley.Voice{a, b} {
			if err := v.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range []error{a.PeerJoined(b.Self()), b.PeerJoined(a.Self())} {
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(length)
		heard = ear.Mono()
		for _, v := range []*parley.Voice{a, b} {
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return heard
}

// desk is a laptop on a desk in a room: a direct sound at -8 dB and reflections
// that die away.
func desk() []sessiontest.Reflection {
	all := []sessiontest.Reflection{{Delay: time.Millisecond, Gain: 0.4}}
	for i := range 40 {
		late := time.Duration(2+i*i/16+3*i) * time.Millisecond
		gain := 0.15 * math.Pow(10, -3*late.Seconds()/0.3)
		all = append(all, sessiontest.Reflection{Delay: late, Gain: float32(gain * float64(1-i%2*2))})
	}
	return all
}

func voiceOf(t *testing.T, name string) []float32 {
	t.Helper()
	pcm, err := audiotest.LoadWAV("../testdata/speech/" + name + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	return append(pcm, make([]float32, audio.SampleRate/2)...)
}

// repeat is so much of pcm, again and again.
func repeat(pcm []float32, d time.Duration) []float32 {
	out := make([]float32, audiotest.Samples(d))
	for i := range out {
		out[i] = pcm[i%len(pcm)]
	}
	return out
}

// levelOf is the RMS of pcm from one second to another, in dB.
func levelOf(pcm []float32, from, to int) float64 {
	sum := 1e-12
	for _, x := range pcm[from*audio.SampleRate : to*audio.SampleRate] {
		sum += float64(x) * float64(x)
	}
	return 10 * math.Log10(sum/float64((to-from)*audio.SampleRate))
}
