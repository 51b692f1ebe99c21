package sessiontest

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
)

// LaptopConfig describes a [Laptop].
type LaptopConfig struct {
	// Voice is what is said into the microphone, from the first sample that it
	// records on; it is not changed. Silence follows.
	Voice []float32

	// Echo is how the microphone hears what the speaker plays: the reflections,
	// the direct sound among them.
	Echo []Reflection

	Speaker    time.Duration // latency of the speaker; 0 means 15 ms
	Microphone time.Duration // latency of the microphone; 0 means 5 ms

	// Late is how late whoever uses the laptop is woken up, each time: 0 to 500 µs,
	// and now and then up to 8 ms, drawn from Seed; or never, if it is false.
	Late bool
	Seed uint64

	// Untold is by how much later the speaker is than it says; negative if it is
	// earlier.
	Untold time.Duration
}

// Reflection is one of the ways from a speaker to a microphone.
type Reflection struct {
	Delay time.Duration
	Gain  float32 // as an amplitude
}

// Laptop is a speaker beside a microphone that hears it: two devices, with one
// clock, that run in real time or in a bubble of testing/synctest. It is safe for
// concurrent use.
type Laptop struct {
	cfg LaptopConfig

	mu       sync.Mutex // guards what follows
	start    time.Time  // zero before the first block
	played   [laptopMemory]float32
	late     *rand.Rand
	written  int64 // samples given to the speaker
	recorded int64 // samples taken from the microphone
}

// laptopMemory is for how many samples it is remembered what was played: a second.
const laptopMemory = audio.SampleRate

// NewLaptop makes a laptop, whose clock starts with the first block.
func NewLaptop(cfg LaptopConfig) *Laptop {
	if cfg.Speaker == 0 {
		cfg.Speaker = 15 * time.Millisecond
	}
	if cfg.Microphone == 0 {
		cfg.Microphone = 5 * time.Millisecond
	}
	return &Laptop{cfg: cfg, late: rand.New(rand.NewPCG(cfg.Seed, 0x6c617465))} //nolint:gosec // reproducible, not secret
}

// Speaker is the laptop's speaker.
func (l *Laptop) Speaker() audio.Sink { return &laptopSpeaker{l} }

// Microphone is the laptop's microphone.
func (l *Laptop) Microphone() audio.Source { return &laptopMicrophone{l} }

// until is how long it is until a sample is due, and whoever waits for it wakes up.
func (l *Laptop) until(sample int64) time.Duration {
	if l.start.IsZero() {
		l.start = time.Now()
	}
	return time.Until(l.start.Add(time.Duration(sample)*time.Second/audio.SampleRate)) + l.lateness()
}

func (l *Laptop) lateness() time.Duration {
	switch {
	case !l.cfg.Late:
		return 0
	case l.late.IntN(100) == 0:
		return time.Duration(l.late.Int64N(int64(8 * time.Millisecond)))
	}
	return time.Duration(l.late.Int64N(int64(500 * time.Microsecond)))
}

func samplesOf(d time.Duration) int64 { return int64(d * audio.SampleRate / time.Second) }

type laptopSpeaker struct{ l *Laptop }

func (s *laptopSpeaker) Close() error           { return nil }
func (s *laptopSpeaker) Faults() audio.Faults   { return audio.Faults{} }
func (s *laptopSpeaker) Latency() time.Duration { return s.l.cfg.Speaker }

// WriteBlock returns when the next block is due.
func (s *laptopSpeaker) WriteBlock(b *audio.StereoBlock) error {
	l := s.l
	l.mu.Lock()
	heard := l.written + samplesOf(l.cfg.Speaker+l.cfg.Untold)
	for i := range audio.BlockSamples {
		l.played[(heard+int64(i))%laptopMemory] = (b[2*i] + b[2*i+1]) / 2
	}
	l.written += audio.BlockSamples
	wait := l.until(l.written)
	l.mu.Unlock()
	time.Sleep(wait)
	return nil
}

type laptopMicrophone struct{ l *Laptop }

func (m *laptopMicrophone) Close() error           { return nil }
func (m *laptopMicrophone) Faults() audio.Faults   { return audio.Faults{} }
func (m *laptopMicrophone) Latency() time.Duration { return m.l.cfg.Microphone }

// ReadBlock returns when the block has been recorded, and later by the latency.
func (m *laptopMicrophone) ReadBlock(b *audio.Block) error {
	l := m.l
	l.mu.Lock()
	at := l.recorded
	l.recorded += audio.BlockSamples
	wait := l.until(l.recorded + samplesOf(l.cfg.Microphone))
	l.mu.Unlock()
	time.Sleep(wait)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range b {
		b[i] = 0
		if n := at + int64(i); n < int64(len(l.cfg.Voice)) {
			b[i] = l.cfg.Voice[n]
		}
	}
	for _, r := range l.cfg.Echo {
		from := at - samplesOf(r.Delay)
		for i := range b {
			if n := from + int64(i); n >= 0 {
				b[i] += r.Gain * l.played[n%laptopMemory]
			}
		}
	}
	return nil
}
