package session

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

func newDocket(t *testing.T, moderators ...identity.PeerID) *docket {
	t.Helper()
	d := &docket{session: "x", last: make(map[rulingKey]*ruling)}
	if err := d.name(moderators); err != nil {
		t.Fatal(err)
	}
	return d
}

func signedRuling(t *testing.T, n int, about identity.PeerID, muted bool, at time.Time) *wire.Ruling {
	t.Helper()
	r := &wire.Ruling{Moderator: []byte(sessiontest.PeerID(n)), Peer: []byte(about), Muted: muted, TimeUs: uint64(at.UnixMicro())}
	var err error
	if r.Signature, err = sessiontest.Sign(n)(r.Signed("x")); err != nil {
		t.Fatal(err)
	}
	return r
}

// A ruling counts for its time, and leaves room when it is over.
func TestRulingsLapse(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	d := newDocket(t, sessiontest.PeerID(1))
	if err := d.take(signedRuling(t, 1, "a", true, now), now); err != nil {
		t.Fatal(err)
	}
	if err := d.take(signedRuling(t, 1, "b", true, now.Add(time.Hour)), now); err != nil {
		t.Fatal(err)
	}
	last := now.Add(RulingLife - time.Microsecond)
	if d.expire(last) || !d.about("a").mutes() {
		t.Error("over too early")
	}
	if !d.expire(now.Add(RulingLife)) || d.about("a") != nil || !d.about("b").mutes() {
		t.Errorf("about a %+v, about b %+v", d.about("a"), d.about("b"))
	}
	if err := d.take(signedRuling(t, 1, "a", true, now), now.Add(RulingLife)); !errors.Is(err, errNoRuling) {
		t.Errorf("what is over came again: %v", err)
	}
	if d.expire(now.Add(RulingLife)) || !d.expire(now.Add(2*RulingLife)) || len(d.last) != 0 {
		t.Errorf("%d are kept", len(d.last))
	}
}

// A moderator whose clock is behind those of others can still change what they said.
func TestANewRulingIsLaterThanAllThatAreKnown(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	d := newDocket(t, sessiontest.PeerID(1), sessiontest.PeerID(2))
	ahead := now.Add(3 * time.Hour)
	if err := d.take(signedRuling(t, 1, "a", true, ahead), now); err != nil {
		t.Fatal(err)
	}
	at := d.next("a", now)
	if at != uint64(ahead.UnixMicro())+1 || d.next("b", now) != uint64(now.UnixMicro()) {
		t.Errorf("the next is at %d", at)
	}
	if err := d.take(signedRuling(t, 2, "a", false, time.UnixMicro(int64(at))), now); err != nil || d.about("a").mutes() {
		t.Errorf("%v; muted %t", err, d.about("a").mutes())
	}
	if err := d.name([]identity.PeerID{sessiontest.PeerID(1)}); err != nil || !d.about("a").mutes() {
		t.Errorf("without the one that took it back: %v; muted %t", err, d.about("a").mutes())
	}
}
