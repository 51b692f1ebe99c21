package audiotest

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/parley-voice/parley/audio"
)

// SpeechDirectory is where Debian's and Ubuntu's package alsa-utils has eight
// recorded phrases: 48 kHz, one voice, 1.3 to 1.5 s each.
const SpeechDirectory = "/usr/share/sounds/alsa"

// ErrNoSpeech says that no recorded speech is installed.
var ErrNoSpeech = errors.New("audiotest: no recorded speech, install alsa-utils")

// Phrase is a recorded phrase.
type Phrase struct {
	Name string // what is said, "Front_Center" for example
	PCM  []float32
}

// LoadSpeech reads the recorded phrases of SpeechDirectory, in the order of
// their names, or returns ErrNoSpeech.
func LoadSpeech() ([]Phrase, error) {
	paths, err := filepath.Glob(filepath.Join(SpeechDirectory, "*_*.wav"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrNoSpeech, SpeechDirectory)
	}
	sort.Strings(paths)
	var phrases []Phrase
	for _, path := range paths {
		pcm, err := LoadWAV(path)
		if err != nil {
			return nil, err
		}
		phrases = append(phrases, Phrase{strings.TrimSuffix(filepath.Base(path), ".wav"), pcm})
	}
	return phrases, nil
}

// maxLoaded bounds what LoadWAV reads: 20 minutes.
const maxLoaded = 20 * 60 * audio.SampleRate / audio.BlockSamples

// LoadWAV reads a whole WAV file, of at most 20 minutes, as 48 kHz mono.
func LoadWAV(path string) ([]float32, error) {
	src, err := audio.OpenWAV(path)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // nothing was written
	return Read(src, maxLoaded)
}

// TB is what Speech needs of a testing.TB.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Speech is LoadSpeech for a test, which is skipped where no speech is installed.
func Speech(tb TB) []Phrase {
	tb.Helper()
	phrases, err := LoadSpeech()
	if errors.Is(err, ErrNoSpeech) {
		tb.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		tb.Fatalf("load speech: %v", err)
	}
	return phrases
}

// Join puts phrases one after the other, each after gap samples of silence, and
// gap at the end.
func Join(phrases []Phrase, gap int) []float32 {
	out := make([]float32, gap)
	for _, p := range phrases {
		out = append(out, p.PCM...)
		out = append(out, make([]float32, gap)...)
	}
	return out
}
