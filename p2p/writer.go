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
	buf     []byte
	message laneMessage
}

// writeOne writes one message; false if there is none.
func (w *writer) writeOne() bool {
	p := w.p
	p.mu.Lock()
	voice, ok := w.nextLocked()
	if !ok || p.best == nil {
		if voice {
			p.stats.VoiceDropped++
		}
		p.receiving.due = false
		p.mu.Unlock()
		return ok
	}
	ln := p.pickLaneLocked(p.best, time.Now())
	if ln.stream == nil && !w.open(ln) {
		w.giveUpLocked(voice)
		p.mu.Unlock()
		return true
	}
	if !w.buildLocked(ln, voice) {
		p.mu.Unlock()
		return true
	}
	stream, out := ln.stream, ln.out
	ln.out = nil
	p.sending.writing, p.sending.writingSince = ln, time.Now()
	p.mu.Unlock()

	var n int
	var err error
	if out != nil {
		n, err = out.Write(w.buf)
	} else {
		n, err = stream.Write(w.buf)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.sending.writing = nil
	p.stats.BytesSent += uint64(n)
	if err == nil && n == len(w.buf) {
		if voice {
			p.stats.VoiceSent++
		}
		return true
	}
	if voice {
		p.stats.VoiceDropped++
	}
	p.dropLaneLocked(ln, codeTooLate)
	p.dirty.Store(true)
	p.wakeUp()
	return true
}

// giveUpLocked drops what there is no lane for. An acknowledgement is tried
// again after ackDelay.
func (w *writer) giveUpLocked(voice bool) {
	p := w.p
	if voice {
		p.stats.VoiceDropped++
	}
	if r := &p.receiving; r.due {
		r.due, r.owed = false, time.Now()
		p.wakeUp()
	}
}

// nextLocked takes the next packet from the queue, or finds that only an
// acknowledgement is due.
func (w *writer) nextLocked() (voice, ok bool) {
	s := &w.p.sending
	if s.count == 0 {
		return false, w.p.receiving.due
	}
	q := &s.queue[s.head]
	w.packet.span, w.packet.size = q.span, q.size
	copy(w.packet.buf[:q.size], q.buf[:q.size])
	s.head = (s.head + 1) % queueSize
	s.count--
	s.span -= q.span
	return true, true
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
	case ln.dead || p.state != stateJoined || p.best != ln.pt:
		p.dropLaneLocked(ln, codeSuperseded)
		p.doomLocked(s, codeSuperseded)
		p.wakeUp()
		return false
	}
	ln.stream, ln.out = s, lazy
	p.wg.Go(func() { p.runWatch(ln, lazy) })
	return true
}

// buildLocked puts the next message for a lane into w.buf and notes it as sent;
// false if there is nothing to say after all.
func (w *writer) buildLocked(ln *lane, voice bool) bool {
	p := w.p
	now := time.Now()
	b := w.buf[:0]
	if ln.used == 0 {
		b = appendPreamble(b, preamble{
			kind: kindLane, session: p.t.name, lane: byte(ln.index),
			from: p.ours, to: p.far,
		})
	}
	m := &w.message
	*m = laneMessage{hasVoice: voice}
	m.ack, m.hasAck = p.receiving.takeAck(now)
	if !voice && !m.hasAck {
		p.receiving.due = false
		return false
	}
	if voice {
		number := p.sending.flight.add(now, w.packet.span, ln)
		m.number = uint16(number)
		m.payload = w.packet.buf[:w.packet.size]
		if p.sending.flight.count == 1 {
			p.sending.moved = now
			p.wakeUp() // the keeper sleeps while nothing is unacknowledged
		}
	}
	ln.used++
	w.buf = appendLaneMessage(b, m)
	return true
}
