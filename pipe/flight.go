package pipe

import "time"

const (
	flightSize  = 512                    // messages whose time of sending is known; 5 s of voice from a fast talker
	maxUnacked  = 300 * time.Millisecond // beyond this and the round trip no voice is written that nobody acknowledges
	probeVoice  = 100 * time.Millisecond // but one message in this time, to see whether it arrives
	firstRTT    = 200 * time.Millisecond // assumed before the first measurement
	queueWindow = 10 * time.Second       // the shortest round trip of this time is one without a queue
	recentRTTs  = 4                      // the shortest of so many is the present one
)

// flight knows what was sent and what of it arrived, and what that tells of the
// way there and back. The zero value has sent nothing.
type flight struct {
	last, acked uint64 // counters: sent last, and the highest that was acknowledged
	sent        [flightSize]sentMessage
	voices      uint64    // voice messages sent
	oldest      time.Time // when the oldest voice message was sent that isn't acknowledged; zero if there is none
	lastVoice   time.Time

	srtt, rttvar time.Duration // RFC 6298; 0 before the first measurement
	measured     time.Time     // when last
	recent       [recentRTTs]time.Duration
	samples      int
	lows         [2]time.Duration // the shortest round trip of this window and of the one before; 0 if none
	lowsSince    time.Time
}

type sentMessage struct {
	at     time.Time
	voices uint64 // voice messages sent up to this message
}

// send notes that a message is sent now, and returns its counter.
func (f *flight) send(now time.Time, voice bool) uint64 {
	f.last++
	if voice {
		f.voices++
		f.lastVoice = now
		if f.oldest.IsZero() {
			f.oldest = now
		}
	}
	f.sent[f.last%flightSize] = sentMessage{now, f.voices}
	return f.last
}

// unsend takes a voice message back that the pipe didn't take.
func (f *flight) unsend() {
	f.voices--
	if f.unacked() == 0 {
		f.oldest = time.Time{}
	}
}

// known reports whether the time at which a message was sent is known still.
func (f *flight) known(counter uint64) bool {
	return counter > 0 && counter <= f.last && f.last-counter < flightSize
}

// ack notes that the far end received a message, and delay later said so. It
// reports whether that can be.
func (f *flight) ack(counter uint64, delay time.Duration, now time.Time) bool {
	if counter > f.last {
		return false
	}
	if counter <= f.acked || !f.known(counter) {
		return true
	}
	f.acked = counter
	f.measure(max(now.Sub(f.sent[counter%flightSize].at)-delay, 0), now)
	f.oldest = time.Time{}
	before := f.sent[counter%flightSize].voices
	for n := counter + 1; n <= f.last; n++ {
		if m := f.sent[n%flightSize]; m.voices > before {
			f.oldest = m.at
			break
		}
	}
	return true
}

// unacked is the number of voice messages that were sent after the last message
// of which is known that it arrived.
func (f *flight) unacked() int {
	if f.last-f.acked >= flightSize {
		return flightSize
	}
	before := uint64(0)
	if f.acked > 0 {
		before = f.sent[f.acked%flightSize].voices
	}
	if f.voices < before {
		return 0
	}
	return int(f.voices - before)
}

// mayTalk reports whether voice may be written.
func (f *flight) mayTalk(now time.Time) bool {
	return f.oldest.IsZero() || now.Sub(f.oldest) <= f.roundTrip()+maxUnacked || now.Sub(f.lastVoice) >= probeVoice
}

// overdue is when voice that was sent should have been acknowledged; zero if none
// is unacknowledged.
func (f *flight) overdue() time.Time {
	if f.oldest.IsZero() {
		return f.oldest
	}
	return f.oldest.Add(f.roundTrip() + maxUnacked/2)
}

// restart forgets what is under way: a path that was lost is back.
func (f *flight) restart() {
	f.acked, f.oldest = f.last, time.Time{}
	f.sent[f.last%flightSize].voices = f.voices
}

func (f *flight) measure(rtt time.Duration, now time.Time) {
	f.measured = now
	if f.srtt == 0 {
		f.srtt, f.rttvar = max(rtt, 1), rtt/2
	} else {
		f.rttvar += ((rtt - f.srtt).Abs() - f.rttvar) / 4
		f.srtt = max(f.srtt+(rtt-f.srtt)/8, 1)
	}
	f.recent[f.samples%recentRTTs] = rtt
	f.samples++
	if now.Sub(f.lowsSince) > queueWindow {
		f.lows[1], f.lows[0] = f.lows[0], 0
		f.lowsSince = now
	}
	if f.lows[0] == 0 || rtt < f.lows[0] {
		f.lows[0] = max(rtt, 1)
	}
}

// queue is how long messages wait on the way, as link.Stats.Queue has it.
func (f *flight) queue() time.Duration {
	if f.samples < recentRTTs {
		return 0
	}
	low := f.lows[0]
	if f.lows[1] != 0 {
		low = min(low, f.lows[1])
	}
	present := f.recent[0]
	for _, rtt := range f.recent {
		present = min(present, rtt)
	}
	return max(present-low, 0)
}

func (f *flight) roundTrip() time.Duration {
	if f.srtt == 0 {
		return firstRTT
	}
	return f.srtt
}

// timeout is how long an answer that comes at once may take.
func (f *flight) timeout() time.Duration {
	return f.roundTrip() + max(4*f.rttvar, 25*time.Millisecond)
}
