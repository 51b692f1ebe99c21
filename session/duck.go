package session

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// sayingHold is how long a pause may be, with an open microphone, before we count as
// silent: in the other modes the gate knows.
const sayingHold = 30 // blocks, 300 ms

// saying follows whether somebody speaks here, so that the others make way. It is
// runCapture's but for now.
type saying struct {
	quiet int // blocks since a voice was last there
	now   atomic.Bool
}

// push takes whether a block is said, and whether it is of a voice.
func (s *saying) push(mode Mode, said, voiced bool) {
	s.quiet = min(s.quiet+1, sayingHold+1)
	if voiced || mode != Open {
		s.quiet = 0
	}
	if !said {
		s.quiet = sayingHold + 1
	}
	s.now.Store(s.quiet <= sayingHold)
}

// gainOf is the gain that stands for so many dB less.
func gainOf(dB float64) float32 {
	if dB >= silencedFrom {
		return 0
	}
	return float32(math.Pow(10, -dB/20))
}

// checkDucking returns ErrConfig for what is no attenuation.
func checkDucking(dB float64) error {
	if !(dB >= 0) {
		return fmt.Errorf("%w: ducking by %g dB", ErrConfig, dB)
	}
	return nil
}

// SetDucking changes by how many dB what is heard is quieter while we speak, from the
// next 10 ms on and across Stop and Start: see Config.Ducking. It fails with
// ErrConfig.
func (s *Session) SetDucking(dB float64) error {
	if err := checkDucking(dB); err != nil {
		return err
	}
	s.ducking.Store(math.Float64bits(dB))
	return nil
}

// Ducking is by how many dB what is heard is quieter while we speak.
func (s *Session) Ducking() float64 { return math.Float64frombits(s.ducking.Load()) }

// duckSelf is the gain of what is heard in the next block.
func (c *conversation) duckSelf() float32 {
	dB := c.s.Ducking()
	low := c.ducked.move(dB > 0 && c.capture.saying.now.Load())
	if low == 0 {
		return 1
	}
	return 1 - low*(1-gainOf(dB))
}

// DuckerConfig says when an application's own sound makes way, and how far. The zero
// value is a good default.
type DuckerConfig struct {
	Attenuation float64 // dB by which it is quieter; 0 means 12, 60 or more silence

	// While peers are heard here, that is neither muted nor too far away, and while
	// somebody speaks here. Neither means both.
	WhileHeard, WhileSpeaking bool
}

// Ducker is by how much an application should turn down its own sound, its music
// say, while people talk: within 100 ms, and until some 600 ms after the last word.
// It goes on across Stop and Start; while the session is stopped the gain is 1.
type Ducker struct {
	s      *Session
	while  DuckerConfig
	lowest float32
	low    atomic.Uint32 // float32 bits of a yielding
	closed atomic.Bool

	mu      sync.Mutex // guards applied
	applied float32    // gain at the end of what Apply was given last
}

// NewDucker makes a Ducker, until its Close. It fails with ErrConfig.
func (s *Session) NewDucker(cfg DuckerConfig) (*Ducker, error) {
	if err := checkDucking(cfg.Attenuation); err != nil {
		return nil, err
	}
	if cfg.Attenuation == 0 {
		cfg.Attenuation = defaultAttenuation
	}
	if !cfg.WhileHeard && !cfg.WhileSpeaking {
		cfg.WhileHeard, cfg.WhileSpeaking = true, true
	}
	d := &Ducker{s: s, while: cfg, lowest: gainOf(cfg.Attenuation), applied: 1}
	s.duckers.change(func(list []*Ducker) []*Ducker { return append(list, d) })
	return d, nil
}

// Gain is the gain for now, 0 to 1: for an engine that takes a volume. It moves in
// steps of 10 ms. It is safe for concurrent use.
func (d *Ducker) Gain() float32 {
	low := math.Float32frombits(d.low.Load())
	if low == 0 || d.closed.Load() {
		return 1
	}
	return 1 - low*(1-d.lowest)
}

// Apply turns down the next piece of the application's sound in place: frames of so
// many channels, interleaved, at any rate. The gain moves in a straight line over the
// piece, so it makes no click. It is safe for concurrent use, but pieces of one sound
// come in order from one goroutine.
func (d *Ducker) Apply(pcm []float32, channels int) {
	channels = max(channels, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to := d.applied, d.Gain()
	d.applied = to
	if from == 1 && to == 1 || len(pcm) == 0 {
		return
	}
	frames := (len(pcm) + channels - 1) / channels
	step := (to - from) / float32(frames)
	for i := range pcm {
		pcm[i] *= from + step*float32(i/channels+1)
	}
}

// Close ends the Ducker; its gain is 1 from then on. Idempotent.
func (d *Ducker) Close() {
	d.s.duckers.change(func(list []*Ducker) []*Ducker {
		return slices.DeleteFunc(list, func(o *Ducker) bool { return o == d })
	})
	d.closed.Store(true)
}

// duckOthers moves the application's sound by a block.
func (c *conversation) duckOthers() {
	if c.isDone() {
		return
	}
	heard, saying := c.someone && !c.s.Deafened(), c.capture.saying.now.Load()
	for _, d := range c.s.duckers.list() {
		low := yielding(math.Float32frombits(d.low.Load()))
		low.move(d.while.WhileHeard && heard || d.while.WhileSpeaking && saying)
		d.low.Store(math.Float32bits(float32(low)))
	}
}

// endDucking is for when the conversation is over.
func (c *conversation) endDucking() {
	for _, d := range c.s.duckers.list() {
		d.low.Store(0)
	}
}
