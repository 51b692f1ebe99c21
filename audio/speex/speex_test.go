package speex_test

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/speex"
)

var _ audio.Processor = (*speex.Processor)(nil)

func TestNewRefusesNonsense(t *testing.T) {
	for _, cfg := range []speex.Config{
		{Tail: -1},
		{Tail: time.Millisecond},
		{Tail: time.Minute},
		{NoiseSuppression: -1},
		{NoiseSuppression: 1000},
	} {
		if p, err := speex.New(cfg); !errors.Is(err, speex.ErrConfig) || p != nil {
			t.Errorf("New(%+v) = %v, %v, want ErrConfig", cfg, p, err)
		}
	}
	for _, tail := range []time.Duration{speex.MinTail, speex.MaxTail, 33 * time.Millisecond} {
		newProcessor(t, speex.Config{Tail: tail})
	}
}

// Delay is what it says, which the statistics of a session count on.
func TestDelayIsWhatItSays(t *testing.T) {
	said := voice(t, "anna", 4*time.Second)
	for name, cfg := range map[string]speex.Config{"all": {}, "no noise": {NoNoise: true}, "no echo": {NoEcho: true}, "nothing": {NoEcho: true, NoNoise: true}} {
		p := newProcessor(t, cfg)
		var out []float32
		for at := 0; at+audio.BlockSamples <= len(said); at += audio.BlockSamples {
			b := audio.Block(said[at:])
			p.Process(&b, &audio.Block{})
			out = append(out, b[:]...)
		}
		m := audiotest.FindWithin(said, out, -20*time.Millisecond, 20*time.Millisecond)
		if off := (m.Offset - p.Delay()).Abs(); off > 200*time.Microsecond || m.Confidence < 0.9 {
			t.Errorf("%s: the voice comes %v later (confidence %.2f), Delay says %v", name, m.Offset, m.Confidence, p.Delay())
		}
	}
}

func TestNothingToDoChangesNothing(t *testing.T) {
	p := newProcessor(t, speex.Config{NoEcho: true, NoNoise: true})
	b := audio.Block(noise(audio.BlockSamples, 1, -20))
	want := b
	if p.Process(&b, &want); b != want {
		t.Error("a processor that is to do nothing changes the microphone")
	}
}

// Whatever comes in, what comes out is sound, and a second later the voice is
// heard as if nothing had been.
func TestBadInputPasses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	said := voice(t, "anna", 4*time.Second)
	for name, bad := range map[string]float32{"NaN": nan, "infinity": inf, "minus infinity": -inf, "huge": 1e30, "full scale": 1, "denormal": 1e-40} {
		p := newProcessor(t, speex.Config{})
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
				if !(x >= -1 && x <= 1) {
					t.Fatalf("%s: %v comes out", name, x)
				}
			}
		}
		out := clean(p, said, nil)
		if got := audiotest.STOI(seconds(said, 1, 4), seconds(out, 1, 4)); got < 0.95 {
			t.Errorf("%s: STOI %.3f a second later", name, got)
		}
	}
}

func TestCloseWhileItRuns(t *testing.T) {
	p := newProcessor(t, speex.Config{})
	var running sync.WaitGroup
	started := make(chan struct{})
	running.Go(func() {
		for i := range 200 {
			var mic, mix audio.Block
			p.Process(&mic, &mix)
			if i == 10 {
				close(started)
			}
		}
	})
	<-started
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	running.Wait()
	b := audio.Block{1, 2, 3}
	want := b
	if p.Process(&b, &want); b != want {
		t.Error("a closed processor changes the microphone")
	}
}

func TestProcessAllocatesNothing(t *testing.T) {
	p := newProcessor(t, speex.Config{})
	var mic, mix audio.Block
	if n := testing.AllocsPerRun(100, func() { p.Process(&mic, &mix) }); n != 0 {
		t.Errorf("%v allocations a block, want 0", n)
	}
}

// What a block of 10 ms costs: 0.1 ms are 1 % of a core.
func BenchmarkProcess(b *testing.B) {
	far := voice(b, "ben", 2*time.Second)
	mic := sum(laptop.Echo(far), voice(b, "anna", 2*time.Second))
	for _, bench := range []struct {
		name string
		cfg  speex.Config
	}{
		{"echo and noise", speex.Config{}},
		{"echo", speex.Config{NoNoise: true}},
		{"noise", speex.Config{NoEcho: true}},
		{"nothing", speex.Config{NoEcho: true, NoNoise: true}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := newProcessor(b, bench.cfg)
			b.ReportAllocs()
			at := 0
			var in, mix audio.Block
			for b.Loop() {
				copy(in[:], mic[at:])
				copy(mix[:], far[at:])
				p.Process(&in, &mix)
				if at += audio.BlockSamples; at+audio.BlockSamples > len(mic) {
					at = 0
				}
			}
		})
	}
}
