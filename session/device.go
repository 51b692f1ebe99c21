package session

import (
	"math"
	"sync/atomic"
	"time"
)

// deviceWatch notices that a device was lost or came back. It belongs to
// runControl; endpoints that are no devices report errors themselves.
type deviceWatch struct {
	micLost, speakerLost bool

	delay lowest
	told  time.Duration // what peers were told last of the microphone's delay
}

func (w *deviceWatch) look(c *conversation) {
	if d := c.mic.device; d != nil {
		f := d.Faults()
		w.micLost = c.deviceEvent(Microphone, w.micLost, f.Lost, f.Reason)
	}
	if d := c.speaker.device; d != nil {
		f := d.Faults()
		w.speakerLost = c.deviceEvent(Speaker, w.speakerLost, f.Lost, f.Reason)
	}
	w.measure(c)
}

// delayStep is by how much the microphone's delay must change for peers to be
// told.
const delayStep = 2 * time.Millisecond

// measure follows the microphone's delay: it is another when the device is. What
// waits to be read comes and goes, so the lowest counts; there is most of it at
// the start, when the first hello is sent.
func (w *deviceWatch) measure(c *conversation) {
	delay := w.delay.push(c.mic.latency())
	c.capture.device.Store(int64(delay))
	if (delay - w.told).Abs() >= delayStep {
		w.told = delay
		c.announceState()
	}
}

// lowest is the lowest of the last lowestLooks to twice as many values.
type lowest struct {
	now, before time.Duration
	looks       int
}

const lowestLooks = 10 // a second

func (l *lowest) push(d time.Duration) time.Duration {
	switch {
	case l.looks == 0:
		l.now, l.before = d, d
	case l.looks%lowestLooks == 0:
		l.now, l.before = d, l.now
	}
	l.looks++
	l.now = min(l.now, d)
	return min(l.now, l.before)
}

func (c *conversation) deviceEvent(d Device, was, is bool, reason string) bool {
	if was != is {
		c.log.Warn("audio device changed", "device", string(d), "working", !is, "reason", reason)
		c.emit(DeviceChanged{Device: d, Working: !is, Reason: reason})
	}
	return is
}

// atomicLevel is a level in dBFS that one goroutine writes and others read.
type atomicLevel struct{ bits atomic.Uint64 }

func (l *atomicLevel) store(dbfs float64) { l.bits.Store(math.Float64bits(dbfs)) }
func (l *atomicLevel) load() float64      { return math.Float64frombits(l.bits.Load()) }
