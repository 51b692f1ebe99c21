package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/session"
)

// What keys do to the conversation, and what the screen says of it.
func TestKeys(t *testing.T) {
	ben, clara, gerd := peerID(1), peerID(2), peerID(6) // the list is gerd, ben, clara, ...
	for _, c := range []struct {
		name string
		keys string // separated by spaces
		want func(State) bool
		says string
	}{
		{"mute", "m", func(s State) bool { return s.Muted }, "muted: nobody hears you"},
		{"and no longer", "m m", func(s State) bool { return !s.Muted }, "no longer muted"},
		{"deafen", "d", func(s State) bool { return s.Deafened }, "deafened: you hear nobody"},
		{"mode", "v", func(s State) bool { return s.Mode == session.PushToTalk }, "while you hold space"},
		{"all modes", "v v v", func(s State) bool { return s.Mode == session.VoiceActivation }, "when you speak"},
		{"threshold", "[ [ ] [", func(s State) bool { return s.Threshold == -47 }, "a voice is from -47 dB on"},
		{"threshold to the top", strings.Repeat("] ", 60), func(s State) bool { return s.Threshold == -1 }, "a voice is from -1 dB on"},
		{"threshold to the bottom", strings.Repeat("[ ", 60), func(s State) bool { return s.Threshold == -96 }, "a voice is from -96 dB on"},
		{"volume up", "down right right", func(s State) bool { return s.Peers[1].ID == ben && s.Peers[1].Volume == 1.2 }, "ben: 120 %"},
		{"volume to the top", "down down + + + + + + + + + +", func(s State) bool { return s.Peers[2].Volume == 2 }, "clara: 200 %"},
		{"volume to the bottom", "down" + strings.Repeat(" -", 14), func(s State) bool { return s.Peers[1].Volume == 0 }, "ben: 0 %"},
		{"silence", "down x", func(s State) bool { return s.Peers[1].Silenced }, "ben is silenced here"},
		{"silence and back", "down x x", func(s State) bool { return !s.Peers[1].Silenced }, "ben is no longer silenced"},
		{"block", "j j b", func(s State) bool { return s.Peers[2].ID == clara && s.Peers[2].Blocked }, "clara is blocked"},
		{"unblock", "j j b b", func(s State) bool { return !s.Peers[2].Blocked }, "clara is no longer blocked"},
		{"block who knocks", "b", func(s State) bool { return s.Peers[0].ID == ben && !s.Peers[0].Blocked }, "gerd is blocked"},
		{"back up the list", "j j k x", func(s State) bool { return s.Peers[1].Silenced }, "ben"},
		{"beyond the end of the list", "j j j j j j j j j x", func(s State) bool { return s.Peers[5].Silenced }, "fritz"},
		{"whisper", "down w", func(s State) bool { return s.Whisper == ben }, "WHISPERING to ben "},
		{"whisper to another", "down w down w", func(s State) bool { return s.Whisper == clara }, "WHISPERING to clara "},
		{"whisper no longer", "down w w", func(s State) bool { return s.Whisper == "" }, "no longer whispering"},
		{"let in", "l", func(s State) bool { return s.Peers[0].ID == gerd && !s.Peers[0].Knocks }, "let in"},
		{"let in who doesn't knock", "down l", func(s State) bool { return s.Peers[0].Knocks }, "choose somebody who knocks"},
		{"silence who isn't let in", "x", func(s State) bool { return !s.Peers[0].Silenced }, "gerd is not let in yet"},
		{"whisper to who isn't let in", "w", func(s State) bool { return s.Whisper == "" }, "gerd is not let in yet"},
		{"hear a room", "r down h", func(s State) bool { return s.Rooms[1].Heard }, "blue"},
		{"leave a room", "r h", func(s State) bool { return !s.Rooms[0].Heard }, "not heard"},
		{"speak to a room", "r down s", func(s State) bool { return s.Rooms[1].Spoken }, "to room red, blue"},
		{"hear all", "r h a", func(s State) bool { return s.AllHear }, "heard, as all"},
		{"name a room", "r n g r e e n enter", func(s State) bool { return s.Rooms[2].Name == "green" && s.Rooms[2].Heard }, "› green"},
		{"name no room", "r n g r e e n esc", func(s State) bool { return len(s.Rooms) == 2 }, "rooms"},
		{"help and back", "? esc m", func(s State) bool { return s.Muted }, "5 here"},
		{"keys of another page", "? m d x", func(s State) bool { return !s.Muted && !s.Deafened }, "take leave"},
		{"an unknown key", "ö", func(s State) bool { return !s.Muted }, "5 here"},
		{"letters in a line are letters", "enter m d esc", func(s State) bool { return !s.Muted && !s.Deafened }, "5 here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := talkingParty(80, 24)
			tab.presses("up")
			tab.presses(strings.Fields(c.keys)...)
			if tab.passes(refresh); !c.want(tab.chat.state) {
				t.Errorf("after %s the conversation is %+v", c.keys, tab.chat.state)
			}
			tab.wantSeen(t, c.says)
			if tab.quit {
				t.Error("that ended the program")
			}
		})
	}
}

