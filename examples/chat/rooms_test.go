package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// played is how much a session has heard of a peer.
func played(s *session.Session, of identity.PeerID) time.Duration {
	for _, p := range s.Stats().Peers {
		if p.ID == of {
			return time.Duration(p.Jitter.PlayedSamples) * time.Second / audio.SampleRate
		}
	}
	return 0
}

// hearing tells who hears whom of three in the second to come: "ab" is that a hears
// b. Whoever is heard for a part of it only has a question mark.
func (h *house) hearing(all map[string]*session.Session) string {
	h.passes(300 * time.Millisecond) // until a change has arrived
	before := map[string]time.Duration{}
	pairs := []string{"hb", "hc", "bh", "bc", "ch", "cb"}
	of := func(pair string) time.Duration { return played(all[pair[:1]], all[pair[1:]].Self()) }
	for _, pair := range pairs {
		before[pair] = of(pair)
	}
	h.passes(time.Second)
	var heard []string
	for _, pair := range pairs {
		switch d := of(pair) - before[pair]; {
		case d > 900*time.Millisecond:
			heard = append(heard, pair)
		case d > 0:
			heard = append(heard, pair+"?")
		}
	}
	return strings.Join(heard, " ")
}

// What is typed about rooms and whispers holds for who hears us and whom we hear.
func TestRoomsAndWhispersByCommand(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		ben, clara := h.comes(t, 1, "ben"), h.comes(t, 2, "clara")
		if err := ben.PeerJoined(clara.Self()); err != nil {
			t.Fatal(err)
		}
		if err := clara.PeerJoined(ben.Self()); err != nil {
			t.Fatal(err)
		}
		if err := ben.Listen("red team"); err != nil {
			t.Fatal(err)
		}
		if err := clara.Listen("hall"); err != nil {
			t.Fatal(err)
		}
		if _, err := clara.Speak(session.Room("hall")); err != nil {
			t.Fatal(err)
		}
		h.passes(time.Second)
		all := map[string]*session.Session{"h": h.voice.Session, "b": ben, "c": clara}
		const everyRoom = "you hear every room; you speak "
		whisper := "to " + clara.Self().String() + " alone"
		for _, c := range []struct{ line, answer, hear string }{
			{"rooms", everyRoom + "to everyone", "hb hc bh ch cb"},
			{"speak red team", everyRoom + `in room "red team"`, "hb hc bh cb"},
			{"whisper clara", everyRoom + whisper, "hb hc ch cb"},
			{"whisper anna", nobodyIs("anna"), "hb hc ch cb"},
			{"speak " + strings.Repeat("x", session.MaxRoomName+1), "room's name", "hb hc ch cb"},
			{"whisper " + tail(clara.Self()), everyRoom + `in room "red team"`, "hb hc bh cb"},
			{"whisper clara", everyRoom + whisper, "hb hc ch cb"},
			{"speak  hall ", everyRoom + `in room "red team" and in room "hall"`, "hb hc bh ch cb"},
			{"speak red team", everyRoom + `in room "hall"`, "hb hc ch cb"},
			{"speak", "Type help", "hb hc ch cb"},
			{"hear green", `you hear rooms ["green"]; you speak in room "hall"`, "hb ch cb"},
			{"hear hall", `you hear rooms ["green" "hall"]`, "hb hc ch cb"},
			{"leave hall", `you hear rooms ["green"]`, "hb ch cb"},
			{"leave green", "you hear rooms []", "hb ch cb"},
			{"hear all", everyRoom, "hb hc ch cb"},
			{"speak all", everyRoom + "to everyone", "hb hc bh ch cb"},
		} {
			if got := h.command(c.line); !strings.Contains(got, c.answer) {
				t.Errorf("%s: answered %q, want %q", c.line, got, c.answer)
			}
			if got := h.hearing(all); got != c.hear {
				t.Errorf("%s: hear each other: %s, want %s", c.line, got, c.hear)
			}
		}
	})
}

// However often one changes to whom one speaks, no channel is left behind; and it
// works at the limit of channels, as far as there is room for both.
func TestNoChannelIsLeftBehind(t *testing.T) {
	visit(t, options{hear: []string{"red", "green"}, speak: []string{"red", "green", "blue"}}, func(t *testing.T, h *house) {
		if err := h.enterRooms(); err != nil {
			t.Fatal(err)
		}
		if got, want := h.command("rooms"), `you hear rooms ["red" "green"]; you speak in room "red" and in room "green" and in room "blue"`; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		for i := range 3 * session.MaxOpenChannels {
			h.command(fmt.Sprintf("speak %d", i))
			h.command("speak all")
		}
		for range session.MaxOpenChannels - 1 { // one is ours
			if _, err := h.voice.Speak(session.Everyone()); err != nil {
				t.Fatal(err)
			}
		}
		if got := h.command("speak red"); !strings.Contains(got, session.ErrTooMany.Error()) {
			t.Errorf("without room for a channel: %q", got)
		}
	})
}

func TestTooManyRoomsAreAMistake(t *testing.T) {
	var many []string
	for i := range session.MaxRooms + 1 {
		many = append(many, fmt.Sprint(i))
	}
	for flag, opt := range map[string]options{"--hear": {hear: many}, "--speak": {speak: many}} {
		visit(t, opt, func(t *testing.T, h *house) {
			if err := h.enterRooms(); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %d times: %v", flag, len(many), err)
			}
		})
	}
}
