package session

import (
	"sync"
	"sync/atomic"
)

// recording is whether this side records, and by how many.
type recording struct {
	by   atomic.Int32
	ever atomic.Bool // before that nobody is told anything
}

// AnnounceRecording tells all peers, those who come later too, that this side
// records what it hears, until the returned function is called. Several may be
// announced at once; the last one ends it. It holds across Stop and Start. Package
// record does this by itself. Nothing here finds out whether it is true.
func (s *Session) AnnounceRecording() (end func()) {
	r := &s.recording
	r.ever.Store(true)
	if r.by.Add(1) == 1 {
		s.stateChanged()
	}
	return sync.OnceFunc(func() {
		if r.by.Add(-1) == 0 {
			s.stateChanged()
		}
	})
}

// Recording reports whether peers are told that this side records.
func (s *Session) Recording() bool { return s.recording.by.Load() > 0 }
