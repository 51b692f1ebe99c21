package speex

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
)

// Errors of New. They are wrapped, so compare with errors.Is.
var (
	ErrConfig = errors.New("speex: invalid configuration")
	ErrState  = errors.New("speex: libspeexdsp gave no memory, or refused a setting")
)

// Limits of Config.
const (
	MinTail             = 20 * time.Millisecond
	MaxTail             = 500 * time.Millisecond
	MaxNoiseSuppression = 60
)

// Delay is by how much later audio leaves a Processor that does anything.
const Delay = frame * time.Second / audio.SampleRate

// frame is how many samples libspeexdsp gets at once: 5 ms, half of what it was
// made for. That halves the delay; echo and noise are no less suppressed.
const frame = audio.BlockSamples / 2

// Config says what a Processor does. The zero value is the good default: echo is
// cancelled and noise suppressed.
type Config struct {
	NoEcho  bool // leave echo as it is
	NoNoise bool // leave noise as it is

	// Tail is the longest time from a sound in the mix to the end of its echo in
	// the microphone: what devices don't say of their latency, the way through
	// the air, and the room. MinTail to MaxTail. The longer it is the more time
	// it takes to compute, and to learn a room. Default 300 ms.
	Tail time.Duration

	// NoiseSuppression is by how many dB noise is turned down, 1 to
	// MaxNoiseSuppression. Default 15: what is left sounds like the room, not
	// like a hole.
	NoiseSuppression int
}

func (c Config) withDefaults() (Config, error) {
	if c.Tail == 0 {
		c.Tail = 300 * time.Millisecond
	}
	if c.NoiseSuppression == 0 {
		c.NoiseSuppression = 15
	}
	if c.Tail < MinTail || c.Tail > MaxTail {
		return c, fmt.Errorf("%w: tail %v, want %v to %v", ErrConfig, c.Tail, MinTail, MaxTail)
	}
	if c.NoiseSuppression < 0 || c.NoiseSuppression > MaxNoiseSuppression {
		return c, fmt.Errorf("%w: noise suppression of %d dB, want 1 to %d", ErrConfig, c.NoiseSuppression, MaxNoiseSuppression)
	}
	return c, nil
}

// Processor cancels echo and suppresses noise. Process allocates nothing. It is
// safe for concurrent use, though blocks from two goroutines make no sense.
type Processor struct {
	mu    sync.Mutex // guards what follows
	state *state     // nil if there is nothing to do, and once closed
	freed runtime.Cleanup

	mic, mix, out [audio.BlockSamples]int16
	echo          evidence

	echoes atomic.Bool
	delay  time.Duration // fixed
}

// New makes a processor, which holds memory of C until Close, at the latest until
// nobody has it any more. It fails with
// ErrConfig or ErrState. One that is to do nothing holds none and costs nothing.
func New(cfg Config) (*Processor, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.NoEcho && cfg.NoNoise {
		return &Processor{}, nil
	}
	tail := int(cfg.Tail * audio.SampleRate / time.Second)
	s, err := newState(cfg, tail)
	if err != nil {
		return nil, err
	}
	p := &Processor{state: s, delay: Delay}
	p.freed = runtime.AddCleanup(p, (*state).free, s)
	return p, nil
}

// Process takes the echo of mix, and noise, out of mic. An echo is learned while
// mix is heard and nobody speaks into the microphone, in some seconds, and learned
// anew as soon as it comes another way. Samples that are no numbers are silence.
// After Close it changes nothing.
func (p *Processor) Process(mic, mix *audio.Block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return
	}
	toInt16(&p.mic, mic)
	toInt16(&p.mix, mix)
	heard, far := energy(&p.mic), energy(&p.mix)
	p.echoes.Store(p.echo.push(heard, far, p.state.run(&p.mic, &p.mix, &p.out)))
	for i, x := range p.mic {
		mic[i] = float32(x) / fullScale
	}
}

// Echoes reports whether the microphone hears the mix: whether what was taken away
// as its echo is a fair part of what was recorded. It takes a second to tell that
// there are speakers, or that there are headphones. It is safe for concurrent use.
func (p *Processor) Echoes() bool { return p.echoes.Load() }

// Delay is by how much later audio leaves the processor than it came.
func (p *Processor) Delay() time.Duration { return p.delay }

// Close gives the memory back. It is idempotent, waits for a Process that is under
// way, and returns nil.
func (p *Processor) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != nil {
		p.freed.Stop()
		p.state.free()
		p.state = nil
	}
	return nil
}

const fullScale = 1 << 15

// toInt16 rounds to 16 bit samples, and cuts what is beyond full scale.
func toInt16(dst *[audio.BlockSamples]int16, src *audio.Block) {
	for i, x := range src {
		switch v := x * fullScale; {
		case v >= fullScale-1:
			dst[i] = fullScale - 1
		case v <= 1-fullScale:
			dst[i] = 1 - fullScale
		case v >= 0:
			dst[i] = int16(v + 0.5)
		case v < 0:
			dst[i] = int16(v - 0.5)
		default:
			dst[i] = 0 // not a number
		}
	}
}
