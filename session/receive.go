package session

import (
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// The methods in this file are the link.Handler: they are called by the
// transport, serially for each peer, and must not call it.

// greetingLate is for how long voice may overtake the greeting of its epoch,
// which may have to be sent again.
const greetingLate = 2 * time.Second

// Voice takes a voice packet to the talker's jitter buffer. Who hasn't said in
// time that it speaks our language isn't listened to.
func (c *conversation) Voice(id identity.PeerID, b []byte, at time.Time) {
	p := c.roster.get(id)
	if p == nil {
		return
	}
	h := &p.hearing
	if (h.understood.Load() || int64(at.Sub(c.started)) < h.ungreeted.Load()) && p.admits(b) {
		c.receive(p, b, at)
	}
}

// PathChanged begins a new acquaintance when the far end joined anew, and
// tells the application what became of the way to a peer.
func (c *conversation) PathChanged(id identity.PeerID, path link.Path) {
	p := c.roster.get(id)
	if p == nil {
		return
	}
	path = cleanPath(path)
	p.mu.Lock()
	from := p.path
	p.path = path
	fresh := path.Kind != link.None && path.Epoch != p.epoch
	back := path.Kind != link.None && from.Kind == link.None
	moved := !fresh && !back && way(from) != way(path)
	if moved || back {
		p.report.moved()
	}
	if back {
		p.report.start = easyStart{} // what comes after an interruption may be a new connection
	}
	var events []Event
	if fresh {
		if p.greeting.announced {
			events = append(events, PeerUnreachable{Peer: id, Reason: "joined anew"})
		}
		p.epoch, p.greeting = path.Epoch, greeting{helloDue: true}
		p.hearing.ungreeted.Store(int64(time.Since(c.started) + greetingLate))
		p.remote = remoteState{}
		p.rooms, p.verdicts, p.shared = peerRooms{}, verdicts{}, sharing{}
		p.outbox.resetLocked()
		p.letters.newEpoch()
		p.rulings.newEpoch()
		c.readdressLocked(p)
		p.report = reportState{before: p.player.jitterStats(), carries: newCongestion()}
		p.listener.plan.Store(0)
	}
	events = append(events, p.updateLocked()...)
	if moved && p.greeting.announced {
		events = append(events, PathChanged{Peer: id, From: from, To: path})
	}
	p.mu.Unlock()
	if fresh {
		p.settings.tell(claimed{})
	}
	switch {
	case fresh || back:
		// What was under way before an interruption is of no use after it.
		p.player.reset()
	case moved:
		p.player.moved()
	}
	c.emitAll(events)
	if fresh {
		c.wakeControl()
	}
}

// cleanPath makes the texts of a path fit to be shown: the far end may have a
// say in them, as in its address or in the reason for which it closed a
// connection.
func cleanPath(p link.Path) link.Path {
	for _, text := range []*string{&p.Transport, &p.Security, &p.Remote, &p.Reason} {
		*text = wire.Clean(*text, maxPathText)
	}
	return p
}

const maxPathText = 256 // bytes

// way is what makes one path another for the application: not its RTT.
func way(p link.Path) [3]string { return [3]string{p.Kind.String(), p.Transport, p.Remote} }

// Knock tells the application that somebody wants in.
func (c *conversation) Knock(id identity.PeerID) { c.emit(Knocked{Peer: id}) }
