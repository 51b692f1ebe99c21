package hearing

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
)

func TestRecordedPhrasesAreRecognised(t *testing.T) {
	r, err := NewRecogniser(t.TempDir(), PhraseRule)
	if errors.Is(err, ErrNoRecogniser) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range audiotest.Speech(t) {
		got, err := r.Recognise(t.Context(), p.PCM)
		if err != nil {
			t.Fatal(err)
		}
		if got != Sentence(p) {
			t.Errorf("%s was taken for %q", p.Name, got)
		}
	}
	if got, err := r.Recognise(t.Context(), make([]float32, audio.SampleRate)); err != nil || got != "" {
		t.Errorf("%q was recognised in silence, %v", got, err)
	}
}

// The program of version 5 writes JSON, the one before a line.
func TestBothOutputsAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		old       bool
		out, want string
		fails     bool
	}{
		{true, "Front  center\n", "front center", false},
		{true, "", "", false},
		{false, `{"b":0.00,"d":1.92,"p":1.000,"t":"side left","w":[{"b":0.00,"d":0.30,"p":1.000,"t":"<s>"}]}` + "\n", "side left", false},
		{false, `{"b":0.00,"d":1.92,"p":1.000,"t":"","w":[]}`, "", false},
		{false, "no JSON", "", true},
	} {
		got, err := (&Recogniser{old: c.old}).sentence([]byte(c.out))
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%q: %q, %v", c.out, got, err)
		}
	}
}

func TestRecogniserGetsAWholeFile(t *testing.T) {
	tone := make([]float32, audio.SampleRate)
	for i := range tone {
		tone[i] = float32(2 * math.Sin(2*math.Pi*300*float64(i)/audio.SampleRate)) // it clips
	}
	data, err := recogniserWAV(tone)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.wav")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := audiotest.LoadWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := audiotest.Samples(1_600_000_000); len(got) < want-960 || len(got) > want+960 {
		t.Errorf("%d samples, want %d", len(got), want)
	}
	if quiet := audio.Measure(got[:12000]); quiet.Peak > -60 {
		t.Errorf("%v dBFS before the tone", quiet.Peak)
	}
	if at := slices.IndexFunc(got, func(x float32) bool { return x > 0.5 }); at < 14000 || at > 15000 {
		t.Errorf("the tone begins at sample %d", at)
	}
}
