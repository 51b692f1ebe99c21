package main

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
)

const annasSentence = "../../testdata/speech/anna.wav"

// loudIn says whether there is anything to hear in a part of a file.
func loudIn(t *testing.T, path string, from, to time.Duration) bool {
	t.Helper()
	file, err := audio.OpenWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for at := time.Duration(0); ; at += audio.BlockDuration {
		var b audio.Block
		if err := file.ReadBlock(&b); errors.Is(err, io.EOF) {
			return false
		} else if err != nil {
			t.Fatal(err)
		}
		if at >= from && at < to && audio.Measure(b[:]).RMS > -40 {
			return true
		}
	}
}

// With files in place of devices the whole of it works without a sound card.
func TestDoctorLetsPeopleHearThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := filepath.Join(t.TempDir(), "heard.wav")
		st := &selfTest{microphone: true, echo: true, duration: 4 * time.Second}
		var said strings.Builder
		if err := st.run(t.Context(), &options{in: annasSentence, out: heard}, &said); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"The microphone is good: speech is at -2", "clipped 0.0 %",
			"Speak for 4s ...\n... and now listen", "What you said came back ", "0.0 % concealed, 0 packets lost",
		} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("not said: %s", want)
			}
		}
		if t.Failed() {
			t.Log(said.String())
		}
		if loudIn(t, heard, 0, 4*time.Second) || !loudIn(t, heard, 4*time.Second, 9*time.Second) {
			t.Error("it isn't heard after it was said, or before")
		}
	})
}

func TestDoctorSaysThatNothingWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := filepath.Join(t.TempDir(), "quiet.wav")
		file, err := audio.CreateWAV(quiet, audio.WAVConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if err := file.WriteBlock(&audio.StereoBlock{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		st := &selfTest{microphone: true, echo: true, duration: time.Second}
		var said strings.Builder
		if err := st.run(t.Context(), &options{in: quiet, out: "null"}, &said); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"The microphone is dead: ", "Nothing was said"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("not said: %s, but %s", want, said.String())
			}
		}
	})
	for _, opt := range []*options{{in: "silence", out: "null"}, {in: "nowhere.wav", out: "null"}} {
		if err := (&selfTest{microphone: true}).run(t.Context(), opt, io.Discard); err == nil || !strings.Contains(err.Error(), "--in") {
			t.Errorf("--in %s: %v", opt.in, err)
		}
	}
	if err := (&selfTest{echo: true, duration: time.Millisecond}).run(t.Context(), &options{in: annasSentence, out: "null"}, io.Discard); err == nil {
		t.Error("an echo test of a millisecond")
	}
}
