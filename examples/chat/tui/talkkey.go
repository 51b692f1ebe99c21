package tui

import "time"

// How a key that is held is told from one that was let go, where the terminal
// doesn't say. The first repeat comes 200 to 660 ms after the press, depending
// on the system, the others every 20 to 60 ms, later over a slow line.
const (
	firstRepeat = 700 * time.Millisecond
	nextRepeat  = 350 * time.Millisecond
)

// talkKey turns what a terminal tells of a key into push-to-talk.
//
// Where the terminal tells when a key is let go, we talk as long as it is held.
// Elsewhere a key that is held repeats, and we talk until the repeats cease. A
// key that was only tapped never repeats: then we go on talking until the next
// tap, which is also what remains where keys don't repeat at all.
//
// It never goes from silence to talking by itself: when in doubt it is off.
type talkKey struct {
	releases bool // the terminal tells when a key is let go

	state    talkState
	last     time.Time // of the press or its last repeat
	repeated bool
}

type talkState uint8

const (
	keyUp      talkState = iota
	keyHeld              // talking as long as it lasts
	keyLatched           // talking until the next tap
	keyResting           // that next tap, which may be held: not talking
)

// on tells whether we talk.
func (k *talkKey) on() bool { return k.state == keyHeld || k.state == keyLatched }

// press is a press or a repeat of it.
func (k *talkKey) press(now time.Time, repeat bool) {
	switch k.state {
	case keyUp:
		if repeat {
			return // of a press that something else ended, as the loss of focus
		}
		k.state, k.repeated = keyHeld, false
	case keyLatched:
		k.state, k.repeated = keyResting, false
	case keyHeld, keyResting:
		k.repeated = true
	}
	k.last = now
}

// release is the key being let go.
func (k *talkKey) release() {
	k.releases = true
	if k.state == keyHeld || k.state == keyResting {
		k.state = keyUp
	}
}

// toggle is another key, which is tapped only.
func (k *talkKey) toggle() {
	if k.on() {
		k.state = keyUp
	} else {
		k.state = keyLatched
	}
}

// drop ends it where no release would be seen: the window lost the focus.
func (k *talkKey) drop() {
	if k.state != keyLatched {
		k.state = keyUp
	}
}

// off ends it in any case.
func (k *talkKey) off() { k.state = keyUp }

// tick sees that a key no longer repeats. It must be called at least every
// 100 ms.
func (k *talkKey) tick(now time.Time) {
	patience := firstRepeat
	if k.repeated {
		patience = nextRepeat
	}
	if k.releases || now.Sub(k.last) <= patience {
		return
	}
	switch {
	case k.state == keyHeld && !k.repeated:
		k.state = keyLatched
	case k.state == keyHeld, k.state == keyResting:
		k.state = keyUp
	}
}
