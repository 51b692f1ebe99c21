package parley

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
)

// A newcomer's microphone is cleaned, and what an application gives is sent as it
// is, unless she asks for something else.
func TestWhatIsCleaned(t *testing.T) {
	all := "HighPass Processor HalfDuplex AutoGain Limiter"
	for _, c := range []struct {
		clean  Clean
		device bool
		want   string
	}{
		{Clean{}, true, all},
		{Clean{}, false, ""},
		{Clean{Echo: EchoCancel, Noise: On, Gain: On}, false, all},
		{Clean{Echo: EchoOff, Noise: Off, Gain: Off}, true, ""},
		{Clean{Echo: EchoOff}, true, "HighPass Processor AutoGain Limiter"},
		{Clean{Echo: EchoHalfDuplex, Noise: Off, Gain: Off}, true, "HalfDuplex"},
		{Clean{Echo: EchoCancel, Noise: Off, Gain: Off}, false, "Processor HalfDuplex"},
		{Clean{Gain: Off}, true, "HighPass Processor HalfDuplex"},
		{Clean{Noise: Off}, true, "Processor HalfDuplex AutoGain Limiter"},
		{Clean{Noise: On}, false, "HighPass Processor"},
		{Clean{Gain: On}, false, "AutoGain Limiter"},
	} {
		chain, canceller, err := c.clean.chain(c.device)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range chain {
			_, name, _ := strings.Cut(fmt.Sprintf("%T", p), ".")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v, device %t: %q, want %q", c.clean, c.device, got, c.want)
		}
		if (canceller != nil) != strings.Contains(c.want, "Processor") {
			t.Errorf("%+v, device %t: the one to close is %v", c.clean, c.device, canceller)
		}
		if canceller != nil {
			if err := canceller.Close(); err != nil {
				t.Error(err)
			}
		}
		if d := chain.Delay(); d > 6*time.Millisecond || c.want == "" && d != 0 {
			t.Errorf("%+v, device %t: delay %v", c.clean, c.device, d)
		}
	}
}

func TestUnknownCleaningIsRefused(t *testing.T) {
	for _, c := range []Clean{{Echo: 4}, {Noise: 3}, {Gain: 200}} {
		if _, _, err := c.chain(true); !errors.Is(err, session.ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", c, err)
		}
	}
}

// The application's own processors come last, and see what Parley made.
func TestOwnProcessorsComeLast(t *testing.T) {
	own := &audio.Limiter{}
	v := &Voice{cleaner: &cleaner{}}
	chain := v.connect(Config{Chain: audio.Chain{own}}).Chain
	if len(chain) != 2 || chain[0] != audio.Processor(v.cleaner) || chain[1] != audio.Processor(own) {
		t.Errorf("the chain is %T", chain)
	}
}

// What is cleaned changes between two blocks, without a step, and what was there
// before is given back.
func TestCleaningIsChangedWhileItRuns(t *testing.T) {
	c, err := newCleaner(Clean{Echo: EchoOff, Noise: Off, Gain: On}, true)
	if err != nil {
		t.Fatal(err)
	}
	tone := audio.NewTone(200, -20)
	var before float32
	step := func() (most float64) {
		var mic, mix audio.Block
		if err := tone.ReadBlock(&mic); err != nil {
			t.Fatal(err)
		}
		c.Process(&mic, &mix)
		for _, x := range mic {
			most = max(most, math.Abs(float64(x-before)))
			before = x
		}
		return most
	}
	usual := 0.0
	for range 300 {
		usual = max(usual, step())
	}
	for i, clean := range []Clean{{Echo: EchoOff, Noise: Off, Gain: Off}, {Echo: EchoHalfDuplex, Noise: On}, {}, {Echo: EchoOff, Noise: Off, Gain: Off}} {
		old := c.canceller
		if err := c.set(clean); err != nil {
			t.Fatal(err)
		}
		if c.now() != clean {
			t.Errorf("asked for %+v, and it does %+v", clean, c.now())
		}
		if old != nil {
			var b audio.Block
			b[0] = 1
			old.Process(&b, &audio.Block{})
			if b[0] != 1 {
				t.Error("the canceller that was replaced still works")
			}
		}
		for block := range 10 {
			if got := step(); got > 1.5*usual {
				t.Errorf("change %d, block %d: a step of %.3f, usually it is %.3f", i, block, got, usual)
			}
		}
	}
	if d := c.Delay(); d != 0 {
		t.Errorf("nothing is done, %v later", d)
	}
	if err := c.set(Clean{Gain: 7}); !errors.Is(err, session.ErrConfig) {
		t.Errorf("an unknown switch: %v, want ErrConfig", err)
	}
	c.close()
	if err := c.set(Clean{}); !errors.Is(err, session.ErrClosed) {
		t.Errorf("after close: %v, want ErrClosed", err)
	}
}

func TestCleaningAllocatesNothing(t *testing.T) {
	chain, err := newCleaner(Clean{}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.close()
	var mic, mix audio.Block
	far, near := audio.NewTone(300, -20), audio.NewTone(500, -20)
	if n := testing.AllocsPerRun(200, func() {
		if errors.Join(far.ReadBlock(&mix), near.ReadBlock(&mic)) != nil {
			t.Error("a tone has ended")
		}
		chain.Process(&mic, &mix)
	}); n != 0 {
		t.Errorf("%v allocations a block, want 0", n)
	}
}

// What the whole chain costs for a block of 10 ms: 0.1 ms are 1 % of a core.
func BenchmarkClean(b *testing.B) {
	chain, canceller, err := Clean{}.chain(true)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = canceller.Close() }()
	tone := audio.NewTone(300, -20)
	var mix, mic audio.Block
	b.ReportAllocs()
	for b.Loop() {
		if err := tone.ReadBlock(&mix); err != nil {
			b.Fatal(err)
		}
		mic = mix
		chain.Process(&mic, &mix)
	}
}
