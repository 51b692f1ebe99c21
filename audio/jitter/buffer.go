package jitter

import (
	"slices"
	"time"
)

const (
	millisecond = SampleRate / 1000
	second      = SampleRate

	minSamples = 120        // shortest packet, 2.5 ms as in Opus
	bound      = 1 << 60    // of sequence numbers, timestamps and spurts: differences can't overflow
	aheadLimit = 3000       // packets a sequence number may lead: a minute of 20 ms packets
	historyLen = 256        // packets that duplicates and lateness are known of; a power of two
	oddLimit   = 5          // packets beyond all bounds, or out of number, before the stream is taken up anew ...
	oddTime    = 1 * second // ... if none was accepted for so long
)

// packet is a held Packet. Its payload's memory is reused.
type packet struct {
	seq, ts, spurt int64
	arrival        int64
	samples        int
	end, copied    bool
	fec            bool
	payload        []byte
}

// trace is what is remembered of a sequence number.
type trace struct {
	seq    int64
	known  bool // seq is valid
	own    bool // arrived by itself, not only as a copy
	inHand bool // was held, as a copy or by itself, or came too late
	fec    bool // what the packet after it says of it is in hand
}

// Buffer is a jitter buffer. Make one with New; it is not safe for concurrent
// use.
type Buffer struct {
	// order holds the packets by sequence number, and so by timestamp; free
	// the unused ones, of which the last used is used first, so that memory
	// follows what is really held.
	order []*packet
	free  []*packet

	clock   clock
	est     estimator
	loss    lossMeter
	jitter  interarrival
	history [historyLen]trace

	synced       bool  // newest is valid
	newest       int64 // highest sequence number accepted
	spurt        int64 // of the last packet taken in
	lastAccepted int64 // when
	odd          int   // own packets in a row that were beyond all bounds, or out of number
	oddSeq       int64 // the last of them

	play  player
	total Stats
	// delaySum is Stats.DelaySum in samples squared: sample times samples of
	// delay; waitSum likewise.
	delaySum, waitSum int64
	wait              int64 // smoothed; 0 before the first packet
}

// New returns an empty buffer. Its memory grows with what is held, up to
// MaxPackets payloads, and is reused.
func New(cfg Config) *Buffer {
	b := &Buffer{
		order: make([]*packet, 0, MaxPackets),
		free:  make([]*packet, 0, MaxPackets),
	}
	b.est.configure(cfg)
	b.Reset()
	return b
}

// Push hands over a packet that arrived now. The payload is copied. It costs
// at most a search among the held packets and allocates only to hold more
// packets than ever before.
func (b *Buffer) Push(p Packet, now time.Time) Result {
	t := b.clock.samples(now)
	b.total.Received++
	if !sane(&p) {
		b.total.Rejected++
		return Rejected
	}
	if !b.synced {
		b.begin(p.Seq, t)
	}
	r := b.admit(&p, t)
	switch r {
	case Accepted:
		b.odd = 0
		b.lastAccepted = t
	case Duplicate:
		b.total.Duplicate++
	case Late:
		// Late by its number alone: a wrong number was believed before.
		if t-p.Timestamp-b.est.transit() <= b.est.maxDelay && b.resync(&p, t) {
			return b.admit(&p, t)
		}
		b.total.Late++
	case Rejected:
		if b.resync(&p, t) {
			return b.admit(&p, t)
		}
		b.total.Rejected++
	}
	return r
}

// sane tells whether a packet makes sense by itself.
func sane(p *Packet) bool {
	if p.Seq < -bound || p.Seq > bound || p.Timestamp < -bound || p.Timestamp > bound ||
		p.Spurt < -bound || p.Spurt > bound || len(p.Payload) > MaxPayload {
		return false
	}
	if p.Samples == 0 {
		return p.End
	}
	return p.Samples >= minSamples && p.Samples <= MaxSamples && len(p.Payload) > 0
}

