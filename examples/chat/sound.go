package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
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

// recorder writes a WAV file per peer, with the taps that any application can
// use to have the PCM of a peer for itself.
type recorder struct {
	dir   string
	voice *parley.Voice
	files map[identity.PeerID]*track
	takes map[identity.PeerID]int // how many files there are
	err   error                   // the first that was met when a file was finished
}

type track struct {
	remove func()
	mu     sync.Mutex
	file   *audio.WAVSink
	err    error
}

func newRecorder(dir string, voice *parley.Voice) *recorder {
	return &recorder{dir: dir, voice: voice, files: make(map[identity.PeerID]*track), takes: make(map[identity.PeerID]int)}
}

// follow records a peer until unfollow. Who comes back gets another file.
func (r *recorder) follow(id identity.PeerID) error {
	if r.dir == "" || r.files[id] != nil {
		return nil
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	name := id.String()
	if take := r.takes[id] + 1; take > 1 {
		name += fmt.Sprintf("-%d", take)
	}
	file, err := audio.CreateWAV(filepath.Join(r.dir, name+".wav"), audio.WAVConfig{Mono: true})
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	t := &track{file: file}
	t.remove = r.voice.TapPeer(id, t.write)
	r.files[id] = t
	r.takes[id]++
	return nil
}

func (r *recorder) unfollow(id identity.PeerID) {
	t := r.files[id]
	if t == nil {
		return
	}
	delete(r.files, id)
	t.remove()
	t.mu.Lock()
	defer t.mu.Unlock()
	err := errors.Join(t.err, t.file.Close())
	t.err = audio.ErrClosed // a call may be under way
	if r.err == nil {
		r.err = err
	}
}

func (t *track) write(b *audio.Block) {
	var stereo audio.StereoBlock
	for i, x := range b {
		stereo[2*i], stereo[2*i+1] = x, x
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.file.WriteBlock(&stereo)
	}
}

func (r *recorder) close() error {
	for id := range r.files {
		r.unfollow(id)
	}
	if r.err != nil {
		return fmt.Errorf("--record: %w", r.err)
	}
	return nil
}
