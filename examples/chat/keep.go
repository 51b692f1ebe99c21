package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/parley-voice/parley"
)

// keeper finds again what a person chose the last time, and keeps what is chosen now.
// What a flag says holds for this time only.
type keeper struct {
	path  string // of the file; empty if nothing is kept
	voice *parley.Voice

	kept  parley.Settings // what the file holds
	began parley.Settings // what was in force at first, flags and missing devices included

	failed bool // the last time, which was told
}

// openKeeper has the voice begin with what is in the file, but for what flags say. A
// device that isn't there now is told; the system's takes its place.
func openKeeper(opt *options, voice *parley.Voice, tell func(string)) (*keeper, error) {
	k := &keeper{path: opt.settings, voice: voice}
	if k.path == "" {
		return k, nil
	}
	var err error
	k.kept, err = parley.LoadSettings(k.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("--settings: %w; move it away, name another file, or say --no-settings", err)
	default:
		if err = voice.Apply(opt.override(k.kept)); err != nil {
			tell(fmt.Sprint("not as the last time: ", err))
		}
	}
	k.began = voice.Settings()
	return k, nil
}

// override returns s with what flags say in place of what it says.
func (o *options) override(s parley.Settings) parley.Settings {
	for name, set := range map[string]func(){
		"mic":     func() { s.Microphone = o.mic },
		"speaker": func() { s.Speaker = o.speaker },
		"mode":    func() { s.Mode = o.mode },
		"echo":    func() { s.Clean.Echo = o.clean.Echo },
		"noise":   func() { s.Clean.Noise = o.clean.Noise },
		"agc":     func() { s.Clean.Gain = o.clean.Gain },
	} {
		if o.given[name] {
			set()
		}
	}
	return s
}

// keep writes what has changed since the beginning, if anything did.
func (k *keeper) keep() error {
	if k == nil || k.path == "" {
		return nil
	}
	now, want := k.voice.Settings(), k.kept
	if now.Microphone != k.began.Microphone {
		want.Microphone = now.Microphone
	}
	if now.Speaker != k.began.Speaker {
		want.Speaker = now.Speaker
	}
	if now.Mode != k.began.Mode {
		want.Mode = now.Mode
	}
	if now.VoiceThreshold != k.began.VoiceThreshold {
		want.VoiceThreshold = now.VoiceThreshold
	}
	want.Peers = now.Peers
	if reflect.DeepEqual(want, k.kept) {
		return nil
	}
	if err := parley.SaveSettings(k.path, want); err != nil {
		return fmt.Errorf("--settings: %w", err)
	}
	k.kept, k.began = want, now
	return nil
}

// keep keeps what was chosen meanwhile, and tells once if that can't be.
func (d *door) keep() {
	err := d.keeper.keep()
	if err != nil && !d.keeper.failed {
		d.printf("* %v\n", err)
	}
	if d.keeper != nil {
		d.keeper.failed = err != nil
	}
}

// completeSettings finds the file. A headless chat keeps nothing unless it is asked to.
func (o *options) completeSettings(none bool) error {
	switch {
	case none && o.settings != "":
		return errors.New("--settings and --no-settings exclude each other")
	case o.settings == "" && !none && !o.headless:
		o.settings = defaultSettings()
	}
	return nil
}

// defaultSettings is where settings are kept unless --settings says otherwise.
func defaultSettings() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		dir = "."
	}
	return filepath.Join(dir, "parley", "settings.json")
}
