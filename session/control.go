package session

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

const (
	controlTick    = 100 * time.Millisecond // how often devices are looked at
	reportInterval = 500 * time.Millisecond // between two receiver reports to one peer
)

// controlState counts what peers said that makes no sense. For Stats.
type controlState struct {
	malformed    atomic.Uint64
	roomsRefused atomic.Uint64 // rooms beyond those that a peer may listen to

	rulingsRefused atomic.Uint64 // rulings that don't count
}

// runControl sends hellos, states and reports, and watches the devices. It
// ends when done is closed.
func (c *conversation) runControl() {
	tick := time.NewTicker(controlTick)
	defer tick.Stop()
	watch := deviceWatch{}
	for {
		adapts := false
		select {
		case <-c.done:
			return
		case <-c.wake:
		case <-tick.C:
			adapts = true
			watch.look(c)
			c.tellMissed(time.Now())
			c.s.events.flush()
		}
		now := time.Now()
		c.lookAtRulings(now)
		for _, p := range c.roster.list() {
			c.sendHello(p)
			c.sendState(p)
			c.lookAtRooms(p, now)
			c.lookAtMessages(p, now)
			c.sendRulings(p, now)
			c.tellRuling(p)
			c.sendReport(p, now)
		}
		if adapts {
			c.sharePoses(now)
			c.lookAround()
			c.adapt(now)
		}
	}
}

// tellMissed tells of peers that could not be reached since they joined.
func (c *conversation) tellMissed(now time.Time) {
	for _, p := range c.roster.list() {
		if p.missed(now) {
			c.emit(PeerUnreachable{Peer: p.id, Reason: cleanPath(c.transport.Path(p.id)).Reason})
		}
	}
}

// sendHello sends our hello if it is due. Ours comes before anything else of
// an epoch; what the link doesn't take now is sent at the next tick.
func (c *conversation) sendHello(p *peer) {
	p.mu.Lock()
	due, epoch := p.greeting.helloDue, p.path.Epoch
	p.mu.Unlock()
	if !due {
		return
	}
	hello := &wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{
		Version:       wire.Version,
		OldestVersion: wire.OldestVersion,
		Codecs:        []string{c.cfg.Codec.Name()},
		Name:          wire.Clip(c.cfg.Name, wire.MaxName),
		State:         c.ownState(p),
		Rooms:         c.s.wishes().used,
		Capabilities:  []string{wire.Messages, wire.Rulings, wire.Bundles},
	}}}
	if !c.sendControl(p, hello) {
		return
	}
	p.mu.Lock()
	var events []Event
	if p.path.Epoch == epoch && p.greeting.helloDue { // neither a new epoch nor a bye came meanwhile
		p.greeting.helloDue = false
		p.greeting.sent = true
		events = p.updateLocked()
	}
	p.mu.Unlock()
	c.emitAll(events)
}

func (c *conversation) ownState(p *peer) *wire.State {
	blocked := p.settings.blocked.Load()
	muted, deafened := c.s.Muted() || blocked, c.s.Deafened() || blocked
	delay := uint32(c.captureDelay() / time.Microsecond)
	state := &wire.State{Muted: &muted, Deafened: &deafened, CaptureDelayUs: &delay}
	if c.s.recording.ever.Load() {
		records := c.s.Recording()
		state.Recording = &records
	}
	return state
}

// announceState has every peer told what changed here.
func (c *conversation) announceState() {
	for _, p := range c.roster.list() {
		p.mu.Lock()
		p.greeting.stateDue = true
		p.mu.Unlock()
	}
	c.wakeControl()
}

func (c *conversation) sendState(p *peer) {
	p.mu.Lock()
	due := p.greeting.stateDue && p.greeting.sent
	if due {
		p.greeting.stateDue = false
	}
	p.mu.Unlock()
	if due && !c.sendControl(p, &wire.Control{Kind: &wire.Control_State{State: c.ownState(p)}}) {
		p.mu.Lock()
		p.greeting.stateDue = true
		p.mu.Unlock()
	}
}

// sayBye takes leave of everybody; the transport's Close delivers it.
func (c *conversation) sayBye() {
	for _, p := range c.roster.list() {
		c.sendBye(p, "stopped")
	}
}

func (c *conversation) sendBye(p *peer, reason string) {
	p.mu.Lock()
	greeted := p.greeting.sent
	p.mu.Unlock()
	if greeted {
		c.sendControl(p, &wire.Control{Kind: &wire.Control_Bye{Bye: &wire.Bye{Reason: reason}}})
	}
}

