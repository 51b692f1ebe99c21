package audio_test

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// voice is a recorded sentence, repeated after a pause of a second, at that level and
// over white noise, both in dBFS, and cut at full scale as a device does it.
func voice(t *testing.T, speech, noise float64) []audio.Block {
	t.Helper()
	file, err := audio.OpenWAV("../testdata/speech/anna.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var blocks []audio.Block
	var power float64
	loud := 0
	for {
		var b audio.Block
		if err := file.ReadBlock(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if l := audio.Measure(b[:]).RMS; l > -45 { // as the sentence is in the file
			power += math.Pow(10, l/10)
			loud++
		}
		blocks = append(blocks, b)
	}
	pause := make([]audio.Block, 100)
	blocks = append(append(append([]audio.Block{}, pause...), blocks...), append(pause, blocks...)...)
	gain := audio.Amplitude(speech) / math.Sqrt(power/float64(loud))
	random, rms := rand.New(rand.NewPCG(1, 2)), audio.Amplitude(noise)
	for i := range blocks {
		for k, x := range blocks[i] {
			blocks[i][k] = float32(min(max(float64(x)*gain+rms*random.NormFloat64(), -1), 1))
		}
	}
	return blocks
}

func TestMicrophoneIsJudged(t *testing.T) {
	tone := make([]audio.Block, 300)
	loud := audio.NewTone(440, -0.01) // just below full scale, which isn't clipped
	for i := range tone {
		if err := loud.ReadBlock(&tone[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		blocks  []audio.Block
		verdict audio.Verdict
		words   string
	}{
		{"as it should be", voice(t, -24, -65), audio.Good, "good: speech is at -2"},
		{"as it should be, without any noise", voice(t, -24, -96), audio.Good, "good"},
		{"far away", voice(t, -50, -75), audio.TooQuiet, "too quiet: speech is at -5"},
		{"shouted", voice(t, -3, -65), audio.TooLoud, "clipped"},
		{"beside a fan", voice(t, -30, -41), audio.TooNoisy, "dB over the noise. Move"},
		{"nobody speaks", voice(t, -96, -60), audio.Unspoken, "background of -60 dBFS"},
		{"steady tone", tone, audio.Unspoken, "no voice"},
		{"switched off", make([]audio.Block, 300), audio.Dead, "dead"},
		{"nothing", nil, audio.TooShort, "too short"},
		{"half a second", voice(t, -24, -65)[:50], audio.TooShort, "500ms"},
		{"no numbers", func() []audio.Block {
			b := make([]audio.Block, 300)
			for i := range b {
				b[i][7] = float32(math.NaN())
				b[i][9] = float32(math.Inf(1))
			}
			return b
		}(), audio.Dead, "dead"},
	} {
		var check audio.MicrophoneCheck
		for i := range c.blocks {
			check.Push(&c.blocks[i])
		}
		r := check.Report()
		if r.Verdict != c.verdict || !strings.Contains(r.String(), c.words) {
			t.Errorf("%s: speech %.1f, noise %.1f, clipped %g: %s", c.name, r.Speech, r.Noise, r.Clipped, r)
		}
		if r.Duration != time.Duration(len(c.blocks))*audio.BlockDuration {
			t.Errorf("%s: it lasted %v", c.name, r.Duration)
		}
	}
}

// What is measured is what is there.
func TestMicrophoneIsMeasured(t *testing.T) {
	for _, c := range []struct{ speech, noise float64 }{{-24, -70}, {-30, -55}, {-45, -80}} {
		blocks := voice(t, c.speech, c.noise)
		// A device that just began gives nothing, which is no noise.
		blocks = append(make([]audio.Block, 20), blocks...)
		var check audio.MicrophoneCheck
		peak := 0.0
		for i := range blocks {
			check.Push(&blocks[i])
			peak = max(peak, audio.Measure(blocks[i][:]).Peak+96)
		}
		r := check.Report()
		if math.Abs(r.Speech-c.speech) > 2.5 || math.Abs(r.Noise-c.noise) > 1.5 || math.Abs(r.Peak-(peak-96)) > 0.01 || r.Clipped != 0 {
			t.Errorf("speech at %g over noise at %g dBFS: speech %.1f, noise %.1f, peak %.2f, clipped %g", c.speech, c.noise, r.Speech, r.Noise, r.Peak, r.Clipped)
		}
		if r.Spoken < 2*time.Second || r.Spoken > 12*time.Second {
			t.Errorf("spoken: %v", r.Spoken)
		}
	}
}

func TestMicrophoneCheckAllocatesNothing(t *testing.T) {
	var check audio.MicrophoneCheck
	var b audio.Block
	b[0] = 1
	if n := testing.AllocsPerRun(100, func() { check.Push(&b); check.Report() }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
