package portaudio

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
)

// The times that rule recovery.
const (
	openPatience  = 3 * time.Second         // for the sound system to open a device at first
	stallLimit    = 300 * time.Millisecond  // without audio before a device counts as lost
	startLimit    = time.Second             // without audio before a device that was just opened does
	hangLimit     = 2500 * time.Millisecond // without audio before another device is tried in the place of one that reports no error
	hungOpen      = time.Second             // for opening that other device, from which on it hangs too
	retryInterval = 500 * time.Millisecond  // between attempts to get audio flowing
	returnEvery   = 2 * time.Second         // between attempts to leave a fallback
	standInGrace  = 400 * time.Millisecond  // for a device that hung to wake up beside its stand-in
	closePatience = 250 * time.Millisecond  // for a stream to close
	checkInterval = 50 * time.Millisecond   // between looks at whether audio flows
)

// maxLeftBehind is how many streams may hang in the sound system, each with a
// goroutine, before no more are opened in their place.
const maxLeftBehind = 3

// endpoint is what a Source and a Sink have in common: a device, the goroutine
// that supervises it, and what goes wrong.
type endpoint struct {
	cfg     Config
	dir     direction
	request request
	step    func(*pump) error // moves one piece of audio; called by pumps
	epoch   time.Time

	quit    chan struct{} // closed by Close
	done    chan struct{} // closed when the supervisor has ended
	changes chan *change  // to the supervisor
	close   sync.Once

	mu      sync.Mutex // guards what follows, and the queue of the Source or Sink
	current *pump      // whose audio counts; nil while there is none
	next    *pump      // that is to take over when current has moved one more piece
	rising  bool       // the next piece is the first after a change, and fades in
	device  Device     // in use, or last used
	latency time.Duration
	faults  audio.Faults
}

// prepare sets what doesn't change.
func (e *endpoint) prepare(cfg Config, dir direction, rate float64, step func(*pump) error) {
	e.cfg = cfg.withDefaults()
	e.dir = dir
	e.step = step
	e.epoch = time.Now()
	e.request = request{rate: rate, latency: e.cfg.Latency}
	e.quit = make(chan struct{})
	e.done = make(chan struct{})
	e.changes = make(chan *change)
}

// absent starts supervising an endpoint without a device.
func (e *endpoint) absent(reason error) {
	e.faults.Lost, e.faults.Reason = true, reason.Error()
	s := &supervisor{endpoint: e, renewals: shared.renewals.Load(), absent: true}
	go s.run()
}

// open opens the device and starts supervising it.
func (e *endpoint) open() error {
	first := startPump(e, e.cfg.Device)
	patience := time.NewTimer(openPatience)
	defer patience.Stop()
	select {
	case <-first.ready:
	case <-patience.C:
		first.stop()
		return fmt.Errorf("%w: opening the %s", ErrNotResponding, e.dir.noun())
	}
	if first.err != nil {
		return first.err
	}
	if e.cfg.Device != "" {
		e.cfg.Device = first.stream.device.Key() // a part of a name may mean another device later
	}
	s := &supervisor{endpoint: e, renewals: shared.renewals.Load()}
	s.adopt(first)
	go s.run()
	return nil
}

// now is the endpoint's clock.
func (e *endpoint) now() time.Duration { return time.Since(e.epoch) }

// grace is for how long the device may be late.
func (e *endpoint) grace() time.Duration {
	return max(leastGrace, e.cfg.Latency/2+pieceGrace)
}

// closed says whether Close was called.
func (e *endpoint) closed() bool {
	select {
	case <-e.quit:
		return true
	default:
		return false
	}
}

// Close gives the device back. It returns within 300 ms whatever the device
// does, may be called at any time, and more than once.
func (e *endpoint) Close() error {
	e.close.Do(func() { close(e.quit) })
	patience := time.NewTimer(closePatience + checkInterval)
	defer patience.Stop()
	select {
	case <-e.done:
	case <-patience.C: // Close was called by OnEvent, which the supervisor is in
	}
	return nil
}

// Device is the device in use, or the last one in use while there is none.
func (e *endpoint) Device() Device {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.device
}

