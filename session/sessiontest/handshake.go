package sessiontest

import (
	"time"

	"github.com/parley-voice/parley/identity"
)

// held is what an unannounced peer opened.
type held struct {
	epoch uint64
}

// receiveHelloLocked: the far end is there, with an epoch.
func (t *Transport) receiveHelloLocked(m *packet) {
	p := t.pairs[m.from]
	switch {
	case p == nil && m.dst == 0:
		t.holdLocked(m)
	case p == nil:
		// It believes in an epoch that we have left.
		left := t.net.newPacketLocked(kindLeave, t.self, m.from)
		left.src = m.dst
		t.net.sendReliableLocked(left)
	case m.dst != 0 && m.dst != p.mine:
		// Late: it hasn't seen our present hello yet, and will answer that.
	default:
		if m.src != p.far || !p.up {
			p.upLocked(m.src)
		}
		if m.dst == 0 {
			p.sendHelloLocked()
		}
	}
}

// holdLocked keeps an unannounced peer waiting for Join.
func (t *Transport) holdLocked(m *packet) {
	h := t.held[m.from]
	if h != nil && h.epoch == m.src {
		return
	}
	if h == nil && len(t.held) >= MaxHeld {
		t.net.refuseLocked(m, "refused: too many peers are waiting")
		return
	}
	h = &held{epoch: m.src}
	id := m.from
	t.held[id] = h
	t.inboxLocked(id).putLocked(delivery{what: whatKnock})
	t.net.afterLocked(HoldTime, func() {
		if t.held[id] == h {
			t.dropHeldLocked(id, "refused: the peer has not announced us")
		}
	})
}

func (t *Transport) dropHeldLocked(id identity.PeerID, reason string) {
	p := t.net.newPacketLocked(kindRefuse, t.self, id)
	p.dst, p.reason = t.held[id].epoch, reason
	delete(t.held, id)
	t.net.sendReliableLocked(p)
}

func (t *Transport) receiveRefuseLocked(m *packet) {
	if p := t.pairs[m.from]; p != nil && p.mine == m.dst && !p.up {
		p.downLocked(m.reason)
		p.retryLocked()
	}
}

func (t *Transport) receiveLeaveLocked(m *packet) {
	if h := t.held[m.from]; h != nil && h.epoch == m.src {
		delete(t.held, m.from)
	}
	if p := t.pairs[m.from]; p != nil && p.far == m.src {
		p.downLocked("the peer left")
		p.retryLocked()
	}
}

// receiveControlLocked reports whether the packet is kept for the Handler.
func (t *Transport) receiveControlLocked(m *packet) bool {
	p := t.pairs[m.from]
	if p == nil || p.far != m.src || p.mine != m.dst {
		return false
	}
	if !p.up {
		p.upLocked(p.far) // control that waited for a cut path is the first to be back
	}
	p.stats.BytesReceived += uint64(m.length)
	p.inbox.putLocked(delivery{pair: p, what: whatControl, packet: m})
	return true
}

// receiveVoiceLocked reports whether the packet is kept for the Handler.
func (t *Transport) receiveVoiceLocked(m *packet, now time.Time) bool {
	p := t.pairs[m.from]
	if p == nil || !p.up || p.far != m.src || p.mine != m.dst {
		return false
	}
	p.stats.BytesReceived += uint64(m.length)
	if !p.seen.first(m.number) {
		p.stats.VoiceDuplicate++
		return false
	}
	if p.inbox.voices >= maxQueuedVoice {
		return false
	}
	p.inbox.putLocked(delivery{pair: p, what: whatVoice, packet: m, at: now})
	return true
}

func (t *Transport) receiveAckLocked(m *packet) {
	p := t.pairs[m.from]
	if p == nil || p.mine != m.dst || p.far != m.src {
		p = t.leftWithLocked(m)
	}
	if p == nil || p.onTheWay == 0 {
		return
	}
	p.onTheWay--
	p.queuedBytes -= p.wayBytes[0]
	p.wayBytes = append(p.wayBytes[:0], p.wayBytes[1:]...)
	if _, waits := t.left[p]; waits && p.onTheWay == 0 {
		delete(t.left, p)
		if len(t.left) == 0 {
			close(t.flushed)
		}
	}
}

// leftWithLocked finds the pair that Close waits for and that an ack is for.
func (t *Transport) leftWithLocked(m *packet) *pair {
	for p := range t.left {
		if p.peer == m.from && p.mine == m.dst && p.far == m.src {
			return p
		}
	}
	return nil
}
