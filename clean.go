package parley

import (
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/clean"
	"github.com/parley-voice/parley/audio/speex"
	"github.com/parley-voice/parley/session"
)

// Clean says what is done to what the microphone recorded, before Config.Chain.
// The zero value does all of it to what a device recorded, and nothing to what
// Config.OpenSource gives: a file or a bot says what it says. docs/clean-sound.md
// has what it brings and costs.
type Clean struct {
	Echo  Echo   // the others' voices, from the speakers
	Noise Switch // suppresses noise by 15 dB, and all below 80 Hz; 5 ms of delay
	Gain  Switch // brings the voice to -20 dBFS, and limits what is too loud; 1 ms of delay
}

// Switch says whether something is done.
type Switch uint8

// The switches.
const (
	Auto Switch = iota // if the microphone is a device
	On
	Off
)

// Echo says what is done about what the microphone hears of the speakers.
type Echo uint8

// What can be done about echo.
const (
	EchoAuto       Echo = iota // EchoCancel if the microphone is a device, else EchoOff
	EchoCancel                 // it is learned and taken away, and turned down until it is learned; 5 ms of delay, with Noise or without
	EchoHalfDuplex             // the microphone is turned down while others are heard and nobody speaks louder
	EchoOff                    // nothing: for headphones
)

func (s Switch) on(device bool) bool { return s == On || s == Auto && device }

// resolve replaces EchoAuto.
func (e Echo) resolve(device bool) Echo {
	switch {
	case e != EchoAuto:
		return e
	case device:
		return EchoCancel
	}
	return EchoOff
}

// chain makes the processors. The one that is returned beside the chain, if any,
// is to be closed.
func (c Clean) chain(device bool) (audio.Chain, *speex.Processor, error) {
	echo, noise, gain := c.Echo.resolve(device), c.Noise.on(device), c.Gain.on(device)
	if echo > EchoOff || c.Noise > Off || c.Gain > Off {
		return nil, nil, fmt.Errorf("%w: unknown %+v", session.ErrConfig, c)
	}
	var chain audio.Chain
	var canceller *speex.Processor
	if noise {
		chain = append(chain, &clean.HighPass{})
	}
	if noise || echo == EchoCancel {
		var err error
		canceller, err = speex.New(speex.Config{NoEcho: echo != EchoCancel, NoNoise: !noise})
		if err != nil {
			return nil, nil, err
		}
		chain = append(chain, canceller)
	}
	switch echo {
	case EchoCancel:
		chain = append(chain, &clean.HalfDuplex{Depth: clean.GuardingDepth, Echoes: canceller.Echoes})
	case EchoHalfDuplex:
		chain = append(chain, &clean.HalfDuplex{})
	case EchoAuto, EchoOff:
	}
	if gain {
		chain = append(chain, &clean.AutoGain{}, &audio.Limiter{})
	}
	return chain, canceller, nil
}

// cleaner is the processors of Clean, which may be replaced by others while it runs.
type cleaner struct {
	device bool // the microphone is one

	mu        sync.Mutex // guards what follows; held while a block is processed
	clean     Clean
	chain     audio.Chain
	canceller *speex.Processor // of chain; nil if there is none
	changed   bool             // since the last block
	closed    bool
	tail      float32 // the last sample that was given
	edge      [audio.FadeSamples]float32
}

func newCleaner(clean Clean, device bool) (*cleaner, error) {
	c := &cleaner{device: device}
	if err := c.set(clean); err != nil {
		return nil, err
	}
	c.changed = false
	return c, nil
}

// set does something else from the next block on.
func (c *cleaner) set(clean Clean) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return session.ErrClosed
	}
	chain, canceller, err := clean.chain(c.device)
	if err != nil {
		return err
	}
	if c.canceller != nil {
		_ = c.canceller.Close() // it never fails
	}
	c.clean, c.chain, c.canceller, c.changed = clean, chain, canceller, true
	return nil
}

func (c *cleaner) now() Clean {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clean
}

// Process is audio.Processor's. Where the processors are other ones than before,
// it leads over from the last sample of those.
func (c *cleaner) Process(mic, mix *audio.Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chain.Process(mic, mix)
	if c.changed {
		c.changed = false
		for i := range c.edge {
			c.edge[i] = c.tail
		}
		audio.CrossFade(mic[:len(c.edge)], c.edge[:], mic[:len(c.edge)])
	}
	c.tail = mic[len(mic)-1]
}

// Delay is audio.Delayer's.
func (c *cleaner) Delay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chain.Delay()
}

// close gives back what the processors hold; they do nothing from then on.
func (c *cleaner) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.chain = true, nil
	if c.canceller != nil {
		_ = c.canceller.Close() // it never fails
	}
}

// SetClean changes what is done to what the microphone recorded, from the next
// 10 ms on and across Stop and Start. An echo is learned anew. It fails with
// session.ErrConfig or session.ErrClosed, and then changes nothing.
func (v *Voice) SetClean(clean Clean) error {
	if err := v.cleaner.set(clean); err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	return v.SetMode(v.Mode()) // the others are told the delay, which is another one
}

// Cleaning is what is done to what the microphone recorded.
func (v *Voice) Cleaning() Clean { return v.cleaner.now() }
