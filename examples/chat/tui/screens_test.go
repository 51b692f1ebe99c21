package tui

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/session"
)

var update = flag.Bool("update", false, "write the screens of testdata and of docs/chat.md anew")

// party is a conversation in which there is something of everything.
func party() *fakeChat {
	return &fakeChat{state: State{
		Name: "anna", Lobby: "lusab-babad-gutih",
		Level: -22, Threshold: -45, Mode: session.VoiceActivation, Speaking: true, Recording: true,
		Peers: []Peer{
			{ID: peerID(6), Name: "gerd", Knocks: true, Number: "90116 20993 41005 33120 76002 12345 55012 00218", Why: "It knocks."},
			{
				ID: peerID(1), Name: "ben", Reachable: true, Speaking: true, Level: -17, Volume: 1, Path: "lan", Transport: "quic-v1",
				RTT: 2 * time.Millisecond, Delay: 31 * time.Millisecond, Target: 30 * time.Millisecond, Jitter: 3 * time.Millisecond,
				MouthToEar: 71 * time.Millisecond, MOS: 4.4, BitsIn: 26400, BitsOut: 27100, AllRooms: true,
				Why:    "It is heard, and hears us.",
				Number: "20451 99172 33816 60213 78124 00917 41238 55310",
			},
			{
				ID: peerID(2), Name: "clara", Reachable: true, Speaking: true, Level: -34, Volume: 1.4, Path: "punched", Transport: "quic-v1",
				RTT: 41 * time.Millisecond, Delay: 83 * time.Millisecond, Target: 80 * time.Millisecond, Jitter: 21 * time.Millisecond,
				MouthToEar: 151 * time.Millisecond, Loss: 0.062, Concealed: 0.014, MOS: 3.9, BitsIn: 24000, BitsOut: 27100, Rooms: []string{"red"},
			},
			{
				ID: peerID(3), Name: "dirk", Reachable: true, Muted: true, Deafened: true, Volume: 1, Path: "relayed", Transport: "tcp",
				RTT: 121 * time.Millisecond, Delay: 190 * time.Millisecond, Loss: -1, Concealed: -1,
			},
			{ID: peerID(4), Name: "eva", Path: "none", Volume: 1, Loss: -1, Concealed: -1},
			{ID: peerID(5), Name: "fritz", Reachable: true, Blocked: true, Path: "direct", Transport: "quic-v1", Volume: 0.6, Loss: -1, Concealed: -1},
		},
		Rooms: []Room{{Name: "red", Heard: true, Spoken: true, Others: 1}, {Name: "blue", Others: 3}},
	}}
}

func talkingParty(w, h int) *table {
	t := newTable(party())
	t.cfg.Invite = []string{"Give this to another:", "parley:12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s?a=/ip4/192.0.2.7/udp/4001/quic-v1&a=/ip4/192.0.2.7/tcp/4001"}
	t.gets(tea.WindowSizeMsg{Width: w, Height: h})
	t.presses("down")
	t.add(notice, "", "ben is here (lan, quic-v1)")
	t.add(notice, "", "clara is here (relayed, quic-v1)")
	t.now = t.now.Add(time.Minute)
	t.add(notice, "", "clara is reached another way: punched, quic-v1")
	t.add(spoken, "ben", "Shall we wait for eva? She said that her train is late, and that she calls as soon as she is at home.")
	t.add(ours, "you to room red", "A minute more.")
	t.add(failed, "", "the microphone doesn't work: it was unplugged")
	t.add(notice, "", "the microphone works again")
	t.add(notice, "", "gerd knocks")
	return t
}

