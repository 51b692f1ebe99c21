package jitter

const (
	stretchInterval = 50 * millisecond // between two stretches, NetEQ's
	lastInterval    = 15 * millisecond // where nothing is in hand that would follow ...
	lastSilence     = 90 * millisecond // and came for so long: more than the time of two long packets
	// expandMargin below the target the delay is too small, which keeps
	// Accelerate and Expand from answering each other.
	expandMargin = millisecond * 5 / 2
	leastSpare   = millisecond * 5 / 2 // that is worth to be removed: the shortest period of a voice
	// Targets below drainTarget hold no reserve to speak of; above it less
	// than 1/drainShare of it is a warning.
	drainTarget = 60 * millisecond
	drainShare  = 2
	// creditShare of what is played may be stretched, in the long run.
	creditShare = 20 // 1/20 is 5 %
	creditLimit = 200 * millisecond
	longPeriod  = 15 * millisecond // a stretch changes at most this

	// What to do about sound that can't be shortened though it should be.
	futileFast  = 1 * second // then a poorer match will do
	futileCut   = 3 * second // then a packet is dropped ...
	futileAgain = 1 * second // ... and another one each time this later
)

// spare is how much sooner what follows q queued samples could be heard, and be
// asked for no earlier than the target wants. Since packets are asked for once in
// a block only, what is queued then beyond whole blocks delays them for nothing,
// and what they are asked for later than the target wants can be taken away in
// whole blocks.
func (b *Buffer) spare(q int64) int64 {
	beyond := q % block
	asked := b.play.level - beyond
	if asked < b.est.target {
		return asked - b.est.target
	}
	return (asked-b.est.target)/block*block + beyond
}

// stretch compares the delay with the target. What is to be shortened may be so
// by that many samples at most.
func (b *Buffer) stretch(t, q int64) (s Stretch, most int) {
	p, target := &b.play, b.est.target
	last := b.last(t)
	if t-p.lastStretch < stretchInterval && (!last || t-p.lastStretch < lastInterval) {
		return None, 0
	}
	spare := b.spare(q)
	if spare < block {
		p.futile = 0
	}
	switch {
	case p.level > 2*target+60*millisecond, p.futile > 0 && t-p.futile > futileFast:
		s = AccelerateFast
	case p.credit < longPeriod*creditShare:
		return None, 0
	case last:
		s = ExpandFast
	case spare >= leastSpare && !b.drained():
		s = Accelerate
	case spare < -expandMargin || b.drained():
		s = Expand
	}
	if s != None {
		p.lastStretch = t
	}
	if p.futile == 0 && spare >= block && (s == Accelerate || s == AccelerateFast) {
		p.futile = t
	}
	return s, int(max(spare, 0))
}

// cutShort drops a packet in the midst of a spurt if the delay is above the
// target, and the sound can't be shortened: noise, music. Otherwise the delay
// would stay until the next pause, which may never come.
func (b *Buffer) cutShort(t int64) {
	p := &b.play
	if p.futile == 0 || t-p.futile < futileCut || len(b.order) < 2 || !b.Ready() || b.drained() {
		return
	}
	f, next := b.order[0], b.order[1]
	n := int64(f.samples)
	if next.seq != f.seq+1 || next.ts != f.ts+n || next.spurt != f.spurt || p.level < b.est.target+n {
		return
	}
	b.discardFirst()
	p.level -= n
	p.futile += futileAgain
}

// drained tells whether much less is held than the target should give, which
// means that the network is holding packets back for long. What is left is
// spread over more time then.
func (b *Buffer) drained() bool {
	left := int64(0)
	if n := len(b.order); n > 0 {
		last := b.order[n-1]
		left = last.ts + int64(last.samples) - b.play.ts
	}
	return b.est.target >= drainTarget && left < b.est.target/drainShare
}

// last tells whether nothing is in hand that follows what is played, though by the
// target there should be: the network is holding packets back, and each millisecond
// is one less to be guessed at.
func (b *Buffer) last(t int64) bool {
	return b.est.target >= drainTarget && !b.play.idle && len(b.order) == 0 && t-b.lastAccepted > lastSilence
}

// Stretched tells how many samples were removed (positive) or inserted
// (negative) on the advice of a Decision. The delay itself is seen in what is
// queued at the next Pop.
func (b *Buffer) Stretched(samples int) {
	n := int64(min(max(samples, -second), second))
	b.play.level -= n
	if n > 0 {
		b.play.futile = 0
	}
	if n >= 0 {
		b.total.RemovedSamples += uint64(n)
	} else {
		n = -n
		b.total.InsertedSamples += uint64(n)
	}
	b.play.credit = max(b.play.credit-n*creditShare, 0)
}

// dropToLive skips speech when the delay is beyond the cap and what came last
// shows that it needn't be: the network has caught up, or holds back nothing
// that would fill the gap.
func (b *Buffer) dropToLive(t int64) {
	if len(b.order) < 2 {
		return
	}
	p := &b.play
	first, last := b.order[0], b.order[len(b.order)-1]
	position := first.ts
	if !p.idle {
		position = p.ts
	}
	if t-position-b.est.transit() <= b.est.maxDelay {
		return
	}
	caughtUp := b.slack(last, t) <= b.est.target+2*block
	if !caughtUp && last.ts-position <= b.est.maxDelay {
		return
	}
	dropped := false
	for len(b.order) > 1 && b.slack(b.order[0], t) > b.est.target && last.ts-b.order[1].ts >= 0 {
		b.discardFirst()
		dropped = true
	}
	if dropped {
		b.total.Skips++
		p.level = b.est.target
	}
}
