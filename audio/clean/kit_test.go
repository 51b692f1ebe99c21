package clean_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
)

var (
	_ audio.Processor = (*clean.HighPass)(nil)
	_ audio.Processor = (*clean.AutoGain)(nil)
	_ audio.Processor = (*clean.HalfDuplex)(nil)
)

// voice is so much of a recorded voice, again and again with pauses, louder by a
// gain in dB.
func voice(tb testing.TB, name string, d time.Duration, db float64) []float32 {
	tb.Helper()
	pcm, err := audiotest.LoadWAV(filepath.Join("..", "..", "testdata", "speech", name+".wav"))
	if err != nil {
		tb.Fatal(err)
	}
	pcm = append(pcm, make([]float32, audio.SampleRate)...)
	out := make([]float32, audiotest.Samples(d))
	for i := range out {
		out[i] = pcm[i%len(pcm)] * amplitude(db)
	}
	return out
}

// sine is a second of a sine of amplitude 0.5.
func sine(hz float64) []float32 {
	out := make([]float32, audio.SampleRate)
	for i := range out {
		out[i] = float32(0.5 * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate))
	}
	return out
}

// noise is white noise of an RMS in dBFS.
func noise(d time.Duration, dbfs float64) []float32 {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]float32, audiotest.Samples(d))
	for i := range out {
		out[i] = amplitude(dbfs) * float32(rng.NormFloat64())
	}
	return out
}

func amplitude(db float64) float32 { return float32(math.Pow(10, db/20)) }

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

// seconds is the part of pcm from one second to another.
func seconds(pcm []float32, from, to float64) []float32 {
	return pcm[int(from*audio.SampleRate):int(to*audio.SampleRate)]
}

// level is the RMS of pcm in dB, without a floor.
func level(pcm []float32) float64 {
	sum := 1e-30
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}

// spoken is the parts of pcm in which ref is within 20 dB of its loudest block.
func spoken(ref, pcm []float32) []float32 {
	loudest := audio.FloorDBFS
	for pass := range 2 {
		var out []float32
		for at := 0; at+audio.BlockSamples <= len(ref); at += audio.BlockSamples {
			l := audio.Measure(ref[at:][:audio.BlockSamples]).RMS
			if pass == 0 {
				loudest = max(loudest, l)
			} else if l > loudest-20 {
				out = append(out, pcm[at:][:audio.BlockSamples]...)
			}
		}
		if pass == 1 {
			return out
		}
	}
	return nil
}
