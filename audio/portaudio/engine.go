package portaudio

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pa "github.com/gordonklaus/portaudio"
)

// engine owns what PortAudio has once per process: its initialisation, the list
// of devices, and the list of open streams. PortAudio guards none of them.
type engine struct {
	calls chan struct{} // holds a token during every call that touches them
	gate  gate          // keeps calls of running streams out while one is opened

	// Guarded by calls.
	ready   bool // PortAudio is initialised
	streams int  // streams that are open
	silence sync.Once

	// A renewal of the list of devices, which needs every stream closed.
	stamp    func() string          // changes when the system's devices do
	listed   atomic.Pointer[string] // the stamp when PortAudio was initialised
	renewals atomic.Uint64          // asked for so far; each supervisor lets go of its stream then
	began    time.Time              // when the engine was made; a clock that nobody sets
	renewing atomic.Int64           // until when opening waits for streams to be closed; ns since began
}

// renewPatience is for how long opening waits for others to close their streams.
const renewPatience = 400 * time.Millisecond

// shared is the process's engine, as PortAudio is the process's.
var shared = &engine{calls: make(chan struct{}, 1), stamp: devicesStamp, began: time.Now()}

// lock takes the token, or gives up when quit is closed: a call that hangs in
// the sound system holds the token for as long.
func (e *engine) lock(quit <-chan struct{}) error {
	select {
	case e.calls <- struct{}{}:
		return nil
	case <-quit:
		return errStopped
	}
}

func (e *engine) unlock() { <-e.calls }

// lockRenewed is lock, but lets a renewal come first if one was asked for.
func (e *engine) lockRenewed(quit <-chan struct{}) error {
	for {
		if err := e.lock(quit); err != nil {
			return err
		}
		if e.streams == 0 {
			e.renewing.Store(0)
		}
		if int64(time.Since(e.began)) >= e.renewing.Load() {
			return nil
		}
		e.unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

// stale returns the system's stamp, and whether the list of devices is older.
func (e *engine) stale() (string, bool) {
	stamp, listed := e.stamp(), e.listed.Load()
	return stamp, listed != nil && *listed != stamp
}

// renew asks every supervisor to let go of its stream and to open it anew.
func (e *engine) renew() {
	e.renewing.Store(int64(time.Since(e.began) + renewPatience))
	e.renewals.Add(1)
}

// refreshLocked makes PortAudio ready, with a fresh list of devices if no stream
// is open.
func (e *engine) refreshLocked() (system, error) {
	if e.streams == 0 {
		e.terminateLocked()
	}
	if !e.ready {
		e.silence.Do(quiet)
		if !hasSound() {
			return system{}, nil
		}
		stamp := e.stamp()
		e.listed.Store(&stamp)
		if err := pa.Initialize(); err != nil {
			return system{}, fmt.Errorf("portaudio: initialising: %w", err)
		}
		e.ready = true
	}
	return readSystem()
}

// restLocked gives back PortAudio's resources if no stream is open.
func (e *engine) restLocked() {
	if e.streams == 0 {
		e.terminateLocked()
	}
}

func (e *engine) terminateLocked() {
	if e.ready {
		_ = pa.Terminate() // it fails only if PortAudio isn't initialised
		e.ready = false
	}
}

// devices lists the devices.
func (e *engine) devices(quit <-chan struct{}) ([]Device, error) {
	if err := e.lock(quit); err != nil {
		return nil, err
	}
	defer e.unlock()
	defer e.restLocked()
	sys, err := e.refreshLocked()
	if err != nil {
		return nil, err
	}
	devices := make([]Device, len(sys.infos))
	for i, info := range sys.infos {
		devices[i] = sys.describe(info)
	}
	return devices, nil
}

// open opens the first of the named devices that exists and can be opened. The
// calling goroutine owns the stream from then on.
func (e *engine) open(dir direction, names []string, req request, quit <-chan struct{}) (*stream, error) {
	if err := e.lockRenewed(quit); err != nil {
		return nil, err
	}
	defer e.unlock()
	defer e.restLocked()
	sys, err := e.refreshLocked()
	if err != nil {
		return nil, err
	}
	var first error
	for i, name := range names {
		s, err := openStream(sys, dir, name, req)
		if err == nil {
			s.fallback = i > 0
			e.streams++
			return s, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// close closes a stream; its owner calls it. Stopping it may take as long as the
// sound system likes, so that is done before the token is taken.
func (e *engine) close(s *stream) {
	e.gate.enter()
	_ = s.pa.Abort() // fails on a device that is gone, where there is nothing to stop
	e.gate.leave()
	e.calls <- struct{}{}
	defer e.unlock()
	_ = s.pa.Close() // the stream is gone for us either way
	e.streams--
	e.restLocked()
}
