package portaudio

import (
	"errors"
	"slices"
	"time"
)

// retry starts to open a device if that may help: none is in use, or the one in
// use hangs, or it isn't the one that was asked for.
func (s *supervisor) retry() {
	if s.candidate != nil || s.standIn != nil || s.change != nil || s.absent || s.closed() {
		return
	}
	now := s.now()
	switch {
	case s.active == nil && s.due(now, retryInterval):
		s.candidate = startPump(s.endpoint, s.choices()...)
	case s.hangs(now) && s.due(now, returnEvery) && len(s.leftBehind()) < maxLeftBehind:
		s.candidate = startPump(s.endpoint, s.other())
	case s.active != nil && s.active.stream.fallback && !s.yielding && s.due(now, returnEvery) && len(s.leftBehind()) == 0:
		// As long as a stream hangs that was left behind, opening would hang too.
		s.candidate = startPump(s.endpoint, s.cfg.Device)
	default:
		return
	}
	s.tried = now
}

// hangs says whether the device in use reports no error, and moves nothing, for
// so long that another one is to be tried.
func (s *supervisor) hangs(now time.Duration) bool {
	return s.active != nil && s.Faults().Lost && now-max(s.lostAt, s.adopted) > hangLimit
}

// other is the device to try while the one in use hangs. To open that one once
// more would most likely hang too, unless there is no other.
func (s *supervisor) other() string {
	if s.active.stream.fallback {
		return s.cfg.Device
	}
	return ""
}

// leftBehind returns the pumps that were told to end, have been replaced, and are
// stuck in the sound system still.
func (s *supervisor) leftBehind() []*pump {
	s.left = slices.DeleteFunc(s.left, func(p *pump) bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	return s.left
}

// due says whether the last attempt is long enough ago.
func (s *supervisor) due(now, interval time.Duration) bool {
	return s.tried == 0 || now-s.tried >= interval
}

// choices are the devices to try: the one asked for, else the default one.
func (s *supervisor) choices() []string {
	if s.cfg.Device == "" {
		return []string{""}
	}
	return []string{s.cfg.Device, ""}
}

// judge decides what to do with a candidate that is open, or couldn't be opened.
func (s *supervisor) judge() {
	p := s.candidate
	s.candidate = nil
	if p.err != nil {
		s.renew(errors.Is(p.err, ErrUnknownDevice) || errors.Is(p.err, ErrNoDevice))
		return
	}
	p.stream.fallback = s.cfg.Device != "" && p.stream.device.Key() != s.cfg.Device
	old, before, lost := s.active, s.Device(), s.Faults().Lost
	if old != nil && !lost && !s.yielding && (p.stream.fallback || !old.stream.fallback) {
		p.stop() // audio flows again where it did, and this one is no better
		return
	}
	if old != nil && lost && !s.yielding && s.now()-s.tried > hungOpen {
		// Opening hung too, so all of the sound system did. Now that it answers the
		// device may go on by itself; otherwise it is tried again.
		p.stop()
		s.tried = s.now()
		return
	}
	if old != nil && lost && !s.yielding {
		s.standIn, s.opened = p, s.now() // if the one in use wakes up too, it is the better one
		return
	}
	s.replace(p, before, lost)
}

// settle decides about a stand-in that has been opened: whatever woke up the sound
// system for it may have woken the device in use.
func (s *supervisor) settle() {
	p := s.standIn
	switch lost := s.Faults().Lost; {
	case p == nil:
	case s.active != nil && !lost:
		s.standIn = nil
		p.stop()
	case s.active == nil || s.now()-s.opened > standInGrace:
		s.standIn = nil
		s.replace(p, s.Device(), lost)
	}
}

// replace adopts a pump in place of the one in use, if there is one.
func (s *supervisor) replace(p *pump, before Device, lost bool) {
	old := s.active
	s.adopt(p)
	if old != nil {
		if !s.yielding {
			old.stop()
		}
		s.left = append(s.leftBehind(), old)
	}
	s.yielding = false
	if !lost && before.Key() != p.stream.device.Key() {
		s.announce(Switched)
	}
	if p.stream.fallback && len(s.leftBehind()) == 0 {
		s.renew(false)
	}
}

// relistAfter are the times after a loss when a list without the device asked
// for is made anew, even if no sound card has come or gone since. A list made
// while a sound server starts is incomplete.
var relistAfter = [...]time.Duration{2 * time.Second, 8 * time.Second, 30 * time.Second}

// renew asks for a new list of devices if the device asked for may be on it: the
// system's devices have changed, and have changed no more since the last look,
// or the device is missing from a list that may have been made too early.
func (s *supervisor) renew(missing bool) {
	before := s.stamp
	now, stale := shared.stale()
	s.stamp = now
	switch {
	case stale && now == before:
	case missing && s.relists < len(relistAfter) && s.now() > s.lostAt+relistAfter[s.relists]:
		s.relists++
	default:
		return
	}
	shared.renew()
}

// yield lets go of the stream if somebody asked for a new list of devices.
func (s *supervisor) yield() {
	if asked := shared.renewals.Load(); asked != s.renewals {
		s.renewals = asked
		s.restartChange()
		s.retire(true)
		if s.active != nil && !s.yielding {
			s.yielding = true
			s.active.stop()
		}
	}
}

// shutDown ends the pumps and waits for them as long as Close may take. One that
// is stuck in the sound system ends later, by itself.
func (s *supervisor) shutDown() {
	s.mu.Lock()
	s.current, s.next = nil, nil
	s.mu.Unlock()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	if s.active != nil && !s.yielding {
		s.active.stop()
	}
	pumps := []*pump{s.candidate, s.standIn, s.changing()}
	for _, r := range s.retired {
		pumps = append(pumps, r.pump)
	}
	for _, p := range pumps {
		if p != nil {
			p.stop()
		}
	}
	for _, p := range append(pumps, s.active) {
		if p == nil {
			continue
		}
		select {
		case <-p.done:
		case <-patience.C:
			return
		}
	}
}
