package session

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// How many moderators there may be, and about how many peers each may decide.
const (
	MaxModerators = 16
	MaxRulings    = 64
)

// RulingLife is for how long what a moderator decided counts. One that is dated
// farther into the future is not taken either.
const RulingLife = 24 * time.Hour

// ruling is what a moderator decided about a peer. It is never changed.
type ruling struct {
	key    rulingKey
	muted  bool
	at     uint64 // µs since 1970; by it of two rulings the newer one is told
	reason string // fit to be shown
	signed *wire.Ruling
}

type rulingKey struct{ by, about identity.PeerID }

var (
	errOldRuling = errors.New("session: a newer ruling is known")
	errNoRuling  = errors.New("session: a ruling that doesn't count")
)

// docket is what the moderators whom the application named have decided: of each
// about each peer the newest, that a peer is muted no more included, for otherwise
// an earlier ruling could be brought up again. It holds across Stop and Start.
type docket struct {
	session string     // its name, which signatures are for
	signing sync.Mutex // held while this side makes a ruling, from its time to its place here

	mu         sync.Mutex // guards what follows; now is set under it
	moderators []identity.PeerID
	last       map[rulingKey]*ruling

	now atomic.Pointer[docketView]
}

// docketView is the docket at a moment. It is never changed.
type docketView struct {
	moderators []identity.PeerID
	all        []*ruling                   // in order of their time
	about      map[identity.PeerID]*ruling // the newest of all moderators
}

// about returns what counts about a peer, or nil.
func (d *docket) about(id identity.PeerID) *ruling { return d.now.Load().about[id] }

func (v *docketView) isModerator(id identity.PeerID) bool { return slices.Contains(v.moderators, id) }

// name sets who the moderators are. What others decided doesn't count any more.
func (d *docket) name(moderators []identity.PeerID) error {
	if len(moderators) > MaxModerators {
		return fmt.Errorf("%w: %d moderators", ErrTooMany, len(moderators))
	}
	for _, id := range moderators {
		if len(id) > wire.MaxPeerID || !identity.HoldsKey(id) {
			return fmt.Errorf("%w: a moderator's ID must hold its key, as that of an Ed25519 key does", ErrTarget)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moderators = slices.Clone(moderators)
	maps.DeleteFunc(d.last, func(k rulingKey, _ *ruling) bool { return !slices.Contains(moderators, k.by) })
	d.publishLocked()
	return nil
}

// take adds a ruling that somebody brings. It returns nil if that changes anything,
// errOldRuling if it doesn't, and an error that wraps errNoRuling for what isn't
// signed by its moderator for this session, is out of time or more than may be kept.
// Who is no moderator here is neither right nor wrong: that is errOldRuling too.
func (d *docket) take(m *wire.Ruling, now time.Time) error {
	r := &ruling{
		key:    rulingKey{identity.PeerID(m.GetModerator()), identity.PeerID(m.GetPeer())},
		muted:  m.GetMuted(),
		at:     m.GetTimeUs(),
		reason: wire.Clean(m.GetReason(), wire.MaxReason),
		signed: m,
	}
	v := d.now.Load()
	if !v.isModerator(r.key.by) || !d.isNew(r) {
		return errOldRuling
	}
	if !inTime(r.at, now) {
		return fmt.Errorf("%w: it is of another day", errNoRuling)
	}
	if err := identity.Verify(r.key.by, m.Signed(d.session), m.GetSignature()); err != nil {
		return fmt.Errorf("%w: %w", errNoRuling, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.last[r.key]; !slices.Contains(d.moderators, r.key.by) || old != nil && r.at <= old.at {
		return errOldRuling
	}
	if d.fullLocked(r.key) {
		return fmt.Errorf("%w: %w: %d peers that one moderator decided about", errNoRuling, ErrTooMany, MaxRulings)
	}
	d.last[r.key] = r
	d.publishLocked()
	return nil
}

func (d *docket) isNew(r *ruling) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.last[r.key]
	return old == nil || r.at > old.at
}

// fullLocked tells that a moderator has decided about too many peers to decide about
// one more.
func (d *docket) fullLocked(key rulingKey) bool {
	if d.last[key] != nil {
		return false
	}
	n := 0
	for k := range d.last {
		if k.by == key.by {
			n++
		}
	}
	return n >= MaxRulings
}

// inTime tells whether a ruling of that time counts now.
func inTime(at uint64, now time.Time) bool {
	life := uint64(RulingLife.Microseconds())
	today := uint64(max(0, now.UnixMicro()))
	return at <= today+life && at+life > today
}

// expire forgets what doesn't count any more, and reports whether there was anything.
func (d *docket) expire(now time.Time) bool {
	v := d.now.Load()
	if len(v.all) == 0 || inTime(v.all[0].at, now) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.last, func(_ rulingKey, r *ruling) bool { return !inTime(r.at, now) })
	d.publishLocked()
	return true
}

// next is the time for a new ruling about a peer: later than all that are known.
func (d *docket) next(about identity.PeerID, now time.Time) uint64 {
	at := uint64(max(0, now.UnixMicro()))
	for _, r := range d.now.Load().all {
		if r.key.about == about && r.at >= at {
			at = r.at + 1
		}
	}
	return at
}

func (d *docket) publishLocked() {
	v := &docketView{moderators: d.moderators, about: make(map[identity.PeerID]*ruling)}
	for _, r := range d.last {
		v.all = append(v.all, r)
	}
	slices.SortFunc(v.all, func(a, b *ruling) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key.by, b.key.by), cmp.Compare(a.key.about, b.key.about))
	})
	for _, r := range v.all {
		v.about[r.key.about] = r // the newest comes last
	}
	d.now.Store(v)
}

// mutes tells that a peer isn't to be heard; r may be nil.
func (r *ruling) mutes() bool { return r != nil && r.muted }

// sameAs tells that for the application nothing is other than it was.
func (r *ruling) sameAs(old *ruling) bool { return r == old || !r.mutes() && !old.mutes() }

// event says what counts about a peer now.
func (r *ruling) event(about identity.PeerID) Moderated {
	e := Moderated{Peer: about, Muted: r.mutes()}
	if r != nil {
		e.By, e.Reason = r.key.by, r.reason
	}
	return e
}
