package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/pulsetest"
	"github.com/parley-voice/parley/session"
)

const (
	aFriend   = "12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s"
	aNuisance = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
)

// sit begins a chat with that command line and types some lines.
func sit(t *testing.T, args string, devices bool, lines ...string) (got parley.Settings, said string, err error) {
	t.Helper()
	opt, err := parseOptions(strings.Fields(args))
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	cfg := parley.Config{Microphone: opt.mic, Speaker: opt.speaker, Mode: opt.mode, Clean: opt.clean}
	if !devices {
		cfg.OpenSource = func() (audio.Source, error) { return &audio.Silence{}, nil }
		cfg.OpenSink = func() (audio.Sink, error) { return &audio.Null{}, nil }
	}
	voice, err := parley.New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer voice.Close()
	var problems strings.Builder
	keeper, err := openKeeper(opt, voice, func(text string) { problems.WriteString(text + "\n") })
	if err != nil {
		return got, "", err
	}
	if err := voice.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stats, err := newStatsWriter("", voice)
	if err != nil {
		t.Fatal(err)
	}
	door := newDoor(opt, voice, stats, &problems)
	for _, text := range []string{aFriend, aNuisance} {
		id, err := peer.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := door.admit(id); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		problems.WriteString(door.command(line) + "\n")
		if err := keeper.keep(); err != nil {
			t.Error(err)
		}
	}
	return voice.Settings(), problems.String(), nil
}

func TestWhatIsChosenIsFoundTheNextTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley", "settings.json")
	args := "--settings " + path
	if _, _, err := sit(t, args, false, "who", "level"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file though nothing was chosen: %v", err)
	}
	first, said, err := sit(t, args, false, "mode voice", "threshold -52", "vol FZJ3MJ4s 0.5", "quiet FZJ3MJ4s", "block QAJU5SA")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(said, "?") || strings.Contains(said, "nobody") {
		t.Errorf("it answers %s", said)
	}
	again, _, err := sit(t, args, false)
	if err != nil || !reflect.DeepEqual(again, first) || again.Mode != session.VoiceActivation || len(again.Peers) != 2 {
		t.Errorf("chosen was %+v, found is %+v, %v", first, again, err)
	}
	// A flag holds once, what is typed holds on.
	once, _, err := sit(t, args+" --mode ptt --echo off", false, "block QAJU5SA")
	if err != nil || once.Mode != session.PushToTalk || once.Clean.Echo != parley.EchoOff {
		t.Errorf("with flags %+v, %v", once, err)
	}
	after, _, err := sit(t, args, false)
	if err != nil || after.Mode != session.VoiceActivation || after.Clean != (parley.Clean{}) || len(after.Peers) != 1 {
		t.Errorf("after flags %+v, %v", after, err)
	}
	none, _, err := sit(t, "--no-settings", false)
	if err != nil || none.Mode != session.Open || none.Peers != nil {
		t.Errorf("without settings %+v, %v", none, err)
	}
}

// A headset that is at home today is not forgotten.
func TestDevicesAreKept(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	path := filepath.Join(t.TempDir(), "settings.json")
	args := "--settings " + path
	mic, speaker := server.Machine(1).Microphone, server.Machine(0).Speaker
	_, said, err := sit(t, args, true, "devices", "mic gramophone", "mic "+mic, "speaker "+speaker)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ALSA/" + mic + " (microphone; speaker)", "ALSA/default (microphone, the default one; speaker, the default one)", `no microphone is called "gramophone"`} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s\nbut: %s", want, said)
		}
	}
	server.Hide(1)
	away, said, err := sit(t, args, true, "mode ptt")
	if err != nil || away.Microphone != "" || away.Speaker != speaker || !strings.Contains(said, `not as the last time`) || !strings.Contains(said, mic) {
		t.Errorf("without the device %+v, %v, and %s", away, err, said)
	}
	server.Show(1)
	back, _, err := sit(t, args, true)
	if err != nil || back.Microphone != mic || back.Speaker != speaker || back.Mode != session.PushToTalk {
		t.Errorf("with it again %+v, %v", back, err)
	}
	chosen, _, err := sit(t, args, true, "mic default")
	if err != nil || chosen.Microphone != "" {
		t.Errorf("back on the default %+v, %v", chosen, err)
	}
	if kept, err := parley.LoadSettings(path); err != nil || kept.Microphone != "" || kept.Speaker != speaker {
		t.Errorf("kept is %+v, %v", kept, err)
	}
}

func TestABrokenFileOfSettingsIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(path, []byte("not settings"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sit(t, "--settings "+path, false, "mode ptt"); !errors.Is(err, parley.ErrSettings) || !strings.Contains(err.Error(), "--no-settings") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "not settings" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

func TestWhereSettingsAreKept(t *testing.T) {
	for args, want := range map[string]string{
		"":                                       defaultSettings(),
		"--headless":                             "",
		"--headless --settings x.json":           "x.json",
		"--settings x.json":                      "x.json",
		"--no-settings":                          "",
		"--headless --in mic --out speaker":      "",
		"--headless --no-settings --mode ptt":    "",
		"--settings /tmp/a/b.json --mic headset": "/tmp/a/b.json",
	} {
		opt, err := parseOptions(strings.Fields(args))
		if err != nil || opt.settings != want {
			t.Errorf("%q: %q, %v, want %q", args, opt.settings, err, want)
		}
	}
	if _, err := parseOptions([]string{"--settings", "x.json", "--no-settings"}); err == nil || !strings.Contains(err.Error(), "exclude") {
		t.Errorf("both: %v", err)
	}
}
