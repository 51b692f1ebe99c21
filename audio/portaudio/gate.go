package portaudio

import (
	"sync"
	"time"
)

// The times that rule a gate.
const (
	gatePatience = 50 * time.Millisecond  // for calls under way to return before it counts as shut
	gateShut     = 200 * time.Millisecond // that it stays shut at most
)

// gate keeps the calls of running streams apart from the opening of another.
// PortAudio holds the error that it is about to return in a global variable
// (paUtilErr_, without a lock): a stream that succeeds at the wrong moment turns
// the failure to open a device into a success, and an assertion then aborts the
// process (PortAudio #278). A stream that hangs can't be waited for, so the gate
// makes that improbable, not impossible. The zero value is open.
type gate struct {
	mu     sync.Mutex // guards what follows
	inside int
	shut   chan struct{} // closed when calls may go on; nil while the gate is open
	empty  chan struct{} // closed when nobody is inside any more; nil if nobody waits for that
}

// enter waits until the gate is open, at most gatePatience and gateShut together;
// leave must follow.
func (g *gate) enter() {
	g.mu.Lock()
	for g.shut != nil {
		shut := g.shut
		g.mu.Unlock()
		<-shut
		g.mu.Lock()
	}
	g.inside++
	g.mu.Unlock()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// close shuts the gate and returns when nobody is inside, or after gatePatience.
// The returned function opens it; if nobody calls that for gateShut, because
// opening a device hangs, it opens by itself. One goroutine at a time closes.
func (g *gate) close() (open func()) {
	shut, empty := make(chan struct{}), make(chan struct{})
	g.mu.Lock()
	g.shut, g.empty = shut, empty
	if g.inside == 0 {
		close(empty)
		g.empty = nil
	}
	g.mu.Unlock()
	patience := time.NewTimer(gatePatience)
	defer patience.Stop()
	select {
	case <-empty:
	case <-patience.C:
	}
	once := sync.OnceFunc(func() {
		g.mu.Lock()
		g.shut, g.empty = nil, nil
		g.mu.Unlock()
		close(shut)
	})
	byItself := time.AfterFunc(gateShut, once)
	return func() {
		byItself.Stop()
		once()
	}
}
