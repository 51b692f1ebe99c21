package parley

import (
	"errors"
	"fmt"
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
	v := &Voice{}
	chain, err := v.clean(Config{Chain: audio.Chain{own}}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.canceller.Close() }()
	if len(chain) != 6 || chain[5] != audio.Processor(own) {
		t.Errorf("the chain is %T", chain)
	}
}

func TestCleaningAllocatesNothing(t *testing.T) {
	chain, canceller, err := Clean{}.chain(true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = canceller.Close() }()
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
