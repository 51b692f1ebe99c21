package audio

import "sync/atomic"

// Silence is a Source of digital silence that never ends. The zero value is
// ready. It is unpaced and safe for concurrent use.
type Silence struct {
	closed atomic.Bool
}

// ReadBlock fills dst with zeros, or returns ErrClosed after Close.
func (s *Silence) ReadBlock(dst *Block) error {
	if s.closed.Load() {
		return ErrClosed
	}
	*dst = Block{}
	return nil
}

// Close ends the source.
func (s *Silence) Close() error {
	s.closed.Store(true)
	return nil
}

// Null is a Sink that discards what it is given and counts it. The zero value
// is ready. It is unpaced and safe for concurrent use.
type Null struct {
	blocks atomic.Uint64
	closed atomic.Bool
}

// WriteBlock counts a block, or returns ErrClosed after Close.
func (n *Null) WriteBlock(*StereoBlock) error {
	if n.closed.Load() {
		return ErrClosed
	}
	n.blocks.Add(1)
	return nil
}

// Blocks is the number of blocks discarded so far.
func (n *Null) Blocks() uint64 { return n.blocks.Load() }

// Close ends the sink.
func (n *Null) Close() error {
	n.closed.Store(true)
	return nil
}
