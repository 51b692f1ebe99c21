//go:build cgo && !race

package audiotest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/stretch"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
)

// talk is recorded phrases where they are installed, else a sentence.
func talk(t *testing.T) []float32 {
	t.Helper()
	phrases, err := audiotest.LoadSpeech()
	if err == nil {
		return audiotest.Join(phrases, audio.SampleRate/2)
	}
	t.Logf("with synthetic speech: %v", err)
	pcm, err := audiotest.LoadWAV("../../testdata/speech/clara.wav")
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// stretched makes pcm shorter and longer in turns, by a pitch period each, and
// says how often.
func stretched(pcm []float32, every time.Duration) (out []float32, changes int) {
	const piece = 3 * audio.BlockSamples
	next := audiotest.Samples(every)
	for at := 0; at+piece <= len(pcm); at += piece {
		x := slices.Clone(pcm[at : at+piece])
		if at >= next {
			if changes%2 == 0 {
				x = x[:stretch.Accelerate(x, stretch.MaxChange, false)]
			} else {
				x = stretch.Expand(x, false)
			}
			if len(x) != piece {
				changes++
				next = at + audiotest.Samples(every)
			}
		}
		out = append(out, x...)
	}
	return out, changes
}

// What Realign does to the measure: nothing where nothing was moved, little where
// speech is really damaged, and it takes away what stretching alone costs.
func TestRealignUndoesStretchingAndNothingElse(t *testing.T) {
	clean := talk(t)
	const late = 80 * time.Millisecond
	delay := audiotest.Samples(late)
	codecDelay := audiotest.Samples(opus.Codec{}.Delay(codec.Config{}))
	often, _ := stretched(clean, 100*time.Millisecond) // twice as much as is ever allowed
	seldom, _ := stretched(clean, 250*time.Millisecond)
	tests := []struct {
		name         string
		rec          []float32
		delay        int
		fixed, moved [2]float64 // STOI with the known delay, and realigned
		stretched    bool
	}{
		{"a copy", clean, 0, [2]float64{0.99999, 1.00001}, [2]float64{0.99999, 1.00001}, false},
		{"stretched", seldom, 0, [2]float64{0.7, 0.96}, [2]float64{0.99, 1}, true},
		{"stretched often", often, 0, [2]float64{0.7, 0.93}, [2]float64{0.98, 1}, true},
		{"through Opus", throughOpus(t, clean, 26000, 0, 1), codecDelay, [2]float64{0.985, 1}, [2]float64{0.985, 1}, false},
		{"10 % lost", throughOpus(t, clean, 26000, 0.1, 1), codecDelay, [2]float64{0.88, 0.97}, [2]float64{0.88, 0.97}, false},
		{"30 % lost", throughOpus(t, clean, 26000, 0.3, 1), codecDelay, [2]float64{0.7, 0.9}, [2]float64{0.7, 0.9}, false},
		{"other speech", audiotest.Babble(3, 20*time.Second), 0, [2]float64{-0.1, 0.5}, [2]float64{-0.1, 0.5}, false},
		{"silence", make([]float32, len(clean)), 0, [2]float64{-0.1, 0.1}, [2]float64{-0.1, 0.1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := audiotest.Delayed(tt.rec, delay)
			fixed := audiotest.STOI(clean, rec[delay+tt.delay:])
			aligned, spurts := audiotest.Realign(clean, rec, audiotest.OffsetsConfig{To: 200 * time.Millisecond})
			moved := audiotest.STOI(clean, aligned)
			n := 0
			for _, s := range spurts {
				n += s.Changes
			}
			bySpurt, _ := audiotest.Intelligibility(clean, rec, audiotest.OffsetsConfig{To: 200 * time.Millisecond})
			t.Logf("STOI %.4f with the known delay, %.4f with one delay for each spurt, %.4f realigned: %d changes in %d spurts", fixed, bySpurt, moved, n, len(spurts))
			if len(aligned) != len(clean) {
				t.Errorf("%d samples, want %d", len(aligned), len(clean))
			}
			if sound := fixed > 0.5 && !tt.stretched; sound && (moved-fixed > 0.002 || fixed-moved > 0.004) {
				t.Errorf("realigning speech that wasn't stretched makes %.4f of %.4f", moved, fixed)
			}
			if fixed < tt.fixed[0] || fixed > tt.fixed[1] || moved < tt.moved[0] || moved > tt.moved[1] {
				t.Errorf("want %.3f to %.3f, and %.3f to %.3f", tt.fixed[0], tt.fixed[1], tt.moved[0], tt.moved[1])
			}
		})
	}
}
