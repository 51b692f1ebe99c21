package session

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/identity"
)

// roster is the list of the peers of one conversation. Readers take what is
// there without a lock; writers replace it.
type roster struct {
	mu  sync.Mutex // orders writers
	now atomic.Pointer[rosterView]
}

type rosterView struct {
	order []*peer
	byID  map[identity.PeerID]*peer
}

// list returns the peers in the order in which they joined; it is not to be
// changed.
func (r *roster) list() []*peer {
	if v := r.now.Load(); v != nil {
		return v.order
	}
	return nil
}

// get returns the peer, or nil.
func (r *roster) get(id identity.PeerID) *peer {
	if v := r.now.Load(); v != nil {
		return v.byID[id]
	}
	return nil
}

func (r *roster) add(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(append(slices.Clone(r.list()), p))
}

func (r *roster) remove(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(slices.DeleteFunc(slices.Clone(r.list()), func(q *peer) bool { return q == p }))
}

func (r *roster) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(nil)
}

func (r *roster) replace(order []*peer) {
	byID := make(map[identity.PeerID]*peer, len(order))
	for _, p := range order {
		byID[p.id] = p
	}
	r.now.Store(&rosterView{order: order, byID: byID})
}
