package session

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/p2p/link"
)

// captureState is what runCapture has in hand. Only the fields that say so are
// for others.
type captureState struct {
	pace   pacer
	gate   gate
	gagged gagged
	talker *talker
	format voiceFormat // fixed
	meter  audio.Meter
	mic    audio.Block
	at     time.Time   // when its first sample was spoken
	mix    audio.Block // what was heard then
	ended  bool
	wire   [link.MaxMessage]byte
	tapped Packet // what those who tap our voice are given

	device   atomic.Int64  // steady delay of the microphone, in nanoseconds; for others
	level    atomicLevel   // RMS of the microphone; for Stats
	saying   saying        // somebody speaks here
	speaking atomic.Bool   // a talk spurt is under way; for Stats
	spoken   atomic.Uint64 // packets of our own voice; for Stats
	errs     atomic.Uint64 // reads that failed; for Stats
	skipped  atomic.Uint64 // blocks lost because this process was too late; for Stats
}

func (cs *captureState) init(c *conversation, t *talker) {
	cs.talker = t
	cs.format = formatOf(c.cfg.Encoding)
	cs.gate.mode = c.s.Mode()
	cs.level.store(audio.FloorDBFS)
}

// runCapture reads the microphone, a block at a time, and hands what is to be
// said to the listeners. The talker's clock runs on whatever happens: through
// silence, mute and a device that is lost. It ends when done is closed.
func (c *conversation) runCapture() {
	cs := &c.capture
	defer cs.pace.stop()
	// A file's first block has been spoken when its 10 ms are over.
	start := time.Now()
	cs.pace.begin(start.Add(audio.BlockDuration))
	if c.packets != nil && !c.runPackets() {
		return
	}
	for {
		skipped, ok := c.readMicrophone()
		if !ok {
			return
		}
		if skipped > 0 {
			cs.skipped.Add(uint64(skipped))
			cs.talker.skip(skipped)
		}
		// Source and processors are the application's: what they give may be
		// anything, and may come when the conversation is over.
		audio.Repair(cs.mic[:])
		c.mix.take(&cs.mix, cs.at.Add(c.mixLead()))
		c.cfg.Chain.Process(&cs.mic, &cs.mix)
		audio.Repair(cs.mic[:])
		c.speak(&cs.mic)
	}
}

// readMicrophone fills the microphone's block at the pace of the device, or of
// the clock if there is none. skipped is how many blocks were lost before it.
func (c *conversation) readMicrophone() (skipped int, ok bool) {
	cs := &c.capture
	live := c.mic.open && !cs.ended
	if live && c.mic.device != nil {
		return c.readDevice()
	}
	skipped, ok = cs.pace.wait(c.done)
	if !ok {
		return 0, false
	}
	cs.at = cs.pace.next.Add(-2 * audio.BlockDuration)
	if !live {
		cs.mic = audio.Block{}
		return skipped, true
	}
	c.mic.began(cs.at)
	// A file plays on while we were suspended.
	catchUp(c.done, skipped, func() error { return c.mic.value.ReadBlock(&cs.mic) })
	err := c.mic.value.ReadBlock(&cs.mic)
	if c.isDone() {
		return 0, false
	}
	c.readFailed(err)
	return skipped, true
}

// readDevice fills the microphone's block at the device's pace. What was said while
// the device gave nothing, since this process was suspended, is skipped.
func (c *conversation) readDevice() (skipped int, ok bool) {
	cs := &c.capture
	if c.isDone() {
		return 0, false
	}
	err := c.mic.value.ReadBlock(&cs.mic)
	if c.isDone() {
		return 0, false
	}
	now, before := time.Now(), cs.at
	cs.at = now.Add(-audio.BlockDuration - c.mic.latency())
	if gap := cs.at.Sub(before) - audio.BlockDuration; gap > maxCatchUp && !before.IsZero() {
		skipped = int(gap / audio.BlockDuration)
	}
	if !c.readFailed(err) {
		c.mic.began(cs.at)
		cs.pace.begin(now.Add(audio.BlockDuration))
		return skipped, true
	}
	// A device that fails at once must not make us spin.
	_, ok = cs.pace.wait(c.done)
	return skipped, ok
}

// readFailed deals with what ReadBlock returned; a block that couldn't be read
// is silence.
func (c *conversation) readFailed(err error) bool {
	cs := &c.capture
	if err == nil {
		if c.mic.setReason("") {
			c.emit(DeviceChanged{Device: Microphone, Working: true})
		}
		return false
	}
	cs.mic = audio.Block{}
	if errors.Is(err, io.EOF) {
		cs.ended = true
		c.mic.setReason("the source has ended")
		c.emit(SourceEnded{})
		return true
	}
	cs.errs.Add(1)
	if c.mic.setReason(err.Error()) {
		c.log.Warn("microphone failed", "error", err)
		c.emit(DeviceChanged{Device: Microphone, Reason: err.Error()})
	}
	return true
}

func (c *conversation) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// speak takes one block of what was recorded through gate and encoder to the
// listeners.
func (c *conversation) speak(mic *audio.Block) {
	cs := &c.capture
	cs.meter.Push(mic[:])
	cs.level.store(cs.meter.Level().RMS)
	in := c.s.talking.input(audio.Measure(mic[:]).RMS)
	in.Muted = c.s.Muted() || c.s.docket.about(c.self).mutes() || !c.mic.open || cs.ended
	open := cs.gate.push(mic, in)
	if cs.gagged.push(in.Muted, cs.gate.voiced) {
		c.emit(TalkingWhileMuted{})
	}
	c.tapMicrophone(mic, open)
	said, err := cs.talker.push(mic, open)
	if err != nil {
		cs.errs.Add(1)
	}
	cs.speaking.Store(cs.talker.inSpurt)
	cs.saying.push(cs.gate.mode, open, cs.gate.voiced)
	c.deliver(said)
}

// deliver gives a packet, if there is one, to those who listen.
func (c *conversation) deliver(said *spoken) {
	if said == nil || c.isDone() {
		return
	}
	c.capture.spoken.Add(1)
	wanted := c.send(said)
	if c.tapSaid(said) {
		wanted[whole] = true // a recording needn't be as bad as a listener's link
	}
	c.capture.talker.wanted = wanted
}

// heldBack is how much later the chain and the gate give out what was recorded. It
// is for runCapture.
func (c *conversation) heldBack() time.Duration {
	if c.packets != nil {
		return 0
	}
	return c.cfg.Chain.Delay() + gateDelay(c.capture.gate.mode)
}

// captureDelay is the time from a sound at the microphone to the packet that
// carries it: device, processors, pre-roll, frame and codec.
func (c *conversation) captureDelay() time.Duration {
	if c.packets != nil {
		return c.cfg.Encoding.FrameDuration + c.cfg.Codec.Delay(c.cfg.Encoding)
	}
	return time.Duration(c.capture.device.Load()) + c.cfg.Chain.Delay() + gateDelay(c.s.Mode()) + c.cfg.Encoding.FrameDuration + c.cfg.Codec.Delay(c.cfg.Encoding)
}
