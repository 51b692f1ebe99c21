package session

import (
	"context"
	"testing"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/sessiontest"
)

// choosy is a transport that takes every peer but one.
type choosy struct{ loop }

func (choosy) Join(id identity.PeerID) error {
	if id == "bad" {
		return link.ErrInvalidPeer
	}
	return nil
}

// What the application wants of a peer is kept while it is away; of all others
// nothing stays, however many come and go.
func TestSettingsStayOnlyWhereSomethingIsSet(t *testing.T) {
	s, err := New(Config{Transport: &choosy{}, Codec: &sessiontest.Codec{}})
	if err != nil {
		t.Fatal(err)
	}
	kept := func(when string, want int) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := len(s.settings); got != want {
			t.Errorf("%s: settings of %d peers, want %d", when, got, want)
		}
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = s.PeerJoined("bad")
	_, _ = s.PeerMuted("asked"), s.PeerVolume("asked")
	kept("a refused peer and one asked for", 0)
	for _, id := range []identity.PeerID{"a", "b", "c"} {
		if err := s.PeerJoined(id); err != nil {
			t.Fatal(err)
		}
	}
	s.SetPeerMuted("b", true)
	kept("three peers", 3)
	_, _ = s.PeerLeft("a"), s.PeerLeft("b")
	kept("two left, one of them muted", 2)
	removeTap := s.TapPeer("c", func(*audio.Block) {})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	kept("after Stop a muted peer and a tapped one", 2)
	removeTap()
	s.SetPeerVolume("b", 0.5)
	s.SetPeerMuted("b", false)
	kept("one with a volume", 1)
	if s.PeerMuted("b") || s.PeerVolume("b") != 0.5 {
		t.Errorf("muted %t, volume %g", s.PeerMuted("b"), s.PeerVolume("b"))
	}
	s.SetPeerVolume("b", 1)
	kept("nothing is wanted any more", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