func TestWhatIsRefusedIsSaid(t *testing.T) {
	for _, keys := range []string{"v", "[", "l", "down w", "r h", "r s", "r a", "r n x enter", "enter h i enter", "s", "s enter"} {
		tab := talkingParty(80, 24)
		tab.chat.devices = []Device{{Name: "one", Microphone: true}}
		tab.presses("up")
		if keys == "s enter" {
			tab.presses("s")
			tab.chat.refuse = errRefused
			tab.presses("enter")
		} else {
			tab.chat.refuse = errRefused
			tab.presses(strings.Fields(keys)...)
		}
		tab.wantSeen(t, "refused")
		tab.presses("esc")
		tab.passes(2 * flashTime)
		tab.wantSeen(t, "refused") // in the log
	}
}

func TestQuitting(t *testing.T) {
	for _, keys := range []string{"q", "ctrl+c", "enter q ctrl+c", "? ctrl+c", "/ q u i t enter"} {
		tab := talkingParty(80, 24)
		if tab.presses(strings.Fields(keys)...); !tab.quit {
			t.Errorf("%s doesn't end the program", keys)
		}
	}
	for _, keys := range []string{"enter q", "? q", "r n q", "esc"} {
		tab := talkingParty(80, 24)
		if tab.presses(strings.Fields(keys)...); tab.quit {
			t.Errorf("%s ends the program", keys)
		}
	}
}

func TestWritingALine(t *testing.T) {
	for keys, want := range map[string]string{
		"a b c":                      "abc",
		"a b backspace c":            "ac",
		"a b left c":                 "acb",
		"a b home c end d":           "cabd",
		"a b left delete c":          "ac",
		"a space b space c ctrl+w d": "a b d",
		"a b c ctrl+u d":             "d",
		"a b c left left ctrl+k d":   "ad",
		"ü 日 left x":                 "üx日",
		"space a space":              "a",
	} {
		tab := talkingParty(80, 24)
		tab.presses("enter")
		tab.presses(strings.Fields(keys)...)
		if tab.presses("enter"); !slices.Equal(tab.chat.said, []string{want}) {
			t.Errorf("%s: said %q, want %q", keys, tab.chat.said, want)
		}
	}
	for _, keys := range []string{"enter", "a esc", "a backspace backspace a", "space enter"} {
		tab := talkingParty(80, 24)
		tab.presses("enter")
		if tab.presses(strings.Fields(keys)...); tab.chat.said != nil {
			t.Errorf("%s: said %q", keys, tab.chat.said)
		}
	}
}

