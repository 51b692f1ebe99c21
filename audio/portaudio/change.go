package portaudio

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/parley/audio"
)

// The times that rule a change of devices.
const (
	changePatience = 3 * time.Second        // for the other device to move audio
	handOverLimit  = 100 * time.Millisecond // for the device in use to play or record its last piece
	retireAfter    = 150 * time.Millisecond // until which a device left plays what it was given, beside its latency
)

// change is a call of SetDevice under way. It belongs to the supervisor.
type change struct {
	key     string // of the device; empty for the system's default one
	pump    *pump
	began   time.Duration
	offered time.Duration // when the pump was offered what the one in use does; 0 before that
	reply   chan error    // holds one
}

// SetDevice goes on with another device, named as in Config.Device; the empty
// name is the system's default one. What is in use goes on until the other one
// moves audio: a fade of half of Config.Latency each marks the change, and what
// waits to be read or played is kept. It returns when that is done, within some
// 100 ms as a rule, and after at most 10 s. With an error, as those of OpenSource and
// OpenSink or audio.ErrClosed, the device in use stays as it was.
//
// From then on the device is the one that was asked for: what holds for
// Config.Device holds for it. A device that is in use already is not opened
// again. A sound card that came since the list of devices was made is looked for
// once, for which all endpoints of the process are silent for some 100 ms (Linux).
//
// It is safe for concurrent use, and must not be called by OnEvent.
func (e *endpoint) SetDevice(name string) error {
	device, err := find(e.dir, name)
	if err != nil {
		return err
	}
	c := &change{reply: make(chan error, 1)}
	if name != "" {
		c.key = device.Key()
	}
	select {
	case e.changes <- c:
	case <-e.quit:
		return audio.ErrClosed
	}
	select {
	case err = <-c.reply:
		return err
	case <-e.done:
		return audio.ErrClosed
	}
}

// FindMicrophone returns the device that a name means in Config.Device, without
// opening it. The errors are ErrNoDevice, ErrUnknownDevice and ErrNotResponding,
// the latter after 3 s.
func FindMicrophone(name string) (Device, error) { return find(input, name) }

// FindSpeaker is FindMicrophone for speakers.
func FindSpeaker(name string) (Device, error) { return find(output, name) }

// find looks a device up, in a new list if it isn't on a list that is stale.
func find(dir direction, name string) (Device, error) {
	device, err := ask(func(quit <-chan struct{}) (Device, error) { return shared.find(dir, name, quit) })
	if !errors.Is(err, ErrUnknownDevice) && !errors.Is(err, ErrNoDevice) {
		return device, err
	}
	if _, stale := shared.stale(); !stale {
		return device, err
	}
	shared.renew()
	return ask(func(quit <-chan struct{}) (Device, error) { return shared.find(dir, name, quit) })
}

// find looks a device up.
func (e *engine) find(dir direction, name string, quit <-chan struct{}) (Device, error) {
	if err := e.lockRenewed(quit); err != nil {
		return Device{}, err
	}
	defer e.unlock()
	defer e.restLocked()
	sys, err := e.refreshLocked()
	if err != nil {
		return Device{}, err
	}
	info, err := sys.choose(dir, name)
	if err != nil {
		return Device{}, err
	}
	return sys.describe(info), nil
}

// requests is where the next change comes from; none comes while one is under way.
func (s *supervisor) requests() <-chan *change {
	if s.change != nil {
		return nil
	}
	return s.changes
}

// changing is the pump of the change under way; nil if there is none.
func (s *supervisor) changing() *pump {
	if s.change == nil {
		return nil
	}
	return s.change.pump
}

// unbegun is the pump of the change under way as long as it isn't known whether
// its device can be opened.
func (s *supervisor) unbegun() *pump {
	if p := s.changing(); p != nil && !p.begun {
		return p
	}
	return nil
}

// beginChange opens the device that was asked for, unless it is in use.
func (s *supervisor) beginChange(c *change) {
	if s.serves(c.key) {
		s.cfg.Device = c.key
		s.active.stream.fallback = false
		c.reply <- nil
		return
	}
	// What was tried to get another device back is beside the point now.
	for _, p := range []**pump{&s.candidate, &s.standIn} {
		if *p != nil {
			(*p).stop()
			s.left = append(s.leftBehind(), *p)
			*p = nil
		}
	}
	c.began = s.now()
	c.pump = startPump(s.endpoint, c.key)
	s.change = c
}