func (c *conversation) sendControl(p *peer, m *wire.Control) bool {
	b, err := wire.Marshal(m)
	if err == nil {
		err = c.transport.SendControl(p.id, b)
	}
	if err != nil {
		c.log.Debug("control message not sent", "peer", p.id, "error", err)
	}
	return err == nil
}

// Control takes a control message. It is part of the link.Handler. Who took
// leave has nothing more to say in the same epoch.
func (c *conversation) Control(id identity.PeerID, b []byte) {
	p := c.roster.get(id)
	if p == nil || p.tookLeave() {
		return
	}
	m, err := wire.Unmarshal(b)
	if err != nil {
		c.control.malformed.Add(1)
		c.log.Debug("malformed control message", "peer", id, "error", err)
		return
	}
	switch kind := m.GetKind().(type) {
	case *wire.Control_Hello:
		c.heardHello(p, kind.Hello)
	case *wire.Control_State:
		c.heardState(p, kind.State)
	case *wire.Control_Report:
		c.heardReport(p, kind.Report)
	case *wire.Control_Rooms:
		c.heardRooms(p, kind.Rooms)
	case *wire.Control_Part:
		c.heardPart(p, kind.Part)
	case *wire.Control_Taken:
		c.heardTaken(p, kind.Taken)
	case *wire.Control_Ruling:
		c.heardRuling(p, kind.Ruling)
	case *wire.Control_Pose:
		c.heardPose(p, kind.Pose)
	case *wire.Control_Bye:
		c.heardBye(p, kind.Bye)
	}
}

func (c *conversation) heardHello(p *peer, h *wire.Hello) {
	p.mu.Lock()
	g := &p.greeting
	g.received = true
	before := g.incompatible
	g.incompatible = incompatibility(h, c.cfg.Codec.Name())
	p.rooms.follows = h.GetRooms()
	p.remote.name = wire.Clean(h.GetName(), wire.MaxName)
	p.rulings.takes = slices.Contains(h.GetCapabilities(), wire.Rulings)
	p.remote.messages = slices.Contains(h.GetCapabilities(), wire.Messages)
	p.remote.bundles = slices.Contains(h.GetCapabilities(), wire.Bundles)
	p.applyStateLocked(h.GetState())
	c.readdressLocked(p)
	events := p.updateLocked()
	if g.incompatible != "" && g.incompatible != before {
		events = append(events, PeerIncompatible{Peer: p.id, Reason: g.incompatible})
	}
	p.mu.Unlock()
	c.emitAll(events)
}

// incompatibility says why a peer with this hello can't be talked to; empty if
// it can.
func incompatibility(h *wire.Hello, codec string) string {
	switch {
	case h.GetOldestVersion() > wire.Version:
		return fmt.Sprintf("it speaks version %d of the protocol or later, we %d: this side must be updated", h.GetOldestVersion(), wire.Version)
	case h.GetVersion() < wire.OldestVersion:
		return fmt.Sprintf("it speaks version %d of the protocol, we %d or later: the other side must be updated", h.GetVersion(), wire.OldestVersion)
	case !slices.Contains(h.GetCodecs(), codec):
		return fmt.Sprintf("it doesn't understand our codec %q", codec)
	}
	return ""
}

func (c *conversation) heardState(p *peer, s *wire.State) {
	p.mu.Lock()
	p.applyStateLocked(s)
	events := p.updateLocked()
	p.mu.Unlock()
	c.emitAll(events)
}

func (p *peer) applyStateLocked(s *wire.State) {
	if s == nil {
		return
	}
	if s.Muted != nil {
		p.remote.muted = s.GetMuted()
	}
	if s.Deafened != nil {
		p.remote.deafened = s.GetDeafened()
	}
	if s.Recording != nil {
		p.remote.recording = s.GetRecording()
	}
	if s.CaptureDelayUs != nil {
		p.remote.captureDelay = min(time.Duration(s.GetCaptureDelayUs())*time.Microsecond, 10*time.Second)
	}
}

func (c *conversation) heardBye(p *peer, b *wire.Bye) {
	p.mu.Lock()
	first := p.gone == ""
	p.gone = wire.Clean(b.GetReason(), wire.MaxReason)
	if p.gone == "" {
		p.gone = "left"
	}
	reason := p.gone
	p.deliverLocked(c) // what it said before
	p.outbox.resetLocked()
	p.letters.newEpoch()
	p.rulings.newEpoch()
	p.greeting = greeting{over: true}
	p.rooms, p.verdicts = peerRooms{}, verdicts{}
	p.hearing.ungreeted.Store(0)
	p.listener.wants.Store(wantsNothing)
	p.hearing.understood.Store(false)
	p.hearing.announced.Store(false)
	p.mu.Unlock()
	if first {
		c.emit(PeerGone{Peer: p.id, Reason: reason})
	}
}
