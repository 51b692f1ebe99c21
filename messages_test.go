package parley_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/session"
)

// nextOf returns the next event of type E, for which a condition holds.
func nextOf[E session.Event](t *testing.T, v *parley.Voice, is func(E) bool) E {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e := <-v.Events():
			if found, ok := e.(E); ok && is(found) {
				return found
			}
		case <-timeout:
			var none E
			t.Fatalf("no %T came", none)
		}
	}
}

// Over real streams: long data come whole in the order in which they were sent, and what
// a moderator decided is signed by the host's key.
func TestMessagesAndRulingsOverStreams(t *testing.T) {
	a, b := newHost(t), newHost(t)
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
	cfg := quiet("a game")
	cfg.Moderators = []peer.ID{a.ID()}
	anna, err := parley.New(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ben, err := parley.New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(anna.Start(t.Context()), ben.Start(t.Context()), anna.PeerJoined(b.ID()), ben.PeerJoined(a.ID())); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), session.MaxData/16)
	for i := range 4 {
		data[0] = byte(i)
		if err := anna.SendData(session.Everyone(), "map", data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		got := nextOf(t, ben, func(session.DataReceived) bool { return true })
		if data[0] = byte(i); !bytes.Equal(got.Data, data) || got.Topic != "map" || got.Peer != a.ID() {
			t.Errorf("as number %d came %d bytes about %q", i, len(got.Data), got.Topic)
		}
	}
	if err := errors.Join(anna.MuteForAll(b.ID(), "enough"), anna.SendText(session.Whisper(b.ID()), "sorry")); err != nil {
		t.Fatal(err)
	}
	muted := nextOf(t, ben, func(e session.Moderated) bool { return e.Muted })
	if muted != (session.Moderated{Peer: b.ID(), By: a.ID(), Muted: true, Reason: "enough"}) || !ben.Stats().Moderated {
		t.Errorf("ben was told %+v", muted)
	}
	if err := ben.MuteForAll(a.ID(), ""); !errors.Is(err, session.ErrNotModerator) {
		t.Errorf("ben moderates: %v", err)
	}
	if err := anna.UnmuteForAll(b.ID()); err != nil {
		t.Fatal(err)
	}
	nextOf(t, ben, func(e session.Moderated) bool { return !e.Muted })
	if got := ben.Stats().RulingsRefused + anna.Stats().RulingsRefused; got != 0 {
		t.Errorf("%d rulings were refused", got)
	}
	if err := errors.Join(anna.Close(), ben.Close()); err != nil {
		t.Error(err)
	}
}
