package main

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/session"
)

// Who is muted for all, by whom and why is said in words, and who isn't a moderator
// is told so.
func TestModeratorsAreNamed(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		ben := h.comes(t, 1, "ben")
		h.passes(time.Second)
		self := h.voice.Self()
		for _, c := range []struct {
			event session.Moderated
			want  string
		}{
			{session.Moderated{Peer: ben.Self(), By: self, Muted: true}, `you muted "ben" for all`},
			{session.Moderated{Peer: self, By: ben.Self(), Muted: true, Reason: "noise"}, `"ben" muted you for all: "noise"`},
			{session.Moderated{Peer: self, By: ben.Self()}, "you may be heard by all again"},
			{session.Moderated{Peer: ben.Self()}, `"ben" may be heard by all again`},
		} {
			want := strings.ReplaceAll(c.want, `"ben"`, h.call(ben.Self()))
			if got := h.moderated(c.event); got != want {
				t.Errorf("%+v: %q, want %q", c.event, got, want)
			}
		}
		if got := h.command("mute-all ben noise"); !strings.Contains(got, session.ErrNotModerator.Error()) {
			t.Errorf("who is no moderator is told %q", got)
		}
	})
	if _, err := parseOptions([]string{"--moderator", "nobody"}); err == nil || !strings.Contains(err.Error(), "--moderator") {
		t.Errorf("a moderator who is nobody: %v", err)
	}
}
