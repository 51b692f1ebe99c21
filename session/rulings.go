package session

import (
	"errors"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// ruled acts on what moderators decided, before it returns.
func (s *Session) ruled() {
	conv := s.current()
	if conv == nil {
		return
	}
	conv.readdressAll()
}

// rulings is what a peer knows of what moderators decided, and how far it can be
// believed. It is guarded by peer.mu.
type rulings struct {
	takes  bool                 // it has the capability
	seen   *docketView          // all of it was told the peer
	told   map[rulingKey]uint64 // the time of the newest that it was told, or told us
	toldAt time.Time
	forged int // signatures of it that were wrong, in this epoch

	applied *ruling // about the peer, that the application was told of
}

// newEpoch begins anew, but for what the application was told.
func (k *rulings) newEpoch() { *k = rulings{applied: k.applied} }

const (
	rulingsAtOnce = 8
	rulingsPause  = 100 * time.Millisecond
	mostForged    = 8 // then nothing more is taken of a peer
)

// sendRulings tells a peer what moderators decided, as far as it doesn't know. It is
// runControl's.
func (c *conversation) sendRulings(p *peer, now time.Time) {
	v := c.s.docket.now.Load()
	p.mu.Lock()
	k := &p.rulings
	due := p.upLocked() && k.takes && k.seen != v && now.Sub(k.toldAt) >= rulingsPause
	var list []*ruling
	if due {
		list = k.missing(v)
		k.toldAt = now
		if len(list) == 0 {
			k.seen = v
		}
	}
	epoch := p.epoch
	p.mu.Unlock()
	for _, r := range list {
		if !c.sendControl(p, &wire.Control{Kind: &wire.Control_Ruling{Ruling: r.signed}}) {
			return
		}
		p.mu.Lock()
		if p.epoch == epoch {
			k.note(r.key, r.at)
		}
		p.mu.Unlock()
	}
}

// missing is what a peer doesn't know, as much as is told at once. What isn't kept
// any more is forgotten here too.
func (k *rulings) missing(v *docketView) (list []*ruling) {
	kept := make(map[rulingKey]uint64, len(v.all))
	for _, r := range v.all {
		kept[r.key] = k.told[r.key]
		if k.told[r.key] < r.at && len(list) < rulingsAtOnce {
			list = append(list, r)
		}
	}
	k.told = kept
	return list
}

func (k *rulings) note(key rulingKey, at uint64) {
	if k.told == nil {
		k.told = make(map[rulingKey]uint64)
	}
	k.told[key] = max(k.told[key], at)
}

// heardRuling takes what a peer passes on.
func (c *conversation) heardRuling(p *peer, m *wire.Ruling) {
	p.mu.Lock()
	greeted, believed := p.greeting.received, p.rulings.forged < mostForged
	p.mu.Unlock()
	if !greeted {
		c.control.malformed.Add(1)
		return
	}
	docket := &c.s.docket
	err := errNoRuling
	if believed {
		err = docket.take(m, time.Now())
	}
	key := rulingKey{identity.PeerID(m.GetModerator()), identity.PeerID(m.GetPeer())}
	p.mu.Lock()
	switch {
	case errors.Is(err, identity.ErrSignature):
		p.rulings.forged++
	case err == nil, errors.Is(err, errOldRuling) && docket.knows(key):
		p.rulings.note(key, m.GetTimeUs())
	}
	p.mu.Unlock()
	switch {
	case err == nil:
		c.log.Info("ruling of a moderator", "moderator", key.by, "peer", key.about, "muted", m.GetMuted())
		c.s.ruled()
	case errors.Is(err, errNoRuling):
		c.control.rulingsRefused.Add(1)
		c.log.Debug("ruling refused", "from", p.id, "error", err)
	}
}

func (d *docket) knows(key rulingKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last[key] != nil
}

// lookAtRulings forgets what is over, and tells the application what was decided
// about this side. It is runControl's.
func (c *conversation) lookAtRulings(now time.Time) {
	if c.s.docket.expire(now) {
		c.s.ruled()
	}
	if r := c.s.docket.about(c.self); !r.sameAs(c.ruledSelf) {
		c.ruledSelf = r
		c.emit(r.event(c.self))
	}
}

// tellRuling tells the application what was decided about a peer, once it is here. It
// is runControl's, so that the last that is told is what counts.
func (c *conversation) tellRuling(p *peer) {
	r := c.s.docket.about(p.id)
	p.mu.Lock()
	news := p.greeting.announced && !r.sameAs(p.rulings.applied)
	if news {
		p.rulings.applied = r
	}
	p.mu.Unlock()
	if news {
		c.emit(r.event(p.id))
	}
}

// because is how a ruling ends a sentence.
func (r *ruling) because() string {
	by := "a moderator, " + r.key.by.String()
	if r.reason == "" {
		return by + ", and gives no reason"
	}
	return by + ": " + r.reason
}
