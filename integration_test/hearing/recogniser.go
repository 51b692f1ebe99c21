package hearing

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
)

// ErrNoRecogniser says that no program that recognises speech is installed.
var ErrNoRecogniser = errors.New("hearing: no pocketsphinx, install pocketsphinx and pocketsphinx-en-us")

// recogniserRate is that of pocketsphinx's English model, in Hz.
const recogniserRate = 16000

// Recogniser tells which of the sentences of a grammar is said in a recording, by
// the program pocketsphinx, which knows English and nothing of the recording.
type Recogniser struct {
	program string
	old     bool // 5prealpha and before: pocketsphinx_continuous
	grammar string
	dir     string
}

// NewRecogniser makes a recogniser of what rule, the right-hand side of a rule in
// JSGF, allows: "(hello | goodbye) (anna | ben)". It keeps files in dir, which
// must be there. The error is ErrNoRecogniser if there is no program for it.
func NewRecogniser(dir, rule string) (*Recogniser, error) {
	r := &Recogniser{dir: dir, grammar: filepath.Join(dir, "sentences.jsgf")}
	var err error
	if r.program, err = exec.LookPath("pocketsphinx_continuous"); err == nil {
		r.old = true
	} else if r.program, err = exec.LookPath("pocketsphinx"); err != nil {
		return nil, ErrNoRecogniser
	}
	text := "#JSGF V1.0;\ngrammar sentences;\npublic <sentence> = " + rule + ";\n"
	if err := os.WriteFile(r.grammar, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("hearing: %w", err)
	}
	return r, nil
}

// Recognise returns the sentence that pcm, 48 kHz, resembles most, in lower case,
// and "" if it resembles none. It isn't safe for concurrent use.
func (r *Recogniser) Recognise(ctx context.Context, pcm []float32) (string, error) {
	wav := filepath.Join(r.dir, "heard.wav")
	data, err := recogniserWAV(pcm)
	if err != nil {
		return "", err
	}
	if err = os.WriteFile(wav, data, 0o600); err != nil {
		return "", fmt.Errorf("hearing: %w", err)
	}
	args := []string{"-jsgf", r.grammar, "single", wav}
	if r.old {
		args = []string{"-infile", wav, "-jsgf", r.grammar, "-logfn", os.DevNull}
	}
	out, err := exec.CommandContext(ctx, r.program, args...).Output()
	if err != nil {
		return "", fmt.Errorf("hearing: %s: %w", r.program, err)
	}
	return r.sentence(out)
}

// sentence is what the program wrote: a line, or the field t of JSON.
func (r *Recogniser) sentence(out []byte) (string, error) {
	text := string(out)
	if !r.old {
		var line struct {
			T string `json:"t"`
		}
		if err := json.Unmarshal(out, &line); err != nil {
			return "", fmt.Errorf("hearing: %s wrote %q: %w", r.program, out, err)
		}
		text = line.T
	}
	return strings.ToLower(strings.Join(strings.Fields(text), " ")), nil
}

// recogniserWAV is a WAV file of pcm at the recogniser's rate, 16 bit mono, with
// 300 ms of silence around: it learns the background from what comes first.
func recogniserWAV(pcm []float32) ([]byte, error) {
	resampler, err := audio.NewResampler(audio.SampleRate, recogniserRate)
	if err != nil {
		return nil, fmt.Errorf("hearing: %w", err)
	}
	const around = recogniserRate * 3 / 10
	room := make([]float32, len(pcm)*recogniserRate/audio.SampleRate+recogniserRate)
	_, n := resampler.Process(room, pcm)
	n += resampler.Flush(room[n:])
	samples := make([]int16, n+2*around)
	for i, x := range room[:n] {
		samples[around+i] = int16(32767 * max(-1, min(1, x)))
	}
	var b bytes.Buffer
	size := uint32(2 * len(samples)) //nolint:gosec // seconds of speech
	for _, field := range []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16),
		uint16(1), uint16(1), uint32(recogniserRate), uint32(2 * recogniserRate), uint16(2), uint16(16),
		[]byte("data"), size, samples,
	} {
		if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
			return nil, fmt.Errorf("hearing: %w", err)
		}
	}
	return b.Bytes(), nil
}

// PhraseRule is the rule of the recorded phrases (see audiotest.LoadSpeech), of
// which a guess at random finds one in nine.
const PhraseRule = "(front | rear | side) (left | right | center)"

// Sentence is what is said in a recorded phrase, as a Recogniser would write it.
func Sentence(p audiotest.Phrase) string {
	return strings.ToLower(strings.ReplaceAll(p.Name, "_", " "))
}
