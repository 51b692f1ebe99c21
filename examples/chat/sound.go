package main

import (
	"fmt"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/record"
)

// sound is where the voice comes from and goes to. A nil source or sink means
// the system's devices, which are Parley's default.
type sound struct {
	source func() (audio.Source, error)
	sink   func() (audio.Sink, error)

	file *audio.WAVSink // of --out FILE
}

// newSound opens files at once, so that a wrong name is an error and not a
// conversation in silence.
func newSound(opt *options) (*sound, error) {
	s := &sound{}
	switch opt.in {
	case "mic":
	case "silence":
		s.source = func() (audio.Source, error) { return &audio.Silence{}, nil }
	default:
		file, err := audio.OpenWAV(opt.in)
		if err != nil {
			return nil, fmt.Errorf("--in: %w", err)
		}
		if err := file.SetLoop(opt.loop); err != nil {
			return nil, fmt.Errorf("--loop: %w", err)
		}
		s.source = func() (audio.Source, error) { return file, nil }
	}
	switch opt.out {
	case "speaker":
	case "null":
		s.sink = func() (audio.Sink, error) { return &audio.Null{}, nil }
	default:
		file, err := audio.CreateWAV(opt.out, audio.WAVConfig{})
		if err != nil {
			return nil, fmt.Errorf("--out: %w", err)
		}
		s.file = file
		s.sink = func() (audio.Sink, error) { return ours{file}, nil }
	}
	return s, nil
}

// ours is a sink that its owner closes. The session has no use for what Close
// says of a full disk; err has.
type ours struct{ audio.Sink }

func (ours) Close() error { return nil }

// err closes the file of --out, once the session is done with it, and returns
// what went wrong: what is missing there was not lost silently.
func (s *sound) err() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// startRecording records everybody until stop is called, if that is asked for.
func startRecording(opt *options, voice *parley.Voice) (stop func() error, err error) {
	if opt.record == "" {
		return func() error { return nil }, nil
	}
	r, err := record.Start(voice, opt.record, record.Config{
		Format:    opt.recordFormat,
		OnFailure: func(err error) { opt.notes.say("--record: " + err.Error()) },
	})
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return func() error {
		if err := r.Stop(); err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		return nil
	}, nil
}
