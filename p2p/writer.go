package p2p

import (
	"context"
	"time"
)

// runWriter writes queued voice and owed acknowledgements to the lanes. A Write
// may wait for the network, for the keeper ends one that waits for too long.
func (p *pair) runWriter() {
	w := writer{p: p, buf: make([]byte, 0, preambleMax+maxLaneMessage)}
	for {
		select {
		case <-p.kick:
		case <-p.ctx.Done():
			return
		}
		for w.writeOne() {
		}
	}
}

// writer is what one pair's writing goroutine needs.
type writer struct {
	p       *pair
	packet  queued // the packet that is being written
	number  uint16 // its number
	buf     []byte
	message laneMessage
}

// job is one message to write: voice with an acknowledgement, or that alone.
type job struct {
	voice bool
	path  *path
}

// writeOne writes one message, and during a move its copy on the other path;
// false if there is none.
func (w *writer) writeOne() bool {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	j, ok := w.nextLocked()
	if !ok {
		return false
	}
	if j.path == nil {
		if j.voice {
			p.stats.VoiceDropped++
		}
		p.receiving.due = false
		return true
	}
	also := p.alsoLocked(time.Now())
	wrote := w.writeLocked(j)
	if j.voice && !wrote {
		p.stats.VoiceDropped++
	}
	if j.voice && wrote && also != nil && also != j.path && !also.gone {
		w.copyLocked(also)
	}
	return true
}

// writeLocked writes a message to a lane of its path; false if that failed.
func (w *writer) writeLocked(j job) bool {
	p := w.p
	ln := p.pickLaneLocked(j.path, time.Now())
	if ln.stream == nil && !w.open(ln) {
		w.giveUpLocked()
		return false
	}
	if !w.buildLocked(ln, j.voice) {
		return true
	}
	if !w.flushLocked(ln) {
		return false
	}
	if j.voice {
		p.stats.VoiceSent++
	}
	return true
}

// copyLocked writes the packet that was just written to another path too, under
// the same number. It isn't in the flight: either of the two acknowledges it.
func (w *writer) copyLocked(pt *path) {
	ln := w.p.pickLaneLocked(pt, time.Now())
	if ln.stream == nil && !w.open(ln) {
		return
	}
	w.message = laneMessage{hasVoice: true, number: w.number, payload: w.packet.buf[:w.packet.size]}
	w.buf = appendLaneMessage(w.beginLocked(ln), &w.message)
	w.flushLocked(ln)
}

// flushLocked writes w.buf to a lane. The pair's mu is given up meanwhile: Write
// may wait.
func (w *writer) flushLocked(ln *lane) bool {
	p := w.p
	out := ln.out
	if out == nil {
		out = ln.stream
	}
	ln.out = nil
	p.sending.writing, p.sending.writingSince = ln, time.Now()
	p.mu.Unlock()
	n, err := out.Write(w.buf)
	p.mu.Lock()
	p.sending.writing = nil
	p.stats.BytesSent += uint64(n)
	ln.pt.spend(n)
	if err == nil && n == len(w.buf) {
		return true
	}
	p.dropLaneLocked(ln, codeTooLate)
	p.dirty.Store(true)
	p.wakeUp()
	return false
}

// giveUpLocked has an acknowledgement for which there is no lane tried again
// after ackDelay.
func (w *writer) giveUpLocked() {
	p := w.p
	if r := &p.receiving; r.due {
		r.due, r.owed = false, time.Now()
		p.wakeUp()
	}
}

// nextLocked takes the next packet from the queue, or finds that only an
// acknowledgement is due. That goes back the way the voice came: while one side
// has left a dead path, the other may not know.
func (w *writer) nextLocked() (j job, ok bool) {
	p := w.p
	s, r := &p.sending, &p.receiving
	back := r.from
	if back == nil || !back.usable() {
		back = p.best
	}
	switch {
	case r.due && (back != p.best || s.count == 0):
		return job{path: back}, true
	case s.count == 0:
		return job{}, false
	}
	q := &s.queue[s.head]
	w.packet.span, w.packet.size = q.span, q.size
	copy(w.packet.buf[:q.size], q.buf[:q.size])
	s.head = (s.head + 1) % queueSize
	s.count--
	s.span -= q.span
	return job{voice: true, path: p.best}, true
}

// open opens a lane's stream. It is called with the pair's mu, which it gives
// up meanwhile; false if the lane cannot be used.
func (w *writer) open(ln *lane) bool {
	p := w.p
	now := time.Now()
	if now.Before(ln.pt.laneRest) {
		ln.pt.lanes[ln.index] = nil
		return false
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, openMost)
	s, lazy, err := openStream(ctx, ln.pt.conn)
	cancel()
	p.mu.Lock()
	switch {
	case err != nil:
		ln.pt.laneRest = time.Now().Add(laneRestTime)
		p.dropLaneLocked(ln, codeTooLate)
		p.dirty.Store(true)
		p.wakeUp()
		return false
	case ln.dead || p.state != stateJoined || ln.pt.gone || p.best == nil:
		p.dropLaneLocked(ln, codeSuperseded)
		p.doomLocked(s, codeSuperseded)
		p.wakeUp()
		return false
	}
	ln.stream, ln.out = s, lazy
	p.wg.Go(func() { p.runWatch(ln, lazy) })
	return true
}

// beginLocked returns w.buf with what a new lane begins with.
func (w *writer) beginLocked(ln *lane) []byte {
	p := w.p
	ln.used++
	if ln.used > 1 {
		return w.buf[:0]
	}
	return appendPreamble(w.buf[:0], preamble{
		kind: kindLane, session: p.t.name, lane: byte(ln.index),
		from: p.ours, to: p.far,
	})
}

// buildLocked puts the next message for a lane into w.buf and notes it as sent;
// false if there is nothing to say after all.
func (w *writer) buildLocked(ln *lane, voice bool) bool {
	p := w.p
	now := time.Now()
	m := &w.message
	*m = laneMessage{hasVoice: voice}
	if r := &p.receiving; !voice || r.from == nil || r.from == ln.pt || !r.from.usable() {
		m.ack, m.hasAck = r.takeAck(now)
	}
	if !voice && !m.hasAck {
		p.receiving.due = false
		return false
	}
	if voice {
		w.number = uint16(p.sending.flight.add(now, w.packet.span, ln))
		m.number = w.number
		m.payload = w.packet.buf[:w.packet.size]
		ln.pt.alive.question(now)
		if p.sending.flight.count == 1 {
			p.sending.moved = now
			p.wakeUp() // the keeper sleeps while nothing is unacknowledged
		}
	}
	w.buf = appendLaneMessage(w.beginLocked(ln), m)
	return true
}
