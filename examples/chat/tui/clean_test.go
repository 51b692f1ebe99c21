package tui

import (
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// hostile are names and texts that somebody may send, and what is shown of them.
var hostile = []struct{ name, text, want string }{
	{"plain", "ben", "ben"},
	{"empty", "", ""},
	{"letters of others", "Łukasz Ünal 日本 Ольга", "Łukasz Ünal 日本 Ольга"},
	{"right to left", "שלום", "שלום"},
	{"colour", "\x1b[31mred\x1b[0m", "red"},
	{"cursor and clear", "a\x1b[2J\x1b[1;1Hb", "ab"},
	{"window title", "a\x1b]0;owned\x07b", "ab"},
	{"clipboard", "a\x1b]52;c;cm0gLXJmIC8=\x1b\\b", "ab"},
	{"hyperlink", "\x1b]8;;http://x.test\x1b\\click\x1b]8;;\x1b\\", "click"},
	{"device control", "a\x1bPq#0\x1b\\b", "ab"},
	{"eight-bit escapes", "a\u009b31mb\u009d0;x\u009cc", "abc"},
	{"an escape that never ends", "a\x1b]0;" + strings.Repeat("x", 100), "a"},
	{"a lone escape", "a\x1b", "a"},
	{"line breaks and tabs", "a\nb\rc\td\ve\ff\u2028g\u2029h\u0085i", "a b c d e f g h i"},
	{"nul, bell, backspace, delete", "a\x00\x07\x08\x7fb", "ab"},
	{"bytes that are no text", "a\xff\xfeb", "a\uFFFDb"},
	{"bidi override", "\u202etxt.exe\u202c", "txt.exe"},
	{"bidi isolates and marks", "a\u2066\u2067\u2068\u2069\u200e\u200f\u061cb", "ab"},
	{"zero width", "a\u200b\u200c\u200d\ufeff\u2060b", "ab"},
	{"soft hyphen", "a\u00adb", "ab"},
	{"tags", "a\U000e0041\U000e007fb", "ab"},
	{"variation selectors", "❤\ufe0f", "❤"},
	{"private use", "a\ue000\U000f0000b", "ab"},
	{"unassigned", "a\u0378\U0010ffffb", "ab"},
	{"fillers", "a\u3164\uffa0\u115f\u1160b", "a\u25a1b"},
	{"blank braille", "\u2800\u2800x", "  x"},
	{"marks piled up", "a" + strings.Repeat("\u0301", 200) + "b", "a\u0301\u0301b"},
	{"marks on nothing", "\u0301\u0489a", "a"},
	{"a character drawn over half a line", "\ufdfd\u2e3b\U0001242b", "\u25a1\u25a1\u25a1"},
	{"a family", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\U0001f469\U0001f467"},
	{"skin", "\U0001f44d\U0001f3fd", "\U0001f44d"},
	{"a flag", "\U0001f1e9\U0001f1ea", "DE"},
	{"Hangul to be joined", "\u1112\u1161\u11ab", "\u25a1"},
}

func TestClean(t *testing.T) {
	for _, c := range hostile {
		got := Clean(c.text)
		if c.name == "fillers" { // the first of them is a lead, which is replaced
			got = strings.ReplaceAll(got, "\u25a1", "")
			c.want = "ab"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		checkClean(t, c.name, got)
	}
	if long := Clean(strings.Repeat("ab", 1<<20)); len(long) > maxClean {
		t.Errorf("%d bytes are left of a long text", len(long))
	}
}

// checkClean sees that a text can be shown: nothing of it is a control, and
// terminals agree on its width, cluster by cluster or character by character.
func checkClean(t *testing.T, name, s string) {
	t.Helper()
	for _, r := range s {
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
			t.Errorf("%s: %q holds %U", name, s, r)
		}
	}
	if a, b := ansi.StringWidth(s), ansi.StringWidthWc(s); a != b {
		t.Errorf("%s: %q is %d or %d cells wide", name, s, a, b)
	}
	if again := Clean(s); again != s {
		t.Errorf("%s: %q becomes %q when cleaned again", name, s, again)
	}
}

func FuzzClean(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("%q becomes %q, which holds %U", s, got, r)
			}
		}
		if again := Clean(got); again != got {
			t.Errorf("%q becomes %q, and that %q", s, got, again)
		}
		for _, n := range []int{0, 1, 2, 7, 80} {
			if w := width(fit(got, n)); w != n {
				t.Errorf("%q fitted into %d cells has %d", got, n, w)
			}
			for _, line := range wrap(got, n, 2) {
				if w := width(line); w > max(n, 2) {
					t.Errorf("%q wrapped at %d has a line of %d", got, n, w)
				}
			}
		}
	})
}

// Everything of others that is on the screen holds the worst: the screen is as
// large as the window all the same, and nothing of it gets through.
func TestHostileStatesDontBreakTheScreen(t *testing.T) {
	for _, c := range hostile {
		chat := party()
		long := strings.Repeat(c.text, 50)
		for _, text := range []string{c.text, long} {
			p := &chat.state.Peers[1]
			p.Name, p.Why, p.Number, p.Path, p.Transport, p.Rooms = text, text, text, text, text, []string{text, text}
			chat.state.Peers[0].Name = text
			chat.state.Name, chat.state.Lobby, chat.state.Microphone, chat.state.Speaker = text, text, text, text
			chat.state.Rooms = []Room{{Name: text, Heard: true, Spoken: true}, {Name: long}}
			chat.devices = []Device{{Name: text}}
			chat.state.Whisper = p.ID
			for _, keys := range []string{"", "r", "s", "i", "?", "enter", "down w x b"} {
				tab := talkingParty(80, 24)
				tab.chat = chat
				tab.cfg.Chat = chat
				tab.cfg.Invite = []string{text}
				tab.passes(refresh)
				tab.add(notice, "", text)
				tab.add(spoken, text, text)
				tab.presses(strings.Fields(keys)...)
				for _, w := range []int{80, 200} {
					tab.w = w
					checkSize(t, tab, c.name+" "+keys)
					for i, line := range strings.Split(tab.seen(), "\n") {
						for _, r := range line {
							if !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
								t.Errorf("%s, %s: line %d holds %U: %q", c.name, keys, i, r, line)
							}
						}
					}
				}
			}
		}
	}
}
