package speex_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/speex"
)

// voice is so much of a recorded voice, again and again, with pauses.
func voice(tb testing.TB, name string, d time.Duration) []float32 {
	tb.Helper()
	pcm, err := audiotest.LoadWAV(filepath.Join("..", "..", "testdata", "speech", name+".wav"))
	if err != nil {
		tb.Fatal(err)
	}
	pcm = append(pcm, make([]float32, audio.SampleRate/2)...)
	out := make([]float32, 0, audiotest.Samples(d))
	for len(out) < cap(out) {
		out = append(out, pcm[:min(len(pcm), cap(out)-len(out))]...)
	}
	return out
}

// noise is white noise of an RMS in dBFS.
func noise(n int, seed uint64, dbfs float64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(audio.Amplitude(dbfs) * rng.NormFloat64())
	}
	return out
}

// sum adds what is as long as the first, or shorter.
func sum(first []float32, more ...[]float32) []float32 {
	out := append([]float32(nil), first...)
	for _, pcm := range more {
		for i, x := range pcm {
			out[i] += x
		}
	}
	return out
}

// newProcessor makes a processor that is closed with the test.
func newProcessor(tb testing.TB, cfg speex.Config) *speex.Processor {
	tb.Helper()
	p, err := speex.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// clean runs a microphone through a processor, and takes its delay away. What
// doesn't fill a block is left out; a mix of nil is silence.
func clean(p *speex.Processor, mic, mix []float32) []float32 {
	out := audiotest.Process(p, mic, mix)
	return append(out[audiotest.Samples(p.Delay()):], make([]float32, audiotest.Samples(p.Delay()))...)
}

// amplitude is a gain in dB as a factor.
func amplitude(db float64) float32 { return float32(math.Pow(10, db/20)) }

// seconds is the part of pcm from one second to another.
func seconds(pcm []float32, from, to int) []float32 {
	return pcm[from*audio.SampleRate : to*audio.SampleRate]
}

// level is the RMS of pcm in dB, without a floor.
func level(pcm []float32) float64 {
	sum := 1e-30
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}

// where is the parts of pcm in which ref speaks, or in which it is silent.
func where(ref, pcm []float32, speaks bool) []float32 {
	var out []float32
	for at := 0; at+audio.BlockSamples <= len(ref); at += audio.BlockSamples {
		l := audio.Measure(ref[at:][:audio.BlockSamples]).RMS
		if speaks && l > -40 || !speaks && l <= -90 {
			out = append(out, pcm[at:][:audio.BlockSamples]...)
		}
	}
	return out
}