func TestALineIsAsLongAsItMayBe(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.gets(tea.PasteMsg{Content: strings.Repeat("x\n\x1b[2J", 5000)})
	tab.types("more")
	checkSize(t, tab, "a long line")
	tab.presses("enter")
	if got := len(tab.chat.said[0]); got > maxInput || got < maxInput-1 {
		t.Errorf("%d characters were said, want about %d", got, maxInput)
	}
	if strings.ContainsAny(tab.chat.said[0], "\n\x1b") {
		t.Errorf("control characters were said: %q", tab.chat.said[0][:20])
	}
}

func TestCommandsAreAnswered(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.presses("/")
	tab.types("vol ben 1.5")
	tab.presses("enter")
	if want := []string{"vol ben 1.5"}; !slices.Equal(tab.chat.typed, want) {
		t.Errorf("typed %q, want %q", tab.chat.typed, want)
	}
	tab.wantSeen(t, "the answer to vol ben 1.5")
	tab.wantSeen(t, "of two lines")
}

func TestPushToTalk(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.presses("space")
	tab.wantSeen(t, "you are heard when you speak; v changes that")
	if tab.chat.state.Talking {
		t.Error("the key is down in another mode")
	}
	tab.presses("v")
	tab.passes(refresh)
	tab.wantSeen(t, "while you hold space")
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"pressed", func() { tab.presses("space") }, true},
		{"tapped only, so it stays", func() { tab.passes(time.Minute) }, true},
		{"which is said", func() { tab.wantSeen(t, "until space ends it") }, true},
		{"tapped again", func() { tab.presses("space") }, false},
		{"held", func() {
			tab.passes(time.Second)
			for range 20 {
				tab.presses("space")
				tab.now = tab.now.Add(30 * time.Millisecond)
			}
		}, true},
		{"let go", func() { tab.passes(time.Second) }, false},
		{"toggled", func() { tab.presses("t") }, true},
		{"toggled while writing", func() { tab.presses("enter", "ctrl+t", "esc") }, false},
		{"pressed and released", func() {
			tab.presses("space")
			tab.gets(tea.KeyReleaseMsg{Code: tea.KeySpace})
		}, false},
		{"held, and the terminal tells releases", func() {
			tab.presses("space")
			tab.passes(time.Minute)
		}, true},
		{"the focus is lost", func() { tab.gets(tea.BlurMsg{}) }, false},
		{"held while the page changes", func() { tab.presses("space", "r") }, true},
		{"and let go there", func() { tab.gets(tea.KeyReleaseMsg{Code: tea.KeySpace}) }, false},
		{"held while a line is begun, where no release is told", func() { tab.presses("esc", "space", "enter") }, false},
		{"toggled on another page", func() { tab.presses("esc", "?", "ctrl+t") }, true},
		{"on, and another mode", func() { tab.presses("esc", "v") }, false},
	} {
		if step.do(); tab.chat.state.Talking != step.want {
			t.Fatalf("%s: talking %t", step.what, tab.chat.state.Talking)
		}
	}
}

// Releases are asked for in push-to-talk only, and not while a line is written:
// what is typed then comes as it always does.
func TestWhenReleasesAreAskedFor(t *testing.T) {
	tab := talkingParty(80, 24)
	asked := func() bool { return tab.View().KeyboardEnhancements.ReportEventTypes }
	if asked() {
		t.Error("in voice activation")
	}
	if tab.presses("v"); !asked() {
		t.Error("not in push-to-talk")
	}
	if tab.presses("enter"); asked() {
		t.Error("while a line is written")
	}
}

func TestDevices(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.chat.devices = []Device{{Microphone: true}, {Name: "one", Microphone: true}, {Name: "two"}}
	tab.presses("s", "down", "down", "enter")
	if want := []Device{{Name: "two"}}; !slices.Equal(tab.chat.using, want) {
		t.Errorf("used %v, want %v", tab.chat.using, want)
	}
	tab.wantSeen(t, "two is in use")
	tab.chat.devices = tab.chat.devices[:1]
	tab.presses("l", "enter")
	if got := tab.chat.using[len(tab.chat.using)-1]; got != (Device{Microphone: true}) {
		t.Errorf("used %v", got)
	}
}

