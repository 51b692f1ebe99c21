package audio

import (
	"errors"
	"math"
	"testing"
)

var (
	_ Source    = (*Silence)(nil)
	_ Source    = (*Tone)(nil)
	_ Source    = (*WAVSource)(nil)
	_ Sink      = (*Null)(nil)
	_ Sink      = (*WAVSink)(nil)
	_ Processor = Chain(nil)
)

func TestToneIsASineWithoutSeams(t *testing.T) {
	tone := NewTone(997, -6.0206)
	var pcm []float32
	for range 500 {
		var b Block
		if err := tone.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
		pcm = append(pcm, b[:]...)
	}
	if a := partial(pcm, SampleRate, 997); math.Abs(a-0.5) > 1e-4 {
		t.Errorf("amplitude %v at 997 Hz", a)
	}
	if rest := residue(pcm, SampleRate, 997); rest > -120 {
		t.Errorf("%.1f dB of other sounds", rest)
	}
	for _, f := range []float64{0, -5, 24000, math.NaN(), math.Inf(1)} {
		var b Block
		if err := NewTone(f, 0).ReadBlock(&b); err != nil || b != (Block{}) {
			t.Errorf("a tone of %v Hz isn't silent", f)
		}
	}
}

func TestEndpointsEndAtClose(t *testing.T) {
	for name, s := range map[string]Source{"silence": &Silence{}, "tone": NewTone(440, -6)} {
		b := Block{5: 7}
		if err := s.ReadBlock(&b); err != nil || b[5] == 7 {
			t.Errorf("%s: %v %v", name, err, b[5])
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.ReadBlock(&b); !errors.Is(err, ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
	var n Null
	if err := n.WriteBlock(&StereoBlock{}); err != nil || n.Blocks() != 1 {
		t.Errorf("null: %v, %d blocks", err, n.Blocks())
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := n.WriteBlock(&StereoBlock{}); !errors.Is(err, ErrClosed) || n.Blocks() != 1 {
		t.Errorf("null after close: %v, %d blocks", err, n.Blocks())
	}
}

// scale is a Processor that multiplies and adds the mix.
type scale float32

func (s scale) Process(mic, mix *Block) {
	for i := range mic {
		mic[i] = mic[i]*float32(s) + mix[i]
	}
}

func TestChainRunsInOrder(t *testing.T) {
	mic, mix := Block{1}, Block{10}
	Chain{scale(2), scale(3)}.Process(&mic, &mix)
	if mic[0] != (1*2+10)*3+10 {
		t.Errorf("got %v", mic[0])
	}
	Chain(nil).Process(&mic, &mix)
	if mic[0] != 46 || mix[0] != 10 {
		t.Errorf("an empty chain changed something: %v %v", mic[0], mix[0])
	}
}

func TestRepair(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	pcm := []float32{0.5, nan, inf, -inf, 100, -1e30, -1, MaxSample}
	if n := Repair(pcm); n != 5 {
		t.Errorf("changed %d", n)
	}
	for i, want := range []float32{0.5, 0, 0, 0, MaxSample, -MaxSample, -1, MaxSample} {
		if pcm[i] != want {
			t.Errorf("sample %d is %v, want %v", i, pcm[i], want)
		}
	}
}
