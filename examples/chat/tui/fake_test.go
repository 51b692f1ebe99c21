package tui

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

var errRefused = errors.New("refused")

// fakeChat is a conversation that does what it is told, and can refuse.
type fakeChat struct {
	state   State
	refuse  error
	said    []string
	typed   []string
	using   []Device
	devices []Device
}

func (c *fakeChat) State(time.Time, identity.PeerID) State {
	st := c.state
	st.Peers, st.Rooms = slices.Clone(st.Peers), slices.Clone(st.Rooms)
	return st
}
func (c *fakeChat) SetMuted(on bool)    { c.state.Muted = on }
func (c *fakeChat) SetDeafened(on bool) { c.state.Deafened = on }
func (c *fakeChat) SetTalking(on bool)  { c.state.Talking = on }
func (c *fakeChat) SetMode(mode session.Mode) error {
	if c.refuse == nil {
		c.state.Mode = mode
	}
	return c.refuse
}

func (c *fakeChat) SetThreshold(dbfs float64) error {
	if c.refuse == nil {
		c.state.Threshold = dbfs
	}
	return c.refuse
}

func (c *fakeChat) peer(id identity.PeerID) *Peer {
	i := slices.IndexFunc(c.state.Peers, func(p Peer) bool { return p.ID == id })
	return &c.state.Peers[i]
}

func (c *fakeChat) SetVolume(id identity.PeerID, volume float32) { c.peer(id).Volume = volume }
func (c *fakeChat) SetSilenced(id identity.PeerID, on bool)      { c.peer(id).Silenced = on }
func (c *fakeChat) SetBlocked(id identity.PeerID, on bool) {
	if c.peer(id).Blocked = on; c.peer(id).Knocks {
		c.state.Peers = slices.DeleteFunc(c.state.Peers, func(p Peer) bool { return p.ID == id })
	}
}

func (c *fakeChat) LetIn(id identity.PeerID) error {
	if c.refuse == nil {
		*c.peer(id) = Peer{ID: id, Name: "let in", Volume: 1}
	}
	return c.refuse
}

func (c *fakeChat) Whisper(id identity.PeerID) error {
	if c.refuse == nil {
		c.state.Whisper = id
	}
	return c.refuse
}

func (c *fakeChat) room(name string) *Room {
	i := slices.IndexFunc(c.state.Rooms, func(r Room) bool { return r.Name == name })
	if i < 0 {
		c.state.Rooms = append(c.state.Rooms, Room{Name: name})
		i = len(c.state.Rooms) - 1
	}
	return &c.state.Rooms[i]
}

func (c *fakeChat) Hear(room string, on bool) error {
	if c.refuse == nil {
		c.room(room).Heard, c.state.AllHear = on, false
	}
	return c.refuse
}

func (c *fakeChat) HearAll() error {
	c.state.AllHear = c.refuse == nil
	return c.refuse
}

func (c *fakeChat) Speak(room string, on bool) error {
	if c.refuse == nil {
		c.room(room).Spoken = on
	}
	return c.refuse
}

func (c *fakeChat) Say(text string) error {
	c.said = append(c.said, text)
	return c.refuse
}

func (c *fakeChat) Command(line string) string {
	c.typed = append(c.typed, line)
	return "the answer to " + line + "\nof two lines"
}
func (c *fakeChat) Devices() ([]Device, error) { return c.devices, c.refuse }

func (c *fakeChat) Use(d Device) error {
	c.using = append(c.using, d)
	return c.refuse
}

// table is a model over a fakeChat, with keys and a clock.
type table struct {
	*Model
	chat *fakeChat
	now  time.Time
	quit bool
}

// start is an afternoon, in the time zone of the machine.
var start = time.Date(2026, 5, 4, 14, 5, 0, 0, time.Local)

func newTable(chat *fakeChat) *table {
	t := &table{chat: chat, now: start}
	t.Model = newModel(Config{Chat: chat, Now: func() time.Time { return t.now }})
	t.look(t.now)
	return t
}

// gets gives the model a message, and what its commands answer.
func (t *table) gets(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		t.quit = true
	}
	_, cmd := t.Update(msg)
	if cmd == nil {
		return
	}
	if _, ok := msg.(tickMsg); ok {
		return // the next tick
	}
	if answer := cmd(); answer != nil {
		t.gets(answer)
	}
}

// presses gives the model keys, by their names: letters, or esc, enter and so on.
func (t *table) presses(keys ...string) {
	for _, k := range keys {
		t.gets(key(k))
	}
}

// types gives the model a text as keys.
func (t *table) types(text string) {
	for _, r := range text {
		t.gets(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

// passes lets time go by.
func (t *table) passes(d time.Duration) {
	for end := t.now.Add(d); t.now.Before(end); {
		t.now = t.now.Add(refresh)
		t.gets(tickMsg(t.now))
	}
}

func key(name string) tea.KeyPressMsg {
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "delete": tea.KeyDelete,
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	if code, ok := codes[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: []rune(letter)[0], Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// seen is the screen without colours.
func (t *table) seen() string {
	lines, _ := t.lines()
	return ansi.Strip(strings.Join(lines, "\n"))
}

// wantSeen fails unless a text is on the screen.
func (t *table) wantSeen(test *testing.T, want string) {
	test.Helper()
	if !strings.Contains(t.seen(), want) {
		test.Errorf("%q is not on the screen:\n%s", want, t.seen())
	}
}

// peerID makes an ID that looks like one. The text of an ID is base58, so that
// the one of a made-up ID can't be chosen.
func peerID(n int) identity.PeerID {
	b := append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, make([]byte, 32)...)
	for i := range 32 {
		b[6+i] = byte(37*n + 11*i)
	}
	return identity.PeerID(b)
}

// colour is an escape sequence that sets one.
var colour = regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-7]|38;[25];[0-9;]+|9[0-7])m`)

func nan() float64 { return math.NaN() }

func stripped(s string) string { return ansi.Strip(s) }