// serves says whether audio flows by way of the device with that key.
func (s *supervisor) serves(key string) bool {
	switch {
	case s.active == nil || s.yielding || s.Faults().Lost:
		return false
	case key == "":
		return s.cfg.Device == "" || s.active.stream.device.isDefault(s.dir)
	}
	return s.active.stream.device.Key() == key
}

// proceed moves a change on whose device is open, or couldn't be opened.
func (s *supervisor) proceed() {
	c := s.change
	if c.pump.err != nil {
		s.endChange(c.pump.err)
		return
	}
	c.pump.start()
}

// checkChange hands over to the other device when it moves audio.
func (s *supervisor) checkChange() {
	c := s.change
	if c == nil {
		return
	}
	now := s.now()
	select {
	case <-ended(c.pump):
		s.endChange(fmt.Errorf("%w: %s %q: %w", ErrUnavailable, s.dir.noun(), c.key, describe(c.pump.err)))
		return
	default:
	}
	switch lost := s.Faults().Lost; {
	case c.offered > 0:
		s.finishHandOver(now)
	case c.pump.moved.Load() == 0 && now-c.began > changePatience:
		c.pump.stop()
		s.left = append(s.leftBehind(), c.pump)
		s.endChange(fmt.Errorf("%w: no audio from the %s", ErrNotResponding, s.dir.noun()))
	case c.pump.moved.Load() == 0:
	case s.active == nil || lost:
		before := s.Device()
		s.cfg.Device, c.pump.stream.fallback = c.key, false
		s.replace(c.pump, before, lost)
		s.endChange(nil)
	default:
		c.offered = now
		s.mu.Lock()
		s.next = c.pump
		s.mu.Unlock()
	}
}

// finishHandOver makes the other device the one in use when the one before has
// moved its last piece, or doesn't.
func (s *supervisor) finishHandOver(now time.Duration) {
	c := s.change
	s.mu.Lock()
	if s.next != nil && (s.active == nil || now-c.offered > handOverLimit) {
		s.handOver()
	}
	waits := s.next != nil
	s.mu.Unlock()
	if waits {
		return
	}
	if s.active != nil {
		s.retired = append(s.retired, retiree{s.active, now + retireAfter + s.active.stream.latency})
	}
	s.active, s.adopted = c.pump, c.offered
	s.cfg.Device, c.pump.stream.fallback = c.key, false
	s.announce(Switched)
	s.endChange(nil)
}

// handOver makes the next pump the one whose audio counts. The caller holds mu.
func (e *endpoint) handOver() {
	e.current, e.next, e.rising = e.next, nil, true
	e.device = e.current.stream.device
	e.latency = e.current.stream.latency
}

// shapeChange fades a piece of the pump in use in after a change, or out before one,
// and hands over then. The caller holds mu.
func (e *endpoint) shapeChange(pcm []float32) {
	if len(pcm) == 0 {
		return // a converter may hold everything back at first
	}
	if e.rising {
		audio.FadeIn(pcm)
		e.rising = false
	}
	if e.next != nil {
		audio.FadeOut(pcm)
		e.handOver()
	}
}

// endChange answers the call of SetDevice.
func (s *supervisor) endChange(err error) {
	s.change.reply <- err
	s.change = nil
}

// restartChange begins a change anew, since every stream is to be closed for a
// new list of devices.
func (s *supervisor) restartChange() {
	c := s.change
	if c == nil {
		return
	}
	c.pump.stop()
	s.left = append(s.leftBehind(), c.pump)
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	c.began, c.offered = s.now(), 0
	c.pump = startPump(s.endpoint, c.key)
}

// retiree is a pump that was replaced, and ends when the device has played what it
// was given.
type retiree struct {
	pump  *pump
	until time.Duration
}

// retire ends those whose time has come, or all.
func (s *supervisor) retire(all bool) {
	now := s.now()
	s.retired = slices.DeleteFunc(s.retired, func(r retiree) bool {
		if !all && now < r.until {
			return false
		}
		r.pump.stop()
		s.left = append(s.leftBehind(), r.pump)
		return true
	})
}
