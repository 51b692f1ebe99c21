package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/session"
)

// However often one changes to whom one speaks, no channel is left behind; and it
// works at the limit of channels, as far as there is room for both.
func TestNoChannelIsLeftBehind(t *testing.T) {
	visit(t, options{hear: []string{"red", "green"}, speak: []string{"red", "green", "blue"}}, func(t *testing.T, h *house) {
		if err := h.enterRooms(); err != nil {
			t.Fatal(err)
		}
		if got, want := h.command("rooms"), `you hear what is said to everyone and to you alone, and in ["red" "green"]; you speak in room "red" and in room "green" and in room "blue"`; got != want {
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
		if got := h.command("speak red"); !strings.HasSuffix(got, `you speak in room "red"`) {
			t.Errorf("in the place of the channel to everyone: %q", got)
		}
		if got := h.command("speak green"); !strings.Contains(got, session.ErrTooMany.Error()) {
			t.Errorf("without room for a channel: %q", got)
		}
		if got := h.command("rooms"); !strings.HasSuffix(got, `you speak in room "red"`) {
			t.Errorf("after that: %q", got)
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
