package session

import (
	"fmt"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// Why says in a sentence why a peer isn't heard, or that it is, and in others why
// it doesn't hear us, if it could be, and what is to be known of the way to it, if
// anything.
func (s *Session) Why(id identity.PeerID) string {
	c := s.current()
	switch {
	case c == nil:
		return "The session is not started."
	case id == s.Self():
		return "This is ourselves."
	}
	p := c.roster.get(id)
	if p == nil {
		return "The application has not said that this peer joined."
	}
	why := c.why(p) + c.whyUnheard(p)
	if path := c.transport.Path(id); path.Kind != link.None && path.Reason != "" {
		why += fmt.Sprintf(" The way to it is %s: %s.", path.Kind, wire.Clean(path.Reason, maxPathText))
	}
	return why
}

func (c *conversation) why(p *peer) string {
	path := cleanPath(c.transport.Path(p.id))
	wish, view := p.settings.now(), c.s.space.now()
	place := p.hearing.place(&view, &wish)
	speaking := p.hearing.speaking.Load()
	received := p.player.jitterStats().Received
	speaker := c.speaker.why()
	ruled := c.s.docket.about(p.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &p.greeting
	switch {
	case p.gone != "" && !g.announced:
		return fmt.Sprintf("It took leave (%s) and has not come back.", p.gone)
	case path.Kind == link.None:
		return fmt.Sprintf("There is no way to it: %s.", path.Reason)
	case !g.received:
		return "It is connected, but has not greeted us: its application may not have been told yet that we joined."
	case g.incompatible != "":
		return fmt.Sprintf("We can't understand each other: %s.", g.incompatible)
	case p.settings.blocked.Load():
		return "We have blocked it."
	case ruled.mutes():
		return fmt.Sprintf("It was muted for all by %s.", ruled.because())
	case !g.sent:
		return "It greeted us, our own greeting is on its way."
	case c.s.Deafened():
		return "We are deafened."
	case !c.speaker.open || speaker != "":
		return fmt.Sprintf("Our speaker doesn't work: %s.", speaker)
	case wish.gain == 0:
		return "It is muted or turned down to nothing here."
	case place.Gain == 0:
		return "It is too far away to be heard, or speaks through what it has turned down to nothing."
	case speaking:
		return "It is heard."
	case p.remote.muted:
		return "It has muted itself."
	case received == 0:
		return "It can be reached and has not said anything yet." + p.refusalsLocked(c)
	}
	return "It can be reached and is silent." + p.refusalsLocked(c)
}

// whyUnheard says why a peer to which there is a way isn't sent what we say; empty
// if it is, or if that is clear.
func (c *conversation) whyUnheard(p *peer) string {
	if r := c.s.docket.about(c.self); r.mutes() {
		return fmt.Sprintf(" It doesn't hear us: we were muted for all by %s.", r.because())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reached || !p.upLocked() || p.settings.blocked.Load() {
		return ""
	}
	why, w := "", c.s.wishes()
	for _, k := range p.claimsLocked(c) {
		if err := p.allowedLocked(c, k.action, k.to); k.action == ToListen && err != nil {
			why += fmt.Sprintf(" It may not hear what is said %s: %s.", k.to, wire.Clean(err.Error(), wire.MaxReason))
		}
	}
	far := p.whyFarLocked(w)
	switch {
	case why != "":
	case far != "":
		why = far
	case len(w.targets) == 0:
		why = " It doesn't hear us: no channel is open."
	default:
		why = " It doesn't hear us: it listens to none of the rooms that we speak to."
	}
	return why
}
