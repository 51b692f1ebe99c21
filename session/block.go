package session

import (
	"cmp"
	"slices"

	"github.com/parley-voice/parley/identity"
)

// SetPeerBlocked blocks a peer or takes that back: it isn't heard here, nor sent
// what is said or written here. The peer isn't told why: to it we look muted and deafened,
// and listen to no room. What it sends all the same is dropped unread. It holds
// until it is taken back, also while the peer is away; to keep it longer, store
// BlockedPeers.
func (s *Session) SetPeerBlocked(id identity.PeerID, blocked bool) {
	changed := false
	s.change(id, func(set *peerSettings) { changed = set.blocked.Swap(blocked) != blocked })
	conv := s.current()
	if !changed || conv == nil {
		return
	}
	if p := conv.roster.get(id); p != nil {
		conv.reblock(p)
	}
}

// reblock acts on a peer's having been blocked, or the reverse.
func (c *conversation) reblock(p *peer) {
	p.mu.Lock()
	c.readdressLocked(p)
	p.greeting.stateDue = true
	p.mu.Unlock()
	c.wakeControl()
}

// PeerBlocked reports whether a peer is blocked.
func (s *Session) PeerBlocked(id identity.PeerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settings[id]
	return set != nil && set.blocked.Load()
}

// BlockedPeers returns all peers that are blocked, present or not, in order of
// their IDs.
func (s *Session) BlockedPeers() (ids []identity.PeerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, set := range s.settings {
		if set.blocked.Load() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b identity.PeerID) int { return cmp.Compare(a, b) })
	return ids
}
