package main

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/session"
)

// Without a flag it is Parley's choice, and newSound leaves a device to Parley.
func TestFlagsSayWhatIsCleaned(t *testing.T) {
	for args, want := range map[string]parley.Clean{
		"":                                     {},
		"--echo auto":                          {},
		"--echo cancel --noise on --agc on":    {Echo: parley.EchoCancel, Noise: parley.On, Gain: parley.On},
		"--echo halfduplex":                    {Echo: parley.EchoHalfDuplex},
		"--echo off --noise off --agc off":     {Echo: parley.EchoOff, Noise: parley.Off, Gain: parley.Off},
		"--headless --in mic --echo cancel":    {Echo: parley.EchoCancel},
		"--headless --out speaker --noise off": {Noise: parley.Off},
	} {
		opt, err := parseOptions(strings.Fields(args))
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		if opt.clean != want {
			t.Errorf("%q: %+v, want %+v", args, opt.clean, want)
		}
		sound, err := newSound(opt)
		if err != nil {
			t.Fatal(err)
		}
		if device := opt.in == "mic"; (sound.source == nil) != device {
			t.Errorf("%q: --in %s, but a device is left to Parley: %t", args, opt.in, sound.source == nil)
		}
	}
}

func TestModeAndThresholdAreTypedWhileTalking(t *testing.T) {
	visit(t, options{}, func(t *testing.T, h *house) {
		for _, c := range []struct{ line, answer string }{
			{"level", "-96 dBFS; a voice is from -45 dBFS on; mode open"},
			{"mode voice", "done"},
			{"threshold -52", "done"},
			{"level", "-96 dBFS; a voice is from -52 dBFS on; mode voice"},
			{"mode loud", "open, voice or ptt"},
			{"threshold loud", "dBFS"},
			{"threshold 3", "dBFS"},
			{"threshold 0", "dBFS"},
			{"threshold NaN", "dBFS"},
			{"threshold -400", "dBFS"},
			{"mode ptt", "done"},
			{"level", "-96 dBFS; a voice is from -52 dBFS on; mode ptt"},
		} {
			if got := h.command(c.line); !strings.Contains(got, c.answer) {
				t.Errorf("%q: %q, want %q", c.line, got, c.answer)
			}
		}
		h.tell(session.TalkingWhileMuted{})
		if !strings.Contains(h.said.String(), "muted") {
			t.Errorf("of who talks while muted it says %q", h.said)
		}
	})
}
