package portaudio

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// The times and sizes that rule a Sink's queue.
const (
	idleAfter  = 100 * time.Millisecond // without a block after which a writer counts as silent by choice
	roomAfter  = 30 * time.Millisecond  // after a block was taken there should be room for the next
	slackStep  = audio.BlockSamples / 2 // frames by which the slack grows and shrinks
	maxSlack   = 3 * audio.BlockSamples // frames, beside what a piece needs
	inHand     = audio.BlockSamples / 2 // frames: a shorter piece is taken before there is room for it
	slackDecay = 20 * time.Second       // without underrun after which the slack shrinks
)

// Sink is a speaker: an audio.Sink and an audio.Device. WriteBlock is called
// from one goroutine at a time, everything else from any.
//
// Between the writer and the device waits one block, or as much as the device
// takes at once if that is more (see Config.Latency). A writer that is late, or
// doesn't write at all, leaves silence. One that keeps being late is given slack,
// up to three blocks more that wait, which it loses again when it isn't late for
// 20 s each: Latency tells.
type Sink struct {
	endpoint
	queue   *audio.Ring // of interleaved stereo; guarded by mu
	drained chan struct{}
	filled  chan struct{}
	timer   *time.Timer   // the writer's
	next    time.Duration // when the next block is due without a device; writer only
	wrote   time.Duration // when a block was taken last; guarded by mu
	flight  int           // frames on their way from the queue to the device; guarded by mu
	ahead   int           // frames that were before the block taken last; guarded by mu
	piece   int           // frames that the device takes at once
	slack   int           // frames by which the queue may be longer; guarded by mu
	eased   time.Duration // when the slack changed last; guarded by mu
	missed  int           // frames missing since then, an underrun if another block comes; guarded by mu
}

// OpenSink opens a speaker. Errors are ErrNoDevice, ErrUnknownDevice,
// ErrUnavailable and ErrNotResponding, the latter after 3 s. The caller closes
// the sink; what was written less than Latency ago may then not be heard.
func OpenSink(cfg Config) (*Sink, error) { return openSink(cfg, audio.SampleRate) }

// openSink asks the device for a rate in Hz first.
func openSink(cfg Config, rate float64) (*Sink, error) {
	s := newSink(cfg)
	s.prepare(cfg, output, rate, s.play)
	if err := s.open(); err != nil {
		return nil, err
	}
	s.next = s.now()
	return s, nil
}

// AbsentSink is a speaker without a device, which swallows what it is given: see
// AbsentSource.
func AbsentSink(cfg Config, reason error) *Sink {
	s := newSink(cfg)
	s.prepare(cfg, output, audio.SampleRate, s.play)
	s.next = s.now()
	s.absent(reason)
	return s
}

// newSink makes a sink without a device.
func newSink(cfg Config) *Sink {
	piece := pieceFrames(cfg.withDefaults().Latency)
	return &Sink{
		queue:   audio.NewRing(2 * (maxSlack + piece + audio.BlockSamples)),
		piece:   piece,
		drained: make(chan struct{}, 1),
		filled:  make(chan struct{}, 1),
		timer:   time.NewTimer(0),
		wrote:   -idleAfter,
	}
}

// full says whether enough waits: a piece for the device, and the slack. The
// caller holds mu.
func (s *Sink) full() bool { return s.queue.Len()/2 >= s.piece+s.slack }

// play moves a piece of audio from the queue to a stream: at the last moment, unless
// the other half of the device's buffer is too short to rely on, and the piece is
// better in hand.
func (s *Sink) play(p *pump) error {
	pcm := p.stream.piece
	if s.piece < inHand {
		s.pull(p, pcm)
		p.stream.await(p)
	} else {
		p.stream.await(p)
		s.pull(p, pcm)
	}
	underrun, err := p.stream.write(pcm)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != p {
		return err
	}
	s.flight = 0
	if underrun && s.now()-s.wrote < idleAfter {
		s.faults.Underruns++
	}
	return err
}

