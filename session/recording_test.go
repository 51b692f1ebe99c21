package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// told is what a member was told about who records until now.
func told(m *member) (all []session.PeerRecording) {
	for len(m.Events()) > 0 {
		if e, ok := (<-m.Events()).(session.PeerRecording); ok {
			all = append(all, e)
		}
	}
	return all
}

// Who records says so to all, those who come later too, until the last recording
// ends; also across Stop and Start.
func TestRecordingIsTold(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		a, b, late := newMember(t, net, 1, nil), newMember(t, net, 2, nil), newMember(t, net, 3, nil)
		defer closeAll(t, a, b, late)
		meet(t, a, b)
		check := func(what string, m *member, records bool, want ...bool) {
			t.Helper()
			time.Sleep(200 * time.Millisecond)
			var events []session.PeerRecording
			for _, r := range want {
				events = append(events, session.PeerRecording{Peer: a.id, Recording: r})
			}
			if got := told(m); !slices.Equal(got, events) || m.peer(t, a).Recording != records || a.Recording() != records || a.Stats().Recording != records {
				t.Errorf("%s: told %+v, records %t; want %v, %t", what, got, m.peer(t, a).Recording, want, records)
			}
		}
		check("at first", b, false)
		first := a.AnnounceRecording()
		check("recording", b, true, true)
		second := a.AnnounceRecording()
		first()
		first()
		check("one of two ended", b, true)
		late.start(t)
		late.joined(t, a)
		a.joined(t, late)
		check("who comes later", late, true, true)
		must(t, a.Stop())
		time.Sleep(200 * time.Millisecond)
		a.start(t)
		a.joined(t, b)
		b.joined(t, a)
		check("after Stop and Start", b, true)
		second()
		check("the last one ended", b, false, false)
		must(t, a.Stop())
		a.start(t)
		a.joined(t, b)
		check("and it stays so", b, false)
	})
}

// A state that doesn't speak of it changes nothing.
func TestRecordingStaysUntilItIsSaid(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil)
		defer closeAll(t, m)
		m.start(t)
		r := newRogue(t, net, 3, m)
		for _, c := range []struct {
			state *wire.State
			want  []session.PeerRecording
		}{
			{&wire.State{Recording: new(true)}, []session.PeerRecording{{Peer: r.Self(), Recording: true}}},
			{&wire.State{Muted: new(true)}, nil},
			{&wire.State{Recording: new(false)}, []session.PeerRecording{{Peer: r.Self()}}},
		} {
			must(t, r.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_State{State: c.state}})))
			time.Sleep(200 * time.Millisecond)
			if got := told(m); !slices.Equal(got, c.want) {
				t.Errorf("after %v: told %+v", c.state, got)
			}
		}
		must(t, r.Close())
	})
}
