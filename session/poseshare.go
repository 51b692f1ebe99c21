package session

import (
	"time"

	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/session/wire"
)

// minSharePose is the shortest Config.SharePose.
const minSharePose = controlTick

// claimed is where somebody says to be.
type claimed struct {
	known bool
	at    spatial.Vec
}

// sharing is what a peer was told in the present epoch of where we are. It is
// guarded by peer.mu.
type sharing struct {
	told claimed
	when time.Time
}

// sharePoses tells peers where we are, if the application wants that. It is
// runControl's.
func (c *conversation) sharePoses(now time.Time) {
	if c.cfg.SharePose == 0 {
		return
	}
	v := c.s.space.now()
	ours := claimed{known: v.known, at: v.pose.Position}
	for _, p := range c.roster.list() {
		if p.settings.blocked.Load() {
			continue
		}
		p.mu.Lock()
		epoch := p.epoch
		due := p.upLocked() && p.shared.told != ours && now.Sub(p.shared.when) >= c.cfg.SharePose
		p.mu.Unlock()
		if !due || !c.sendControl(p, &wire.Control{Kind: &wire.Control_Pose{Pose: ours.message()}}) {
			continue
		}
		p.mu.Lock()
		if p.epoch == epoch {
			p.shared = sharing{told: ours, when: now}
		}
		p.mu.Unlock()
	}
}

func (c claimed) message() *wire.Pose {
	if !c.known {
		return &wire.Pose{Unknown: true}
	}
	return &wire.Pose{X: c.at.X, Y: c.at.Y, Z: c.at.Z}
}

// heardPose takes note of where a peer says to be. That is looked at when a block is
// mixed and ten times a second, so however often a peer says it, it costs no more.
func (c *conversation) heardPose(p *peer, m *wire.Pose) {
	if c.cfg.SharePose == 0 {
		return
	}
	p.mu.Lock()
	greeted := p.greeting.received
	p.mu.Unlock()
	if !greeted {
		c.control.malformed.Add(1)
		return
	}
	told := claimed{known: !m.GetUnknown()}
	if told.known {
		told.at = spatial.Vec{X: m.GetX(), Y: m.GetY(), Z: m.GetZ()}
	}
	p.settings.tell(told)
}

// tell notes where the peer says to be.
func (set *peerSettings) tell(told claimed) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.told = told
}
