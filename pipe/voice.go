package pipe

import (
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

const (
	maxVoiceQueued = 4                      // voice messages that wait for Config.Send; the oldest goes
	maxVoiceAge    = 200 * time.Millisecond // what waited for longer isn't sent any more
)

// voiceQueue is the voice that waits for Config.Send. The zero value is empty.
type voiceQueue struct {
	ring  [maxVoiceQueued]queuedVoice
	first int
	count int
}

type queuedVoice struct {
	bytes [link.MaxMessage]byte
	size  int
	at    time.Time
}

// push copies b. It reports whether the oldest message had to go.
func (q *voiceQueue) push(b []byte, now time.Time) (dropped bool) {
	if q.count == maxVoiceQueued {
		q.first, q.count, dropped = (q.first+1)%maxVoiceQueued, q.count-1, true
	}
	v := &q.ring[(q.first+q.count)%maxVoiceQueued]
	v.size, v.at = copy(v.bytes[:], b), now
	q.count++
	return dropped
}

// pop returns the oldest message, valid until the next push, or nil, and how many
// were too old.
func (q *voiceQueue) pop(now time.Time) (v *queuedVoice, late int) {
	for q.count > 0 {
		v = &q.ring[q.first]
		q.first, q.count = (q.first+1)%maxVoiceQueued, q.count-1
		if now.Sub(v.at) <= maxVoiceAge {
			return v, late
		}
		late++
	}
	return nil, late
}
