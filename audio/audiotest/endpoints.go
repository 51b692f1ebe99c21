package audiotest

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/parley-voice/parley/audio"
)

// Source is an audio.Source that plays PCM from memory, unpaced. It is safe for
// concurrent use.
type Source struct {
	mu     sync.Mutex // guards what follows
	pcm    []float32
	at     int
	loop   bool
	err    error
	blocks int
	closed bool
}

// NewSource plays pcm, which it doesn't change, once: the last block is filled
// up with silence, then comes io.EOF.
func NewSource(pcm []float32) *Source { return &Source{pcm: pcm} }

// NewLoop plays pcm again and again without a gap; empty pcm ends at once.
func NewLoop(pcm []float32) *Source { return &Source{pcm: pcm, loop: len(pcm) > 0} }

// Fail makes ReadBlock return err from now on; nil heals it.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// ReadBlock fills dst with the next 10 ms.
func (s *Source) ReadBlock(dst *audio.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return audio.ErrClosed
	case s.err != nil:
		return s.err
	case s.at == len(s.pcm) && !s.loop:
		return io.EOF
	}
	n := 0
	for n < len(dst) && s.at < len(s.pcm) {
		m := copy(dst[n:], s.pcm[s.at:])
		n, s.at = n+m, s.at+m
		if s.loop && s.at == len(s.pcm) {
			s.at = 0
		}
	}
	clear(dst[n:])
	s.blocks++
	return nil
}

// Blocks is the number of blocks that were read.
func (s *Source) Blocks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocks
}

// Close ends the source.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Closed tells whether Close was called.
func (s *Source) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Sink is an audio.Sink that keeps what it is given, unpaced. The zero value is
// ready. It is safe for concurrent use.
type Sink struct {
	mu     sync.Mutex // guards what follows
	pcm    []float32  // interleaved
	err    error
	closed bool
}

// Fail makes WriteBlock return err from now on; nil heals it.
func (s *Sink) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// WriteBlock keeps a block.
func (s *Sink) WriteBlock(b *audio.StereoBlock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return audio.ErrClosed
	case s.err != nil:
		return s.err
	}
	s.pcm = append(s.pcm, b[:]...)
	return nil
}

// Blocks is the number of blocks that were written.
func (s *Sink) Blocks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pcm) / len(audio.StereoBlock{})
}

// Stereo is a copy of everything so far, left and right interleaved.
func (s *Sink) Stereo() []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pcm)
}

// Mono is a copy of everything so far, the mean of left and right.
func (s *Sink) Mono() []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	mono := make([]float32, len(s.pcm)/2)
	for i := range mono {
		mono[i] = (s.pcm[2*i] + s.pcm[2*i+1]) / 2
	}
	return mono
}

// Close ends the sink; what it kept stays.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Closed tells whether Close was called.
func (s *Sink) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Read reads a source to its end, at most limit blocks.
func Read(src audio.Source, limit int) ([]float32, error) {
	var pcm []float32
	var b audio.Block
	for range limit {
		err := src.ReadBlock(&b)
		if errors.Is(err, io.EOF) {
			return pcm, nil
		}
		if err != nil {
			return pcm, err
		}
		pcm = append(pcm, b[:]...)
	}
	return pcm, nil
}