// pull fills pcm from the queue. If the queue holds too little it waits, until
// the device needs something; what is missing then is silence.
func (s *Sink) pull(p *pump, pcm []float32) {
	if s.grab(p, pcm, false) {
		return
	}
	p.timer.Reset(p.stream.reserve())
	defer p.timer.Stop()
	for {
		select {
		case <-s.filled:
			if s.grab(p, pcm, false) {
				return
			}
		case <-p.timer.C:
			s.grab(p, pcm, true)
			return
		case <-p.quit:
			clear(pcm)
			return
		}
	}
}

// grab fills pcm from the queue and says whether it did. If it must, silence
// takes the place of what is missing.
func (s *Sink) grab(p *pump, pcm []float32, must bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != p {
		clear(pcm)
		return true
	}
	if s.queue.Len() < len(pcm) {
		if !must {
			return false
		}
		s.missed += (len(pcm) - s.queue.Len()) / 2
	}
	n := s.queue.Read(pcm)
	clear(pcm[n:])
	s.flight = len(pcm) / 2
	s.shapeChange(pcm)
	signal(s.drained)
	return true
}

// WriteBlock plays b after what was written before, and returns when there is
// room for the next block: what is written then is made at the last moment. It
// takes at most 100 ms: a device that takes nothing loses the block, and Faults
// counts it as an underrun unless the device counts as lost. The error is
// audio.ErrClosed or nil.
func (s *Sink) WriteBlock(b *audio.StereoBlock) error {
	for {
		wait, err := s.put(b)
		if err != nil {
			return err
		}
		if wait <= 0 {
			break
		}
		s.rest(wait)
	}
	for wait := s.crowded(); wait > 0 && !s.closed(); wait = s.crowded() {
		s.rest(wait)
	}
	return nil
}

// rest waits until the device has taken something, at most for a while.
func (s *Sink) rest(most time.Duration) {
	s.timer.Reset(most)
	select {
	case <-s.drained:
	case <-s.timer.C:
	case <-s.quit:
	}
}

// crowded is for how long to wait for room after a block was taken; not above
// zero if there is room, or if the device takes nothing.
func (s *Sink) crowded() time.Duration {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.Lost || !s.full() {
		return 0
	}
	return s.wrote + roomAfter - now
}

// put takes b if there is room, or if it is time to lose it; otherwise it
// returns for how long to wait.
func (s *Sink) put(b *audio.StereoBlock) (time.Duration, error) {
	if s.closed() {
		return 0, audio.ErrClosed
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.Lost {
		s.queue.Reset() // what nobody heard in time isn't to be heard later
	} else if !s.full() {
		s.adapt(now)
		s.ahead = s.queue.Len()/2 + s.flight
		s.queue.Write(b[:])
		s.wrote, s.next = now, now+audio.BlockDuration
		signal(s.filled)
		return 0, nil
	}
	return s.lose(now), nil
}

// adapt counts the underruns before a block that is taken now, and gives or
// takes slack. The caller holds mu.
func (s *Sink) adapt(now time.Duration) {
	missed := s.missed
	s.missed = 0
	switch {
	case missed > 0 && now-s.wrote < idleAfter:
		s.faults.Underruns += uint64((missed + audio.BlockSamples - 1) / audio.BlockSamples)
		s.slack, s.eased = min(s.slack+slackStep, maxSlack), now
	case s.slack > 0 && now-s.eased > slackDecay:
		s.slack, s.eased = s.slack-slackStep, now
	}
}

// lose drops a block if it is time for that; otherwise it returns for how long
// to wait. The caller holds mu.
func (s *Sink) lose(now time.Duration) time.Duration {
	s.next = max(s.next, now-s.grace()) // a writer that paused needn't make up for it
	due := max(s.next, s.wrote+s.grace())
	if s.faults.Lost {
		due = s.next
	}
	if now < due {
		return due - now
	}
	s.next += audio.BlockDuration
	if !s.faults.Lost {
		s.faults.Underruns++
	}
	return 0
}

// Latency is how long from now the first sample of the block written last will
// be heard: what waited before it, and what the device reports.
func (s *Sink) Latency() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latency + duration(s.ahead)
}

var (
	_ audio.Sink   = (*Sink)(nil)
	_ audio.Device = (*Sink)(nil)
)