// admit takes in a packet that is sane by itself.
func (b *Buffer) admit(p *Packet, t int64) Result {
	if p.Seq-b.newest > aheadLimit || b.newest-p.Seq >= historyLen {
		return Rejected
	}
	h := &b.history[p.Seq&(historyLen-1)]
	fresh := !h.known || h.seq != p.Seq
	if !fresh && h.inHand {
		b.arrived(p, h, t)
		return Duplicate
	}
	if b.play.placed && p.Seq < b.play.seq {
		b.remember(p, t)
		return Late
	}
	i := b.find(p.Seq)
	if !b.fits(p, i) {
		return Rejected
	}
	b.remember(p, t)
	if len(b.order) == MaxPackets {
		// Nobody asks any more: what is newest is worth most.
		b.discardFirst()
		if i--; i < 0 {
			return Late
		}
	}
	b.insert(p, i, t)
	return Accepted
}

// remember notes that a packet is in hand now, and what its FEC tells of the
// one before, and lets the target learn when that was.
func (b *Buffer) remember(p *Packet, t int64) {
	h := b.trace(p.Seq)
	h.inHand = true
	spurt := b.spurt
	b.spurt = p.Spurt
	b.newest = max(b.newest, p.Seq)
	b.arrived(p, h, t)
	if p.Samples == 0 {
		return // an end mark may be said again later: it has no time of its own
	}
	if !h.fec {
		b.est.observe(t-p.Timestamp, t)
	}
	if !p.FEC {
		return
	}
	if spurt != p.Spurt {
		return
	}
	if h = b.trace(p.Seq - 1); !h.inHand && !h.fec {
		h.fec = true
		b.est.observe(t-p.Timestamp+int64(p.Samples), t)
	}
}

// trace returns what is remembered of a sequence number.
func (b *Buffer) trace(seq int64) *trace {
	h := &b.history[seq&(historyLen-1)]
	if !h.known || h.seq != seq {
		*h = trace{seq: seq, known: true}
	}
	return h
}

// arrived does the network's accounts for a packet that came by itself.
func (b *Buffer) arrived(p *Packet, h *trace, t int64) {
	if p.Copy || h.own {
		return
	}
	b.loss.settle(p.Seq, t, &b.history)
	h.own = true
	if p.Samples > 0 && !p.Twin {
		b.jitter.arrived(p.Seq, t-p.Timestamp)
	}
	b.loss.arrived(p.Seq, t, &b.history)
}

// find returns the index in order where seq belongs.
func (b *Buffer) find(seq int64) int {
	i := len(b.order)
	for i > 0 && b.order[i-1].seq > seq {
		i--
	}
	return i
}

// fits tells whether p, to be held at index i, agrees with its neighbours:
// timestamps don't overlap and talk spurts don't go back.
func (b *Buffer) fits(p *Packet, i int) bool {
	end, spurt := int64(-2*bound), int64(-2*bound)
	switch {
	case i > 0:
		q := b.order[i-1]
		end, spurt = q.ts+int64(q.samples), q.spurt
	case b.play.placed:
		end, spurt = b.play.ts, b.play.spurt
	}
	if p.Timestamp < end || p.Spurt < spurt {
		return false
	}
	if i == len(b.order) {
		return true
	}
	q := b.order[i]
	return p.Timestamp+int64(p.Samples) <= q.ts && p.Spurt <= q.spurt
}

// insert holds a copy of p at index i.
func (b *Buffer) insert(p *Packet, i int, t int64) {
	var q *packet
	if n := len(b.free); n > 0 {
		q, b.free = b.free[n-1], b.free[:n-1]
	} else {
		q = &packet{payload: make([]byte, 0, MaxPayload)}
	}
	*q = packet{
		seq: p.Seq, ts: p.Timestamp, spurt: p.Spurt, arrival: t, samples: p.Samples,
		end: p.End, copied: p.Copy, fec: p.FEC, payload: append(q.payload[:0], p.Payload...),
	}
	b.order = slices.Insert(b.order, i, q)
}

