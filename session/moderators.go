package session

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// SetModerators names those whose MuteForAll counts here, in place of
// Config.Moderators and those named before, at most MaxModerators. What others
// decided doesn't count any more, and has to come anew if they are named again.
// All that holds across Stop and Start. Peers are not told; each application names
// its own. It fails with ErrTooMany, and ErrTarget for an ID that doesn't hold its key
// as those of Ed25519 keys do.
func (s *Session) SetModerators(ids ...identity.PeerID) error {
	if err := s.docket.name(ids); err != nil {
		return err
	}
	s.ruled()
	return nil
}

// Moderators returns those named.
func (s *Session) Moderators() []identity.PeerID {
	return slices.Clone(s.docket.now.Load().moderators)
}

// MuteForAll has a peer heard by nobody who names this side a moderator, here
// neither, as if each of them had blocked its voice: it isn't decoded. It is told so,
// if its application names this side too, and says nothing then until that is over. It
// still hears, and may send texts. The reason, at most 128 bytes, is for people.
//
// That is signed, and passed on by all who know it to those who come later, also when
// this side is gone. The newest counts of what all moderators said about a peer. It is
// over with UnmuteForAll by any of them, or after RulingLife.
//
// It fails with ErrNotModerator if this side isn't named in SetModerators or there is
// no Config.Sign, ErrTarget for ourselves, what is no peer's ID, and a reason that is
// too long or no UTF-8, ErrTooMany beyond MaxRulings peers, ErrNotStarted, ErrClosed,
// or the error of Config.Sign.
func (s *Session) MuteForAll(id identity.PeerID, reason string) error {
	return s.rule(&wire.Ruling{Peer: []byte(id), Muted: true, Reason: reason})
}

// UnmuteForAll ends that, whichever moderator said it. It fails as MuteForAll does.
func (s *Session) UnmuteForAll(id identity.PeerID) error {
	return s.rule(&wire.Ruling{Peer: []byte(id)})
}

// rule signs a ruling and tells all.
func (s *Session) rule(r *wire.Ruling) error {
	d, self, about := &s.docket, s.Self(), identity.PeerID(r.Peer)
	if _, err := s.running(); err != nil {
		return err
	}
	switch {
	case !d.now.Load().isModerator(self):
		return fmt.Errorf("%w: it isn't among those that SetModerators names", ErrNotModerator)
	case s.cfg.Sign == nil:
		return fmt.Errorf("%w: there is no Config.Sign", ErrNotModerator)
	case about == "" || len(about) > wire.MaxPeerID || about == self:
		return fmt.Errorf("%w: nobody else", ErrTarget)
	case len(r.Reason) > wire.MaxReason || !utf8.ValidString(r.Reason):
		return fmt.Errorf("%w: a reason is at most %d bytes of UTF-8", ErrTarget, wire.MaxReason)
	}
	d.signing.Lock()
	defer d.signing.Unlock()
	now := time.Now()
	r.Moderator, r.TimeUs = []byte(self), d.next(about, now)
	signature, err := s.cfg.Sign(r.Signed(d.session))
	if err != nil {
		return fmt.Errorf("session: sign a ruling: %w", err)
	}
	r.Signature = signature
	if err := d.take(r, now); err != nil {
		return fmt.Errorf("%w: %w", ErrNotModerator, err)
	}
	s.ruled()
	return nil
}