// Faults counts what went wrong since the device was opened.
func (e *endpoint) Faults() audio.Faults {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.faults
}

// supervisor keeps audio flowing. It belongs to one goroutine.
type supervisor struct {
	*endpoint
	active    *pump         // whose audio counts
	candidate *pump         // being opened, to replace active
	standIn   *pump         // open, to replace active unless that wakes up
	opened    time.Duration // when standIn was
	left      []*pump       // see leftBehind
	change    *change       // of devices, under way; nil if there is none
	retired   []retiree     // were active before a change
	absent    bool          // there is no device, and none is looked for, before a change
	adopted   time.Duration // when active became that
	tried     time.Duration // when a candidate was last started
	renewals  uint64        // of the engine's, those that were heeded
	stamp     string        // of the system's devices, when last looked at
	relists   int           // renewals asked for since the last loss, for no other reason than that
	lostAt    time.Duration // when the device was lost last
	yielding  bool          // active was told to end for a renewal
}

// run supervises until Close.
func (s *supervisor) run() {
	defer close(s.done)
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			s.shutDown()
			return
		case <-ended(s.active):
			s.drop()
		case <-opened(s.candidate):
			s.judge()
		case c := <-s.requests():
			s.beginChange(c)
		case <-opened(s.unbegun()):
			s.proceed()
		case <-tick.C:
			s.check()
		}
	}
}

// ended is closed when a pump has ended; it blocks if there is no pump.
func ended(p *pump) <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.done
}

// opened is closed when a pump has opened its stream, or couldn't.
func opened(p *pump) <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.ready
}

// adopt makes a pump with an open stream the one whose audio counts.
func (s *supervisor) adopt(p *pump) {
	s.active, s.adopted, s.absent = p, s.now(), false
	s.mu.Lock()
	s.current = p
	s.device = p.stream.device
	s.latency = p.stream.latency
	s.mu.Unlock()
	p.start()
}

// drop forgets the active pump, which has ended, and begins to replace it.
func (s *supervisor) drop() {
	if !s.yielding {
		s.lose(s.active.err)
	}
	s.yielding, s.active, s.tried = false, nil, 0
	s.retry()
}

// check looks whether audio flows, and tries what may help if it doesn't.
func (s *supervisor) check() {
	if s.active != nil {
		s.listen()
	}
	s.settle()
	s.checkChange()
	s.retire(false)
	s.yield()
	s.retry()
}

// listen notes whether audio flows through the active pump.
func (s *supervisor) listen() {
	moved, limit := time.Duration(s.active.moved.Load()), stallLimit
	since := moved
	if moved == 0 {
		since, limit = s.adopted, startLimit
	}
	stalled, lost := s.now()-since > limit, s.Faults().Lost
	switch {
	case stalled && !lost:
		s.lose(errors.New("the sound system doesn't answer"))
	case !stalled && lost && moved > 0:
		s.regain()
	}
}

// lose notes that no audio flows from the active pump.
func (s *supervisor) lose(why error) {
	device := s.active.stream.device
	s.mu.Lock()
	before := s.faults.Lost
	s.faults.Lost = true
	s.faults.Reason = fmt.Sprintf("%s %q: %v", s.dir.noun(), device.Name, describe(why))
	if !before {
		s.faults.Losses++
	}
	s.mu.Unlock()
	if before {
		return
	}
	s.lostAt, s.relists = s.now(), 0
	s.cfg.Logger.Info("sound device lost", "device", device.Key(), "reason", describe(why))
	s.cfg.OnEvent(Event{Kind: Lost, Device: device, Fallback: s.active.stream.fallback, Reason: describe(why)})
}

// regain notes that audio flows again.
func (s *supervisor) regain() {
	s.mu.Lock()
	s.faults.Lost, s.faults.Reason = false, ""
	s.mu.Unlock()
	s.announce(Recovered)
}

func (s *supervisor) announce(kind EventKind) {
	device, fallback := s.active.stream.device, s.active.stream.fallback
	s.cfg.Logger.Info("sound device "+kind.String(), "device", device.Key(), "fallback", fallback)
	s.cfg.OnEvent(Event{Kind: kind, Device: device, Fallback: fallback})
}
