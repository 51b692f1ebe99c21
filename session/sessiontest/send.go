package sessiontest

import (
	"fmt"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

func (p *pair) sendVoiceLocked(b []byte, now time.Time) error {
	if !p.up {
		return fmt.Errorf("%w: %s", link.ErrNoPath, p.reason)
	}
	out, back := p.edgesLocked()
	if !p.mayWriteLocked(out, back, now) {
		return link.ErrCongested
	}
	queued, ok := out.serialize(now, len(b))
	if !ok {
		return link.ErrCongested
	}
	p.unackedLocked(now) // forgets those that arrived
	p.number++
	m := p.packetLocked(kindVoice)
	m.number, m.length = p.number, copy(m.buf[:], b)
	acked := p.t.net.sendVoiceLocked(out, m, now, queued)
	if out.isCut || back.isCut {
		acked = now.Add(time.Hour)
	}
	p.inflight = append(p.inflight, acked)
	p.stats.VoiceSent++
	p.stats.BytesSent += uint64(len(b))
	return nil
}

// mayWriteLocked: while nothing is acknowledged, no more is written than fits
// the round trip and 200 ms, and then a probe every 100 ms.
func (p *pair) mayWriteLocked(out, back *edge, now time.Time) bool {
	if !out.isCut && !back.isCut {
		return true
	}
	cutAt := out.cutAt
	if back.isCut && (!out.isCut || back.cutAt.Before(cutAt)) {
		cutAt = back.cutAt
	}
	if now.Sub(cutAt) <= out.cfg.Delay+back.cfg.Delay+unackedBound {
		return true
	}
	if now.Sub(p.lastCongested) < 100*time.Millisecond {
		return false
	}
	p.lastCongested = now
	return true
}

func (p *pair) unackedLocked(now time.Time) int {
	kept := p.inflight[:0]
	for _, at := range p.inflight {
		if at.After(now) {
			kept = append(kept, at)
		}
	}
	p.inflight = kept
	return len(kept)
}

// queuedLocked is how many control messages aren't acknowledged.
func (p *pair) queuedLocked() int { return len(p.pending) + p.onTheWay }

func (p *pair) sendControlLocked(b []byte) error {
	if p.queuedLocked() >= MaxQueuedControl || p.queuedBytes+len(b) > maxQueuedControlBytes {
		return link.ErrCongested
	}
	m := p.packetLocked(kindControl)
	m.length = copy(m.buf[:], b)
	p.queuedBytes += m.length
	if !p.up {
		p.pending = append(p.pending, m)
		return nil
	}
	p.sendPendingLocked(m)
	return nil
}

// sendPendingLocked gives a control message to the network.
func (p *pair) sendPendingLocked(m *packet) {
	m.dst = p.far
	p.onTheWay++
	p.wayBytes = append(p.wayBytes, m.length)
	p.stats.ControlSent++
	p.stats.BytesSent += uint64(m.length)
	p.t.net.sendReliableLocked(m)
}

// dropQueuedLocked forgets control that was meant for another epoch. What is
// on the way is dropped where it arrives.
func (p *pair) dropQueuedLocked() {
	for _, m := range p.pending {
		p.t.net.recycleLocked(m)
	}
	p.pending, p.onTheWay, p.queuedBytes = nil, 0, 0
	p.wayBytes = p.wayBytes[:0]
}