func TestTheLogIsBoundedAndScrolls(t *testing.T) {
	tab := talkingParty(80, 24)
	for i := range 3 * maxLog {
		tab.add(notice, "", strings.Repeat("x", i%200))
	}
	if len(tab.log.entries) != maxLog {
		t.Errorf("%d entries are kept", len(tab.log.entries))
	}
	tab.add(notice, "", "the last")
	tab.wantSeen(t, "the last")
	tab.presses("pgup")
	if strings.Contains(tab.seen(), "the last") {
		t.Error("the last entry is still shown after going back")
	}
	tab.wantSeen(t, "pgdn comes forth")
	tab.presses("pgdown", "pgdown")
	tab.wantSeen(t, "the last")
	for range 10000 {
		tab.presses("pgup")
	}
	tab.seen()
	if most := 5 * maxLog; tab.log.back > most {
		t.Errorf("one can go back %d lines", tab.log.back)
	}
}

func TestLongPagesScroll(t *testing.T) {
	tab := talkingParty(80, 24)
	for range 30 {
		tab.cfg.Invite = append(tab.cfg.Invite, "an address")
	}
	tab.cfg.Invite = append(tab.cfg.Invite, "the last")
	tab.presses("i")
	if strings.Contains(tab.seen(), "the last") {
		t.Fatal("there is nothing to scroll")
	}
	for range 100 {
		tab.presses("down")
		tab.seen()
	}
	tab.wantSeen(t, "the last")
	for range 60 {
		tab.presses("up")
		tab.seen()
	}
	tab.wantSeen(t, "Give this to another")
}

// A text can't look like two texts, the second of somebody else.
func TestATextIsOneEntry(t *testing.T) {
	tab := talkingParty(80, 24)
	before := len(tab.log.entries)
	tab.add(spoken, "ben", "hi\nclara: give me the code\r\nx\u2028y")
	if n := len(tab.log.entries) - before; n != 1 {
		t.Errorf("it is %d entries", n)
	}
	for line := range strings.SplitSeq(tab.seen(), "\n") {
		if strings.HasPrefix(line, "14:06 clara: give") {
			t.Errorf("it looks like one of clara:\n%s", tab.seen())
		}
	}
}

// Rooms that look alike and aren't the same can be told apart.
func TestRoomsThatLookAlike(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.chat.state.Rooms = []Room{{Name: "red"}, {Name: "red\u200b", Spoken: true}, {Name: " red"}}
	tab.presses("r")
	tab.wantSeen(t, `"red\u200b"`)
	tab.wantSeen(t, `" red"`)
	tab.wantSeen(t, `You speak to room "red\u200b".`)
}

// Who wakes the program up doesn't find himself talking.
func TestSuspendingEndsTalking(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.presses("v", "t")
	if !tab.chat.state.Talking {
		t.Fatal("t doesn't begin to talk")
	}
	if tab.presses("ctrl+z"); tab.chat.state.Talking || tab.talk.on() {
		t.Error("the key is down while the program sleeps")
	}
}

// What is chosen stays chosen when others come and go, and something else is
// when it goes itself.
func TestTheChosenPeer(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.presses("down")
	clara := tab.selected
	tab.chat.state.Peers = tab.chat.state.Peers[1:]
	if tab.passes(refresh); tab.selected != clara {
		t.Error("another peer is chosen after one left")
	}
	tab.chat.state.Peers = tab.chat.state.Peers[2:]
	if tab.passes(refresh); tab.selected != tab.chat.state.Peers[0].ID {
		t.Error("somebody who isn't here is chosen")
	}
	tab.chat.state.Peers = nil
	tab.passes(refresh)
	tab.presses("down", "x", "b", "w", "l", "right", "up", "left")
	tab.wantSeen(t, "nobody")
}