// removeFirst takes the first packet out. Its contents stay valid until the
// next Push.
func (b *Buffer) removeFirst() *packet {
	q := b.order[0]
	b.order = slices.Delete(b.order, 0, 1)
	b.free = append(b.free, q)
	return q
}

// discardFirst gives the first packet up unplayed, and what was missing
// before it.
func (b *Buffer) discardFirst() {
	q := b.removeFirst()
	b.total.DiscardedSamples += uint64(q.samples)
	b.giveUpBefore(q)
	b.play.placed = true
	b.play.skipped = true
	b.play.held = 0
	b.play.moveTo(q.seq+1, q.ts+int64(q.samples), q.spurt)
	b.play.idle = b.play.idle || q.end
}

// begin starts at a sequence number.
func (b *Buffer) begin(seq, t int64) {
	b.synced = true
	b.newest = seq
	b.spurt = -2 * bound
	b.lastAccepted = t
	b.loss.begin(seq)
}

// resync takes the stream up anew at p, if for a while nothing but packets
// beyond all bounds or out of number came, so that a sender which jumped is followed.
func (b *Buffer) resync(p *Packet, t int64) bool {
	if p.Copy {
		return false
	}
	if b.odd > 0 && p.Seq <= b.oddSeq {
		b.odd = 0
	}
	b.odd++
	b.oddSeq = p.Seq
	if b.odd < oddLimit || t-b.lastAccepted < oddTime {
		return false
	}
	b.total.Resyncs++
	b.clear()
	b.est.forgetBase()
	b.begin(p.Seq, t)
	return true
}

// clear gives up what is held, the position and the history.
func (b *Buffer) clear() {
	for len(b.order) > 0 {
		b.total.DiscardedSamples += uint64(b.removeFirst().samples)
	}
	b.settle(b.play.doubt) // nothing will tell any more
	b.history = [historyLen]trace{}
	b.synced = false
	b.odd = 0
	b.jitter.forgetTransit()
	b.play = player{idle: true, credit: b.play.credit}
}

// Reset forgets the stream, what is held of it and what was learnt of the
// path: a new epoch begins. Held speech counts as discarded; the counters run
// on.
func (b *Buffer) Reset() {
	b.clear()
	b.est.reset()
	b.jitter = interarrival{}
	b.loss.forget()
	b.wait = 0
	b.play.credit = creditLimit * creditShare
}

// PathChanged forgets what was learnt of the network's delay, since packets
// take another way now. What is held is played.
func (b *Buffer) PathChanged() {
	b.est.reset()
	b.jitter.forgetTransit()
}

// SendingChanged says that the talker sends its speech in another way from now on,
// in other packets or with other copies, so that what had to wait for its packet,
// or was lost at first, comes after other times. What was learnt of that is worth
// little then.
func (b *Buffer) SendingChanged() { b.est.packets.age(sendingForget) }

// SetPathDelay says what the delay from mouth to ear is without what the buffer
// adds: see Config.PathDelay. Changes by less than 5 ms make no difference. It
// is cheap enough to be called whenever the delay is measured.
func (b *Buffer) SetPathDelay(d time.Duration) {
	if path := durationSamples(max(d, 1), 0); path >= b.est.path+bucket || path <= b.est.path-bucket {
		b.est.price(path)
	}
}

// clock turns times into samples since the first. It never goes back. An
// arrival that is handed over after a later Pop counts as of that Pop: it
// wasn't there to be played then, and the target has to cover that. Only a step
// back by more than that can be is one of the caller's clock, which takes no
// time and goes on from there.
type clock struct {
	last time.Time
	ns   int64
}

const (
	handOver    = time.Second         // the latest that an arrival is handed over
	longestStep = 30 * 24 * time.Hour // keeps the sum from overflowing for centuries
)

func (c *clock) samples(now time.Time) int64 {
	step := now.Sub(c.last)
	switch {
	case c.last.IsZero():
		c.last = now
	case step > 0 || step <= -handOver:
		c.ns += int64(min(max(step, 0), longestStep))
		c.last = now
	}
	return c.ns/62500*3 + c.ns%62500*3/62500
}
