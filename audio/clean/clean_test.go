package clean_test

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/clean"
)

func processors() map[string]func() audio.Processor {
	return map[string]func() audio.Processor{
		"high-pass":   func() audio.Processor { return &clean.HighPass{} },
		"gain":        func() audio.Processor { return &clean.AutoGain{} },
		"half-duplex": func() audio.Processor { return &clean.HalfDuplex{} },
		"limiter":     func() audio.Processor { return &audio.Limiter{} },
	}
}

// Whatever comes in, what comes out is sound, and a voice after it is heard.
func TestBadInputPasses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	said := voice(t, "anna", 8*time.Second, 0)
	for name, make := range processors() {
		for what, bad := range map[string]float32{"NaN": nan, "infinity": inf, "minus infinity": -inf, "huge": 1e30, "denormal": 1e-40} {
			p := make()
			for i := range 50 {
				var mic, mix audio.Block
				for k := range mic {
					switch i % 4 {
					case 0:
						mic[k] = bad
					case 1:
						mix[k] = bad
					case 2:
						mic[k], mix[k] = bad, -bad
					}
				}
				p.Process(&mic, &mix)
				for _, x := range mic {
					if !(math.Abs(float64(x)) <= 10*audio.MaxSample) {
						t.Fatalf("%s, %s: %v comes out", name, what, x)
					}
				}
			}
			out := audiotest.Process(p, said, nil)
			if got := audiotest.STOI(seconds(said, 3, 8), seconds(out, 3, 8)); got < 0.95 {
				t.Errorf("%s, %s: STOI %.3f three seconds later", name, what, got)
			}
		}
	}
}

func TestProcessAllocatesNothing(t *testing.T) {
	said := voice(t, "anna", 2*time.Second, 12)
	for name, make := range processors() {
		p, at := make(), 0
		var mic, mix audio.Block
		if n := testing.AllocsPerRun(150, func() {
			copy(mic[:], said[at:])
			copy(mix[:], said[at:])
			p.Process(&mic, &mix)
			at += audio.BlockSamples
		}); n != 0 {
			t.Errorf("%s: %v allocations a block, want 0", name, n)
		}
	}
}

// What a block of 10 ms costs: 0.1 ms are 1 % of a core.
func BenchmarkProcess(b *testing.B) {
	said, far := voice(b, "anna", 2*time.Second, 0), voice(b, "ben", 2*time.Second, 0)
	for name, make := range processors() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p, at := make(), 0
			var mic, mix audio.Block
			for b.Loop() {
				copy(mic[:], said[at:])
				copy(mix[:], far[at:])
				p.Process(&mic, &mix)
				if at += audio.BlockSamples; at+audio.BlockSamples > len(said) {
					at = 0
				}
			}
		})
	}
}
