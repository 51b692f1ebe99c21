package session

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// maxCatchUp is how far a pacer may be behind before it gives up time instead
// of hurrying after it.
const maxCatchUp = 100 * time.Millisecond

// pacer keeps the time of an endpoint that has no clock of its own: one tick
// each 10 ms.
type pacer struct {
	next  time.Time
	timer *time.Timer
}

// begin sets the time of the first tick.
func (p *pacer) begin(first time.Time) {
	p.next = first
	if p.timer == nil {
		p.timer = time.NewTimer(time.Hour)
	}
}

// wait returns at the next tick, or at once if that has passed. When more than
// maxCatchUp was missed, because the process was suspended, say, it returns
// the number of ticks that are skipped for good. It reports false when done
// is closed.
func (p *pacer) wait(done <-chan struct{}) (skipped int, ok bool) {
	now := time.Now()
	behind := now.Sub(p.next)
	if behind > maxCatchUp {
		skipped = int(behind / audio.BlockDuration)
		p.next = p.next.Add(time.Duration(skipped) * audio.BlockDuration)
	}
	if d := p.next.Sub(now); d > 0 {
		p.timer.Reset(d)
		select {
		case <-p.timer.C:
		case <-done:
			return 0, false
		}
	} else {
		select {
		case <-done:
			return 0, false
		default:
		}
	}
	p.next = p.next.Add(audio.BlockDuration)
	return skipped, true
}

// catchUp moves an endpoint on by a number of blocks that were skipped. It ends
// early when that fails or done is closed, and with an endpoint that isn't much
// faster than time itself: that one would only fall further behind.
func catchUp(done <-chan struct{}, blocks int, move func() error) {
	late := time.Now().Add(maxCatchUp)
	for range blocks {
		select {
		case <-done:
			return
		default:
		}
		if move() != nil || time.Now().After(late) {
			return
		}
		late = late.Add(audio.BlockDuration / 2)
	}
}

func (p *pacer) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
