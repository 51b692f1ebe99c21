package portaudio

import (
	"sync/atomic"
	"time"
)

// pump runs one stream in a goroutine that alone touches it: it opens the
// stream, waits to be chosen, moves audio, and closes the stream.
type pump struct {
	names []string      // devices to try, in this order
	ready chan struct{} // closed when the stream is open or can't be
	begin chan struct{} // closed by the supervisor: move audio
	quit  chan struct{} // closed by the supervisor: end
	done  chan struct{} // closed when the stream is closed
	begun bool          // begin is closed; the supervisor's

	stream *stream // set before ready; its owner is the goroutine
	err    error   // why there is no stream, set before ready; or why it failed, set before done

	timer *time.Timer  // of whatever the goroutine waits for
	moved atomic.Int64 // when the stream last moved audio, by the endpoint's clock; 0 if it never did
}

// startPump begins to open the first of the named devices that can be opened.
func startPump(e *endpoint, names ...string) *pump {
	p := &pump{
		names: names,
		ready: make(chan struct{}),
		begin: make(chan struct{}),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
		timer: time.NewTimer(0),
	}
	go p.run(e)
	return p
}

// run is the goroutine of a pump. It ends when quit is closed or the stream
// fails; stuck in the sound system it ends when that answers.
func (p *pump) run(e *endpoint) {
	defer close(p.done)
	p.stream, p.err = shared.open(e.dir, p.names, e.request, p.quit)
	close(p.ready)
	if p.err != nil {
		return
	}
	defer shared.close(p.stream)
	select {
	case <-p.begin:
	case <-p.quit:
		return
	}
	if e.dir == output {
		p.err = p.stream.prime()
	}
	if p.err == nil {
		p.err = p.move(e)
	}
}

// move moves audio until quit is closed or the stream fails.
func (p *pump) move(e *endpoint) error {
	pace := pacer{}
	for !p.stopped() {
		if err := e.step(p); err != nil {
			return err
		}
		now := e.now()
		p.moved.Store(int64(now))
		if wait := pace.ahead(now, p.stream.lasts(len(p.stream.buf))); wait > 0 {
			p.sleep(wait)
		}
	}
	return nil
}

// start tells the goroutine to move audio. The supervisor calls it.
func (p *pump) start() {
	if !p.begun {
		p.begun = true
		close(p.begin)
	}
}

// stop tells the goroutine to end and doesn't wait for it. The supervisor calls
// it once per pump.
func (p *pump) stop() { close(p.quit) }

func (p *pump) stopped() bool {
	select {
	case <-p.quit:
		return true
	default:
		return false
	}
}

func (p *pump) sleep(d time.Duration) {
	p.timer.Reset(d)
	select {
	case <-p.timer.C:
	case <-p.quit:
	}
}

// Limits of a device's own clock, which a pacer guards.
const (
	paceWindow = 10 * time.Second       // after which it counts anew, so that a clock may be a little fast
	paceLead   = 250 * time.Millisecond // that a device's buffers may take without waiting
)

// pacer notices a device that doesn't keep the time, ALSA's null device for
// example, which takes any amount of audio at once.
type pacer struct {
	began time.Duration
	moved time.Duration
}

// ahead counts audio moved at a time and returns for how long to wait.
func (p *pacer) ahead(now, moved time.Duration) time.Duration {
	if p.moved == 0 || now-p.began > paceWindow {
		p.began, p.moved = now, 0
	}
	p.moved += moved
	return p.moved - (now - p.began) - paceLead
}
