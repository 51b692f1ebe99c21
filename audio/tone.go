package audio

import (
	"math"
	"sync/atomic"
)

// Tone is a Source of a sine that never ends and has no seam between blocks. It
// is unpaced.
type Tone struct {
	amplitude float64
	step      float64 // cycles per sample
	phase     float64 // cycles, 0 to 1
	closed    atomic.Bool
}

// NewTone makes a Tone of a frequency in Hz whose peaks have the given level in
// dBFS (0 is full scale, -6.02 half of it). A frequency that isn't between 0 and
// 24000 gives silence.
func NewTone(frequency, levelDBFS float64) *Tone {
	t := &Tone{amplitude: Amplitude(levelDBFS)}
	if frequency > 0 && frequency < SampleRate/2 {
		t.step = frequency / SampleRate
	}
	return t
}

// ReadBlock fills dst with the next 10 ms, or returns ErrClosed after Close.
func (t *Tone) ReadBlock(dst *Block) error {
	if t.closed.Load() {
		return ErrClosed
	}
	for i := range dst {
		dst[i] = float32(t.amplitude * math.Sin(2*math.Pi*t.phase))
		t.phase += t.step
		if t.phase >= 1 {
			t.phase--
		}
	}
	return nil
}

// Close ends the source.
func (t *Tone) Close() error {
	t.closed.Store(true)
	return nil
}
