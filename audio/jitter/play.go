package jitter

import "time"

const (
	block = 10 * millisecond // emitted at once, and concealed at most at once

	// tailConceal is how long the end of a talk spurt is guessed at when a
	// later spurt is known of: then whoever plays has faded out.
	tailConceal = 100 * millisecond
	// giveUp is how long is concealed with nothing to come. NetEQ's CNG
	// timeout.
	giveUp = 1 * second
	// endRepeats is how often the end of a spurt is said again at most, see
	// docs/protocol.md.
	endRepeats = 2

	waitTime = 320 * millisecond // of speech over which Stats.Wait is smoothed
)

// player is the position in the stream.
type player struct {
	placed bool  // the position is valid
	idle   bool  // silence: nothing was begun, or it ended
	seq    int64 // next packet to play
	ts     int64 // its expected timestamp
	spurt  int64 // of what was played last
	dur    int64 // duration of the last packet with audio
	marks  int64 // end marks that may be said again from here on

	held    int64 // samples concealed at this position
	run     int64 // samples concealed in a row
	doubt   int64 // of them not counted yet: what comes next tells whether speech is missing
	skipped bool  // speech was dropped before this position

	level       int64 // delay at which packets begin to be heard, the lowest of late
	delay       int64 // delay of the last decision, PCM queue included
	lastStretch int64
	futile      int64 // since when to shorten it is advised in vain; 0 if it isn't
	credit      int64 // samples that may be stretched, times creditShare
}

func (p *player) moveTo(seq, ts, spurt int64) {
	p.placed = true
	p.seq, p.ts, p.spurt = seq, ts, spurt
}

// Pop says what to produce next, when queued samples are decoded and not yet
// played. It is meant to be called every 10 ms until 480 samples are queued or
// the answer is Wait, which leaves the rest of the block silent; and ahead of
// that time while Ready, where more is needed to stretch it. Each answer
// but Wait produces at least 120 samples. It allocates nothing.
func (b *Buffer) Pop(now time.Time, queued int) Decision {
	t := b.clock.samples(now)
	q := int64(min(max(queued, 0), 10*second))
	b.dropToLive(t)
	b.cutShort(t)
	d := b.decide(t, q)
	if d.Action == Wait {
		b.play.delay = 0
		return d
	}
	b.play.delay = t + q - d.Timestamp - b.est.transit()
	return d
}

// Ready tells whether the next Pop answers with what follows directly on what was
// played last, so that it can be asked for ahead of its time, with 480 samples or
// more queued, without giving anything up.
func (b *Buffer) Ready() bool {
	if b.play.idle || len(b.order) == 0 {
		return false
	}
	f := b.order[0]
	return f.seq == b.play.seq && f.ts == b.play.ts && f.spurt == b.play.spurt && f.samples > 0
}

// decide looks at the first packet held. The loop ends: each turn that doesn't
// return takes a packet out or moves the position towards the first.
func (b *Buffer) decide(t, q int64) Decision {
	for {
		if len(b.order) == 0 {
			return b.starve(giveUp)
		}
		f := b.order[0]
		p := &b.play
		switch {
		case f.samples == 0 && (p.idle || f.seq == p.seq):
			b.endMark()
		case p.idle:
			if !b.due(f, t) {
				return Decision{}
			}
			return b.start(f, t, q)
		case f.spurt != p.spurt:
			if b.due(f, t) {
				p.idle = true // and start with f in the next turn
				continue
			}
			if f.seq > p.seq {
				return b.starve(tailConceal)
			}
			p.idle = true
		case f.seq > p.seq:
			if d, ok := b.bridge(f, t, q); ok {
				return d
			}
		case f.ts > p.ts:
			// DTX: no packet is missing, and no speech either.
			p.idle = true
		default:
			return b.playFirst(t, q, false)
		}
	}
}

// slack is how long after the fastest possible arrival of f it is now.
func (b *Buffer) slack(f *packet, t int64) int64 {
	return t - f.ts - b.est.transit()
}

// due tells whether a spurt, or what follows a silence, should start with f.
func (b *Buffer) due(f *packet, t int64) bool {
	return b.slack(f, t) >= b.est.target
}

// endMark takes out an end mark without audio.
func (b *Buffer) endMark() {
	f := b.removeFirst()
	p := &b.play
	marks := int64(endRepeats)
	if p.marks > 0 {
		marks = max(0, p.marks-1-(f.seq-p.seq))
	}
	b.giveUpBefore(f)
	b.settle(0)
	p.moveTo(f.seq+1, f.ts, f.spurt)
	p.marks = marks
	p.stop()
}

// missing is how many packets with audio are missing before f, and how much
// audio that is at most. Marks of the end are neither: those before another one
// take no time, and those after one are at most endRepeats.
func (p *player) missing(f *packet) (packets, samples int64) {
	dur := max(p.dur, minSamples)
	packets = f.seq - p.seq
	if f.samples == 0 && f.spurt == p.spurt {
		packets = min(packets, (max(f.ts-p.ts, 0)+dur-1)/dur)
	}
	packets = max(0, packets-p.marks)
	return packets, min(packets*dur, max(f.ts-p.ts, 0))
}

// giveUpBefore does the accounts for what is missing before f. If f belongs to
// the same spurt, that went on all the time: what was said then counts, even if
// it is so long ago that the guessing has ended. Otherwise the spurt may have
// ended at any time; what was guessed counts then.
func (b *Buffer) giveUpBefore(f *packet) {
	p := &b.play
	if !p.placed || f.seq <= p.seq {
		return
	}
	packets, samples := p.missing(f)
	b.total.Missing += uint64(packets)
	if f.spurt == p.spurt {
		b.total.ConcealedSamples += uint64(samples)
		p.doubt = 0
		return
	}
	b.settle(samples)
}

