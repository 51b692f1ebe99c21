package audiotest

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
)

// deviceLatency is what a Microphone and a Speaker say of themselves.
const deviceLatency = 5 * time.Millisecond

// deviceGrace is how late a device that stalls may be before silence takes its
// place, or what is written is lost.
const deviceGrace = 50 * time.Millisecond

// card is the clock of a device: block n begins n times the period after its
// start, on the clock of the system, and of a synctest bubble.
type card struct {
	start  time.Time // fixed
	period time.Duration

	mu       sync.Mutex // guards what follows
	next     int        // the block that is read or written next
	silent   time.Time  // until when the device is stalled
	grace    time.Time  // until when it may be late
	frozen   time.Time  // until when nothing returns
	closed   bool
	underrun uint64
}

func newCard(ppm float64) card {
	return card{
		start:  time.Now(),
		period: time.Duration(float64(audio.BlockDuration)/(1+ppm*1e-6) + 0.5),
	}
}

// Stall has the device give or take nothing for a while, from now on. As package
// audio wants it, calls return all the same: after 50 ms of waiting silence is
// read, and what is written is lost, at the pace of the clock.
func (c *card) Stall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent, c.grace = time.Now().Add(d), time.Now().Add(deviceGrace)
}

// Freeze has no call return for a while, from now on, as when the process is
// suspended. What the device would have recorded meanwhile is lost.
func (c *card) Freeze(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = time.Now().Add(d)
}

// wait waits for the device to have recorded the next block, or to take it, and
// returns its number and whether the device is there.
func (c *card) wait() (n int, there bool) {
	for {
		c.mu.Lock()
		now := time.Now()
		// What wasn't asked for in time is gone: the device has one block.
		if at := int(now.Sub(c.start)/c.period) - 1; c.next < at {
			c.next = at
		}
		due := c.start.Add(time.Duration(c.next+1) * c.period)
		if now.Before(c.silent) && due.Before(c.grace) {
			due = c.grace
		}
		if due.Before(c.frozen) {
			due = c.frozen
		}
		if !now.Before(due) || c.closed {
			n, there = c.next, !now.Before(c.silent)
			c.next++
			if !there {
				c.underrun++
			}
			c.mu.Unlock()
			return n, there
		}
		c.mu.Unlock()
		time.Sleep(due.Sub(now))
	}
}

// sampleAt is the number of the sample that is due at a time.
func (c *card) sampleAt(at time.Time) int {
	return int(float64(at.Sub(c.start)) / float64(c.period) * audio.BlockSamples)
}

// Latency implements audio.Device.
func (c *card) Latency() time.Duration { return deviceLatency }

// Faults implements audio.Device.
func (c *card) Faults() audio.Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return audio.Faults{Underruns: c.underrun}
}

// Close ends what waits.
func (c *card) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *card) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Microphone is an audio.Source that is an audio.Device: it records PCM that is
// said again and again, at the pace of a clock of its own. It is safe for
// concurrent use.
type Microphone struct {
	card
	pcm []float32
}

// NewMicrophone makes a microphone whose clock is so many parts per million
// faster than the system's. PCM is a whole number of blocks.
func NewMicrophone(pcm []float32, ppm float64) *Microphone {
	return &Microphone{card: newCard(ppm), pcm: pcm}
}

// ReadBlock returns when the device has recorded a block.
func (m *Microphone) ReadBlock(b *audio.Block) error {
	n, there := m.wait()
	if m.isClosed() {
		return audio.ErrClosed
	}
	*b = audio.Block{}
	if there {
		at := n * audio.BlockSamples % len(m.pcm)
		copy(b[:], m.pcm[at:])
	}
	return nil
}

// Said is what was said from a time on, to a sample, whether the device recorded
// it or not.
func (m *Microphone) Said(from time.Time, length time.Duration) []float32 {
	at := max(m.sampleAt(from.Add(deviceLatency)), 0)
	pcm := make([]float32, Samples(length))
	for i := range pcm {
		pcm[i] = m.pcm[(at+i)%len(m.pcm)]
	}
	return pcm
}

// Speaker is an audio.Sink that is an audio.Device: it plays at the pace of a
// clock of its own, silence when it is given nothing. It is safe for concurrent
// use.
type Speaker struct {
	card
	heard []float32 // guarded by mu: what was heard lately
	first int       // number of its first sample
}

// speakerKeeps is for how long a Speaker remembers what was heard, at least.
const speakerKeeps = time.Minute

// NewSpeaker makes a speaker whose clock is so many parts per million faster than
// the system's.
func NewSpeaker(ppm float64) *Speaker { return &Speaker{card: newCard(ppm)} }

// WriteBlock returns when the device has taken the block.
func (s *Speaker) WriteBlock(b *audio.StereoBlock) error {
	n, there := s.wait()
	if s.isClosed() {
		return audio.ErrClosed
	}
	var mono audio.Block
	audio.Downmix(&mono, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(n)
	at := n*audio.BlockSamples - s.first
	if missing := at + audio.BlockSamples - len(s.heard); missing > 0 {
		s.heard = append(s.heard, make([]float32, missing)...)
	}
	if there {
		copy(s.heard[at:], mono[:])
	}
	return nil
}

// forget makes room for block n. The caller holds mu.
func (s *Speaker) forget(n int) {
	keep := Samples(speakerKeeps)
	if n*audio.BlockSamples-s.first < 2*keep {
		return
	}
	first := n*audio.BlockSamples - keep
	s.heard = s.heard[:copy(s.heard, s.heard[min(first-s.first, len(s.heard)):])]
	s.first = first
}

// Heard is what was heard from a time on, at most a minute ago, to a sample, with
// silence where there was nothing.
func (s *Speaker) Heard(from time.Time, length time.Duration) []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.sampleAt(from.Add(-audio.BlockDuration-deviceLatency)) - s.first
	pcm := make([]float32, Samples(length))
	for i := range pcm {
		if n := at + i; n >= 0 && n < len(s.heard) {
			pcm[i] = s.heard[n]
		}
	}
	return pcm
}

var (
	_ audio.Source = (*Microphone)(nil)
	_ audio.Device = (*Microphone)(nil)
	_ audio.Sink   = (*Speaker)(nil)
	_ audio.Device = (*Speaker)(nil)
)
