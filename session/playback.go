package session

import (
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/spatial"
)

// runPlayback asks every player for a block, mixes them, and gives the result
// to the speaker, at the pace of the device or of the clock if there is none.
// It ends when done is closed.
func (c *conversation) runPlayback() {
	var (
		pace  pacer
		mixer audio.Mixer
		ears  audio.Fader // closed while deafened
		mono  audio.Block
		out   audio.StereoBlock
	)
	defer pace.stop()
	pace.begin(time.Now())
	paced := c.speaker.open && c.speaker.device != nil
	for !c.isDone() {
		if !paced {
			skipped, ok := pace.wait(c.done)
			if !ok {
				return
			}
			c.fillGap(skipped)
		}
		c.mixBlock(&mixer, &ears, &out, time.Now())
		if c.isDone() {
			return
		}
		audio.Downmix(&mono, &out)
		// Without a device a block is heard at its tick, however late this
		// goroutine is.
		at := pace.next.Add(-audio.BlockDuration)
		if paced {
			at = time.Now().Add(c.speaker.latency())
		}
		c.tapMix(&out, at)
		c.mix.put(&mono, at)
		failed := c.writeSpeaker(&out, at)
		if paced && failed {
			// A device that fails at once must not make us spin.
			if _, ok := pace.wait(c.done); !ok {
				return
			}
		} else if paced {
			pace.begin(time.Now().Add(audio.BlockDuration))
		}
	}
}

// mixBlock makes the next block of what is heard.
func (c *conversation) mixBlock(mixer *audio.Mixer, ears *audio.Fader, out *audio.StereoBlock, now time.Time) {
	c.tapping = c.s.taps.list()
	c.mixPeers(mixer, now)
	c.duckOthers()
	mixer.Mix(out)
	ears.Set(!c.s.Deafened())
	ears.ApplyStereo(out)
}

// mixPeers adds a block of every peer to the mix, and of one that was heard and
// has left since the end of its sound.
func (c *conversation) mixPeers(mixer *audio.Mixer, now time.Time) {
	block := &c.heard
	for _, p := range c.audible {
		if c.roster.get(p.id) != p && p.player.last(block) {
			mixer.Add(&p.input, block)
		}
	}
	clear(c.audible)
	c.audible = c.audible[:0]
	top, someone := Low, false
	ducked := c.duckSelf()
	view := c.s.space.now()
	for _, p := range c.roster.list() {
		audible, speaks := p.player.read(block, now)
		if p.hearing.push(block, speaks) {
			c.emit(Speaking{Peer: p.id, Active: speaks})
		}
		c.tapPeer(p.id, block, audible)
		wish := p.settings.now()
		for _, tap := range wish.taps {
			if c.isDone() {
				return // a tap was stuck, and others hear the next conversation by now
			}
			(*tap)(block)
		}
		c.feedReaders(&wish, block)
		place := p.hearing.move(p.hearing.place(&view, &wish), audible)
		priority := p.hearing.priority()
		if p.hearing.active && wish.gain*place.Gain > 0 {
			top, someone = max(top, priority), true
		}
		gain := wish.gain * place.Gain * ducked * p.hearing.yields.next(priority, c.top, &c.cfg)
		if wish.apart {
			gain = 0
		}
		p.input.SetGain(gain)
		p.input.SetPan(place.Pan)
		if audible {
			mixer.Add(&p.input, block)
			c.audible = append(c.audible, p)
		}
	}
	c.top, c.someone = top, someone
}

// feedReaders gives a peer's block to those who read its voice.
func (c *conversation) feedReaders(wish *playWish, block *audio.Block) {
	for _, r := range wish.readers {
		if c.isDone() {
			return // they read the next conversation by now
		}
		gain := wish.gain
		if c.s.Deafened() {
			gain = 0
		}
		r.put(block, gain)
	}
}

// writeSpeaker gives the speaker a block that is heard at a time, and reports
// whether it failed.
func (c *conversation) writeSpeaker(out *audio.StereoBlock, at time.Time) bool {
	if !c.speaker.open {
		return false
	}
	c.speaker.began(at)
	err := c.speaker.value.WriteBlock(out)
	switch {
	case c.isDone():
	case err == nil:
		if c.speaker.setReason("") {
			c.emit(DeviceChanged{Device: Speaker, Working: true})
		}
	case c.speaker.setReason(err.Error()):
		c.log.Warn("speaker failed", "error", err)
		c.emit(DeviceChanged{Device: Speaker, Reason: err.Error()})
	}
	return err != nil
}

// fillGap writes silence for the time in which this process was suspended, so
// that a file stays continuous.
func (c *conversation) fillGap(blocks int) {
	if blocks == 0 || !c.speaker.open {
		return
	}
	var silence audio.StereoBlock
	catchUp(c.done, blocks, func() error { return c.speaker.value.WriteBlock(&silence) })
}

// hearing follows whether a peer speaks, for events and statistics.
type hearing struct {
	active bool
	silent int // blocks since it was last active
	meter  audio.Meter
	yields yielding // to voices of a higher priority
	motion spatial.Motion

	understood atomic.Bool  // it greeted, in a version and codec that are ours
	ungreeted  atomic.Int64 // until when its voice is taken without that: a time.Duration since the conversation began
	announced  atomic.Bool  // the application knows that it is reachable: before that it doesn't begin to speak

	admission atomic.Pointer[admission] // through what it is heard
	through   atomic.Pointer[through]   // through what it was, last
	marks     atomic.Bool               // it has spoken through a channel that is positional
	refused   atomic.Uint64             // packets that were not for us, or not allowed

	speaking atomic.Bool // active, for others
	level    atomicLevel // RMS in dBFS, for others
}

// speakingHold is how long a pause may be before a peer counts as silent.
const speakingHold = 20 // blocks, 200 ms

// push takes what was heard of the peer and reports whether it has begun or
// ceased to speak.
func (h *hearing) push(b *audio.Block, active bool) bool {
	h.meter.Push(b[:])
	h.level.store(h.meter.Level().RMS)
	if active && (h.active || h.announced.Load()) {
		h.silent = 0
		began := !h.active
		h.active = true
		h.speaking.Store(true)
		return began
	}
	h.silent++
	if h.active && h.silent > speakingHold {
		h.active = false
		h.speaking.Store(false)
		return true
	}
	return false
}