// stop goes silent.
func (p *player) stop() {
	p.idle = true
	p.held, p.run = 0, 0
}

// starve conceals, until limit was concealed in a row; then it goes silent.
func (b *Buffer) starve(limit int64) Decision {
	p := &b.play
	if p.idle {
		return Decision{}
	}
	if p.run >= limit {
		if limit == giveUp {
			b.total.Interruptions++
		}
		p.stop()
		return Decision{}
	}
	return b.conceal(block)
}

// conceal answers with a guess of n samples at the present position.
func (b *Buffer) conceal(n int64) Decision {
	p := &b.play
	n = (n + minSamples - 1) / minSamples * minSamples
	d := Decision{Action: Conceal, Samples: int(n), Timestamp: p.ts + p.held, Concealed: int(p.run)}
	p.held += n
	p.run += n
	p.doubt += n
	return d
}

// settle counts what was concealed, at most n samples of it. The rest filled a
// silence.
func (b *Buffer) settle(n int64) {
	b.total.ConcealedSamples += uint64(min(n, b.play.doubt))
	b.play.doubt = 0
}

// bridge gets over packets that are missing before f, of the same spurt. It
// returns false when nothing is missing any more.
func (b *Buffer) bridge(f *packet, t, q int64) (Decision, bool) {
	p := &b.play
	missing := f.seq - p.seq
	gap := f.ts - p.ts
	lost := min(gap, missing*max(p.dur, minSamples))
	remaining := lost - p.held
	if remaining <= 0 {
		packets, _ := p.missing(f)
		b.total.Missing += uint64(packets)
		if lost < gap || f.samples == 0 { // silence follows
			b.settle(lost)
		}
		p.held = 0
		p.moveTo(f.seq, p.ts+lost, f.spurt)
		return Decision{}, false
	}
	if !f.fec || f.samples == 0 || lost < gap {
		return b.conceal(min(remaining, block)), true
	}
	last := min(p.dur, lost) // the last missing one, which FEC tells of
	if last < p.dur && last%minSamples != 0 {
		return b.conceal(min(remaining, block)), true // the timestamps leave it a time that no packet has
	}
	if remaining > last {
		return b.conceal(min(remaining-last, block)), true
	}
	// It may be concealed in part already. To recover all of it costs delay,
	// which is welcome only below the target.
	if remaining < last && t-(p.ts+p.held)-b.est.transit() >= b.est.target {
		return b.conceal(min(remaining, block)), true
	}
	return b.recoverBefore(f, last, t, q), true
}

// recoverBefore answers with the last n samples before f from f's FEC.
func (b *Buffer) recoverBefore(f *packet, n, t, q int64) Decision {
	p := &b.play
	d := Decision{
		Action: Recover, Payload: f.payload, Samples: int(n), Timestamp: f.ts - n,
		Concealed: int(p.run), Skipped: p.skipped,
	}
	b.total.Missing += uint64(f.seq - p.seq - 1)
	b.total.RecoveredFEC++
	p.moveTo(f.seq, f.ts, f.spurt)
	b.played(&d, f.arrival, t, q)
	return d
}

// start begins with f after silence, or instead of the end of a spurt.
func (b *Buffer) start(f *packet, t, q int64) Decision {
	p := &b.play
	b.giveUpBefore(f)
	if p.placed && (f.ts > p.ts || f.spurt != p.spurt) {
		b.settle(0)
	}
	p.level = b.slack(f, t) + q
	p.run, p.futile = 0, 0
	return b.playFirst(t, q, true)
}

// approach moves a level towards a new value, fast where that is lower: who asks
// at irregular times must find what he asks for when he is early, too.
func approach(level, to int64) int64 {
	if to < level {
		return level + (to-level)/2
	}
	return level + (to-level)/16
}

// playFirst answers with the first packet.
func (b *Buffer) playFirst(t, q int64, start bool) Decision {
	f := b.removeFirst()
	p := &b.play
	d := Decision{
		Action: Play, Payload: f.payload, Samples: f.samples, Timestamp: f.ts,
		Start: start, Copied: f.copied, Concealed: int(p.run), Skipped: p.skipped,
	}
	if f.copied {
		b.total.RecoveredCopy++
	}
	p.idle = false
	p.dur, p.marks = int64(f.samples), 0
	p.moveTo(f.seq+1, f.ts+p.dur, f.spurt)
	b.played(&d, f.arrival, t, q)
	if f.end {
		p.stop()
	}
	return d
}

// played does the accounts for audio that arrived and is produced behind q
// queued samples, and decides on stretching.
func (b *Buffer) played(d *Decision, arrival, t, q int64) {
	p := &b.play
	n := int64(d.Samples)
	b.total.PlayedSamples += uint64(n)
	wait := t + q - arrival
	b.waitSum += n * wait
	if b.wait == 0 {
		b.wait = wait
	}
	b.wait += (wait - b.wait) * n / waitTime
	b.delaySum += n * (t - arrival)
	for left, at := n, q; left > 0; {
		now := min(left, block-at%block)
		b.delaySum += now * (at / block * block)
		left -= now
		at += now
	}
	b.settle(p.doubt)
	p.held, p.run, p.skipped = 0, 0, false
	p.level = approach(p.level, t+q-d.Timestamp-b.est.transit())
	p.credit = min(p.credit+n, creditLimit*creditShare)
	d.Stretch, d.Most = b.stretch(t, q)
}
