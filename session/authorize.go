package session

import (
	"errors"
	"slices"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// Claim is what a peer wants and the application decides: see Config.Authorize.
type Claim struct {
	Peer   identity.PeerID // proven by the connection
	Action Action
	To     Target // a room, Everyone, or Whisper of this side
	Token  []byte // what the peer showed for it, at most MaxToken bytes; not to be changed
}

// Action is what a claim is about.
type Action uint8

// The actions.
const (
	ToSpeak  Action = iota // the peer wants to be heard here
	ToListen               // the peer wants to hear what is said here
)

var (
	errUndecided = errors.New("not decided yet")
	errUnchanged = errors.New("session: nothing changes")
)

// verdicts are what the application decided about one peer.
type verdicts struct {
	of     map[claimKey]error // nil for what is allowed
	due    bool               // there may be something to decide
	review bool               // the application wants to be asked again about all
	token  bool               // the peer shows another token than it was decided by
	judged time.Time          // when it had all decided anew by that
}

type claimKey struct {
	action Action
	to     Target
}

// judgeInterval is how often a peer may have all decided anew by showing other
// tokens.
const judgeInterval = time.Second

// allowedLocked returns nil if the peer may, or the reason why not.
func (p *peer) allowedLocked(c *conversation, action Action, to Target) error {
	if c.cfg.Authorize == nil {
		return nil
	}
	err, known := p.verdicts.of[claimKey{action, to}]
	if !known {
		return errUndecided
	}
	return err
}

// Reauthorize has Config.Authorize asked again about all that it decided. Until
// it has answered its former decisions hold.
func (s *Session) Reauthorize() {
	conv := s.current()
	if conv == nil {
		return
	}
	for _, p := range conv.roster.list() {
		p.mu.Lock()
		p.verdicts.review = true
		p.mu.Unlock()
	}
	conv.wakeControl()
}

// judge asks the application about what a peer wants, as far as it has not been
// asked yet.
func (c *conversation) judge(p *peer, now time.Time) {
	if c.cfg.Authorize == nil {
		return
	}
	p.mu.Lock()
	v := &p.verdicts
	if !v.due && !v.review && !v.token {
		p.mu.Unlock()
		return
	}
	v.due = false
	due := p.claimsLocked(c)
	switch shown := v.token && now.Sub(v.judged) >= judgeInterval; {
	case shown:
		v.judged = now
		fallthrough
	case v.review:
		v.review, v.token = false, false
	default:
		due = slices.DeleteFunc(due, func(k claimKey) bool { _, known := v.of[k]; return known })
	}
	epoch, token := p.epoch, p.rooms.token
	p.mu.Unlock()
	if len(due) == 0 {
		return
	}
	decided := make(map[claimKey]error, len(due))
	for _, k := range due {
		decided[k] = c.cfg.Authorize(Claim{Peer: p.id, Action: k.action, To: k.to, Token: token})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch {
		p.decideLocked(c, decided)
	}
}

// claimsLocked is all that the application must decide about a peer now. About
// who hasn't said yet what it shows there is nothing to decide.
func (p *peer) claimsLocked(c *conversation) (due []claimKey) {
	r := &p.rooms
	if !p.greeting.received || r.follows && !r.heard {
		return nil
	}
	w := c.s.wishes()
	due = append(due, claimKey{ToSpeak, Everyone()}, claimKey{ToSpeak, Whisper(c.self)})
	for _, room := range w.rooms {
		due = append(due, claimKey{ToSpeak, Room(room.name)})
	}
	if !w.addressed {
		due = append(due, claimKey{ToListen, Everyone()})
	}
	for _, o := range w.targets {
		if k := (claimKey{ToListen, o.to.anywhere()}); o.to.kind != toPeer && !slices.Contains(due, k) {
			due = append(due, k)
		}
	}
	for _, m := range p.outbox.queue {
		if k := (claimKey{ToListen, m.to}); m.to.kind != toPeer && !slices.Contains(due, k) {
			due = append(due, k)
		}
	}
	return due
}

// decideLocked keeps decisions, and of the former ones those that still matter.
func (p *peer) decideLocked(c *conversation, decided map[claimKey]error) {
	kept := make(map[claimKey]error)
	for _, k := range p.claimsLocked(c) {
		if err, ok := decided[k]; ok {
			kept[k] = err
		} else if err, ok := p.verdicts.of[k]; ok {
			kept[k] = err
		}
	}
	p.verdicts.of = kept
	c.readdressLocked(p)
}

// refusals says in what a peer was refused to speak, and why; empty if in nothing.
func (p *peer) refusalsLocked(c *conversation) (text string) {
	for _, k := range p.claimsLocked(c) {
		err := p.allowedLocked(c, k.action, k.to)
		if k.action != ToSpeak || err == nil {
			continue
		}
		to := k.to.String()
		if k.to.kind == toPeer {
			to = "to us alone"
		}
		text += " It may not speak " + to + ": " + wire.Clean(err.Error(), wire.MaxReason) + "."
	}
	return text
}
