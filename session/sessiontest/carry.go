package sessiontest

import "time"

// sendVoiceLocked gives a voice message to the edge: it will arrive, once or
// twice, or be lost. It returns when the sender would know that it arrived.
func (n *Network) sendVoiceLocked(e *edge, p *packet, now time.Time, queued time.Duration) (acked time.Time) {
	e.traffic.Sent++
	e.traffic.Bytes += uint64(p.length)
	f := e.drawVoice()
	back := n.edgeLocked(e.to, e.from).cfg.Delay
	if f.lost || e.isCut {
		e.traffic.Lost++
		n.recycleLocked(p)
		return now.Add(e.cfg.Delay + back)
	}
	at := now.Add(f.delay + queued)
	if f.keepsOrder {
		at = later(at, e.lastVoice)
		e.lastVoice = at
	}
	if f.twice {
		second := n.newPacketLocked(p.kind, p.from, p.to)
		second.header, second.length = p.header, copy(second.buf[:], p.payload())
		n.addLocked(event{at: at.Add(e.cfg.ReorderDelay / 2), voice: second, edge: e})
	}
	n.addLocked(event{at: at, voice: p, edge: e})
	return at.Add(back)
}

// arriveLocked ends the way of a voice message.
func (n *Network) arriveLocked(ev event, now time.Time) {
	e, p := ev.edge, ev.voice
	if e.isCut {
		e.traffic.Lost++
		n.recycleLocked(p)
		return
	}
	if now.Before(e.stallUntil) {
		ev.at = e.stallUntil
		n.addLocked(ev)
		return
	}
	t := n.transports[p.to]
	if t == nil || !t.receiveVoiceLocked(p, now) {
		n.recycleLocked(p)
	}
}

// sendReliableLocked gives a message to the edge that will arrive after
// everything that was given to it before.
func (n *Network) sendReliableLocked(p *packet) {
	e := n.edgeLocked(p.from, p.to)
	e.traffic.Bytes += uint64(p.length)
	p.at = later(time.Now().Add(e.drawControl()), e.lastControl)
	e.lastControl = p.at
	e.fifo = append(e.fifo, p)
	if len(e.fifo) == 1 {
		n.schedulePumpLocked(e)
	}
}

// schedulePumpLocked has the head of the fifo delivered at its time, or looked
// at again before: a head's time only ever moves on.
func (n *Network) schedulePumpLocked(e *edge) {
	if len(e.fifo) > 0 && !e.isCut && !e.pumping {
		e.pumping = true
		n.addLocked(event{at: later(e.fifo[0].at, e.stallUntil), run: func() { n.pumpLocked(e) }})
	}
}

func (n *Network) pumpLocked(e *edge) {
	e.pumping = false
	now := time.Now()
	for len(e.fifo) > 0 && !e.isCut && !now.Before(e.stallUntil) && !e.fifo[0].at.After(now) {
		p := e.fifo[0]
		copy(e.fifo, e.fifo[1:])
		e.fifo[len(e.fifo)-1] = nil
		e.fifo = e.fifo[:len(e.fifo)-1]
		if !n.receiveLocked(p) {
			n.recycleLocked(p)
		}
	}
	n.schedulePumpLocked(e)
}

// receiveLocked hands a message to the transport that it is for. It reports
// whether that one keeps the packet.
func (n *Network) receiveLocked(p *packet) bool {
	t := n.transports[p.to]
	if t != nil && p.kind == kindAck {
		t.receiveAckLocked(p) // Close waits for it
		return false
	}
	if t == nil || t.state != stateOpen {
		if p.kind == kindHello {
			n.refuseLocked(p, "refused: the peer is not open")
		}
		return false
	}
	switch p.kind {
	case kindHello:
		t.receiveHelloLocked(p)
	case kindLeave:
		t.receiveLeaveLocked(p)
	case kindRefuse:
		t.receiveRefuseLocked(p)
	case kindControl:
		return t.receiveControlLocked(p)
	case kindAck, kindVoice:
	}
	return false
}

// refuseLocked answers a hello with no.
func (n *Network) refuseLocked(hello *packet, reason string) {
	p := n.newPacketLocked(kindRefuse, hello.to, hello.from)
	p.dst, p.reason = hello.src, reason
	n.sendReliableLocked(p)
}
