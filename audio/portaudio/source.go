package portaudio

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// The times that rule a queue between a device and its user.
const (
	leastGrace  = 50 * time.Millisecond  // a device may be late before silence takes its place ...
	pieceGrace  = 30 * time.Millisecond  // ... or this beside a piece, if that is more
	sourceQueue = 100 * time.Millisecond // recorded audio kept for a reader that is late
	settle      = 500 * time.Millisecond // after silence, while a device hands out what it has kept back
)

// Source is a microphone: an audio.Source and an audio.Device. ReadBlock is
// called from one goroutine at a time, everything else from any.
//
// A reader may be up to 100 ms late before recorded audio is lost. A block of
// silence takes the place of audio that is 50 ms late, or 30 ms and half of
// Config.Latency if that is more; Faults counts it as an underrun, unless the
// device counts as lost.
type Source struct {
	endpoint
	queue   *audio.Ring // guarded by mu
	filled  chan struct{}
	timer   *time.Timer
	next    time.Duration // when the block to read next is due; reader only
	last    time.Duration // when audio was read last; reader only
	tail    float32       // the last sample read; reader only
	silent  bool          // what was read last was silence for want of audio; reader only
	trimmed time.Duration // until when no backlog is allowed; guarded by mu
}

// OpenSource opens a microphone. Errors are ErrNoDevice, ErrUnknownDevice,
// ErrUnavailable and ErrNotResponding, the latter after 3 s. The caller closes
// the source.
func OpenSource(cfg Config) (*Source, error) { return openSource(cfg, audio.SampleRate) }

// openSource asks the device for a rate in Hz first.
func openSource(cfg Config, rate float64) (*Source, error) {
	s := newSource(cfg)
	s.prepare(cfg, input, rate, s.record)
	if err := s.open(); err != nil {
		return nil, err
	}
	s.last = s.now()
	s.next = s.last + audio.BlockDuration
	return s, nil
}

// AbsentSource is a microphone without a device, for a conversation that began
// without one: it gives silence, and counts as lost for that reason, until SetDevice
// finds one. No device is looked for before. It can be used, and must be closed, like
// any other.
func AbsentSource(cfg Config, reason error) *Source {
	s := newSource(cfg)
	s.prepare(cfg, input, audio.SampleRate, s.record)
	s.next = s.now() + audio.BlockDuration
	s.absent(reason)
	return s
}

// newSource makes a source without a device.
func newSource(cfg Config) *Source {
	more := max(0, pieceFrames(cfg.withDefaults().Latency)-audio.BlockSamples)
	return &Source{
		queue:  audio.NewRing(samples(sourceQueue) + more),
		filled: make(chan struct{}, 1),
		timer:  time.NewTimer(0),
	}
}

// samples is how many samples of one channel a duration holds.
func samples(d time.Duration) int { return int(d * audio.SampleRate / time.Second) }

// duration is how long a number of samples of one channel lasts.
func duration(samples int) time.Duration {
	return time.Duration(samples) * time.Second / audio.SampleRate
}

// record moves a piece of audio from a stream to the queue.
func (s *Source) record(p *pump) error {
	pcm, overrun, err := p.stream.read(p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != p {
		return nil
	}
	if overrun {
		s.faults.Overruns++
	}
	s.shapeChange(pcm)
	s.keep(pcm)
	signal(s.filled)
	return nil
}

// keep puts a piece into the queue, at the expense of what is oldest. The caller
// holds mu.
func (s *Source) keep(pcm []float32) {
	room := s.queue.Free()
	trim := s.now() < s.trimmed
	if trim {
		// Beside the piece what is left of a block may wait for its rest.
		room = len(pcm) + audio.BlockSamples - divisor(len(pcm), audio.BlockSamples) - s.queue.Len()
	}
	if missing := len(pcm) - room; missing > 0 {
		s.queue.Discard(missing)
		if !trim {
			s.faults.Overruns++
		}
	}
	s.queue.Write(pcm)
}

// divisor is the greatest common one.
func divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// signal wakes the one goroutine that waits, or the next one that will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ReadBlock fills b with what the microphone recorded next, or with silence if
// that is missing. It blocks until there is a block, at most 100 ms. The error
// is audio.ErrClosed or nil.
func (s *Source) ReadBlock(b *audio.Block) error {
	for {
		wait, err := s.take(b)
		if err != nil || wait <= 0 {
			return err
		}
		s.timer.Reset(wait)
		select {
		case <-s.filled:
		case <-s.timer.C:
		case <-s.quit:
		}
	}
}

// take fills b if it can be filled now; otherwise it returns for how long to wait.
func (s *Source) take(b *audio.Block) (time.Duration, error) {
	if s.closed() {
		return 0, audio.ErrClosed
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.Len() < len(b) {
		return s.silence(b, now), nil
	}
	due := now
	if now < s.trimmed {
		// Silence took the place of what the device hands out now: it is given
		// at its pace, and what is too much is cut.
		due = max(s.next, now-s.grace())
	}
	if now < due {
		return due - now, nil
	}
	s.queue.Read(b[:])
	if s.silent {
		audio.FadeIn(b[:audio.FadeSamples])
	}
	s.tail, s.silent = b[len(b)-1], false
	s.last, s.next = now, due+audio.BlockDuration
	return 0, nil
}

// silence fills b with silence if it is time for that; otherwise it returns for
// how long to wait. The caller holds mu.
func (s *Source) silence(b *audio.Block, now time.Duration) time.Duration {
	s.next = max(s.next, now-s.grace()) // a reader that paused isn't given what it missed
	due := max(s.next, s.last+s.grace())
	if s.faults.Lost {
		due = s.next
	}
	if now < due {
		return due - now
	}
	clear(b[:])
	if !s.silent { // from where the audio broke off, so that it isn't a click
		for i := range b[:audio.FadeSamples] {
			b[i] = s.tail
		}
		audio.FadeOut(b[:audio.FadeSamples])
		s.silent = true
	}
	s.next += audio.BlockDuration
	s.trimmed = now + settle
	if !s.faults.Lost {
		s.faults.Underruns++
	}
	return 0
}

// Latency is how long ago the first sample of the block read last was spoken,
// less the block's 10 ms: what the device reports, and what waits in the queue.
func (s *Source) Latency() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latency + duration(s.queue.Len())
}

var (
	_ audio.Source = (*Source)(nil)
	_ audio.Device = (*Source)(nil)
)