// Every page at both sizes, as golden text.
func TestScreens(t *testing.T) {
	devices := []Device{
		{Name: "", Microphone: true, Default: true},
		{Name: "HDA Intel PCH: ALC257 Analog", Microphone: true},
		{Name: "", Default: true},
		{Name: "Jabra Evolve2 40"},
	}
	for name, prepare := range map[string]func(*table){
		"main":   func(*table) {},
		"write":  func(t *table) { t.presses("enter"); t.types("On my way") },
		"rooms":  func(t *table) { t.presses("r", "down") },
		"sound":  func(t *table) { t.chat.devices = devices; t.presses("s", "down") },
		"invite": func(t *table) { t.presses("i") },
		"help":   func(t *table) { t.presses("?") },
		"quiet": func(t *table) {
			t.chat.state = State{Name: "anna", Level: -96, Mode: session.PushToTalk, Muted: true, Deafened: true, Microphone: "no device"}
			t.log = record{}
			t.passes(refresh)
		},
	} {
		for _, size := range [][2]int{{80, 24}, {200, 60}} {
			tab := talkingParty(size[0], size[1])
			prepare(tab)
			got := trim(tab.seen())
			compare(t, filepath.Join("testdata", name+either(size[0] == 80, "-80x24", "-200x60")+".txt"), got)
			checkSize(t, tab, name)
		}
	}
}

// The smallest terminal that is common shows all keys.
func TestTheHelpFits(t *testing.T) {
	tab := talkingParty(80, 24)
	tab.presses("?")
	for _, b := range mainKeys() {
		tab.wantSeen(t, b.long)
	}
}

// compare fails unless a file holds what was got, or writes it.
func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s (go test -run TestScreens -update writes it anew): got\n%s\nwant\n%s", path, got, want)
	}
}

// The screens in the document are those of testdata.
func TestScreensInTheDocument(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "chat.md")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)<!-- screen ([a-z0-9-]+) -->\n```text\n.*?```")
	if n := len(shown.FindAll(before, -1)); n != 2 {
		t.Errorf("the document shows %d screens", n)
	}
	after := shown.ReplaceAllFunc(before, func(block []byte) []byte {
		name := shown.FindSubmatch(block)[1]
		screen, err := os.ReadFile(filepath.Join("testdata", string(name)+".txt"))
		if err != nil {
			t.Error(err)
		}
		return fmt.Appendf(nil, "<!-- screen %s -->\n```text\n%s```", name, screen)
	})
	compare(t, path, string(after))
}

// trim takes away what no eye sees.
func trim(screen string) string {
	lines := strings.Split(screen, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// checkSize sees that a screen is as large as the window, and no larger.
func checkSize(t *testing.T, tab *table, what string) {
	t.Helper()
	lines, cursor := tab.lines()
	if tab.h >= minHeight && tab.w >= minWidth && len(lines) != tab.h {
		t.Errorf("%s: %d lines in a window of %d", what, len(lines), tab.h)
	}
	if len(lines) > tab.h {
		t.Errorf("%s: %d lines in a window of %d", what, len(lines), tab.h)
	}
	for i, line := range lines {
		if width(line) > tab.w {
			t.Errorf("%s: line %d has %d cells in a window of %d: %s", what, i, width(line), tab.w, line)
		}
	}
	if cursor != nil && (cursor.X >= tab.w || cursor.Y != tab.h-2) {
		t.Errorf("%s: the cursor is at %v in a window of %dx%d", what, cursor.Position, tab.w, tab.h)
	}
}

// Nothing panics or overflows in any window, on any page.
func TestEveryWindow(t *testing.T) {
	for _, size := range [][2]int{{0, 0}, {1, 1}, {5, 3}, {39, 9}, {40, 10}, {41, 30}, {80, 10}, {80, 24}, {99, 11}, {100, 30}, {129, 40}, {130, 12}, {132, 43}, {200, 60}, {400, 100}} {
		for _, keys := range [][]string{nil, {"r"}, {"s"}, {"i"}, {"?"}, {"enter", "a"}, {"pgup", "pgup", "pgup"}, {"down", "down", "down", "down", "down"}} {
			tab := talkingParty(80, 24)
			tab.presses(keys...)
			tab.gets(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			checkSize(t, tab, strings.Join(keys, " "))
		}
	}
}
