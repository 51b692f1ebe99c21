package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const (
	refresh    = 100 * time.Millisecond // between two looks at the conversation
	flashTime  = 4 * time.Second        // that the answer to a key stays
	volumeStep = 0.1

	thresholdMin = -96 // dBFS, the lowest that a voice may have
)

// page is what the screen shows between its head and its foot.
type page uint8

const (
	mainPage page = iota
	roomsPage
	soundPage
	invitePage
	helpPage
)

// Model is the screen's state, as bubbletea wants it. All of its methods belong
// to the goroutine of Screen.Run.
type Model struct {
	cfg   Config
	th    theme
	w, h  int
	page  page
	state State
	log   record

	selected identity.PeerID // of the list of peers
	row      int             // of the list of rooms or devices
	input    *input          // the line that is written; nil if none is
	talk     talkKey
	told     bool // what talk says was passed on: talking

	flash   string // the answer to a key
	flashed time.Time

	devices []Device
	listing bool // devices are being looked for
}

// newModel makes a model; its size comes later.
func newModel(cfg Config) *Model {
	return &Model{cfg: cfg, th: newTheme(false, false), w: 80, h: 24}
}

// Messages beside bubbletea's own.
type (
	tickMsg time.Time // look at the conversation
	doMsg   struct {  // Screen.Do
		f    func()
		done chan struct{}
	}
	noteMsg    struct{ text string } // Screen.Note
	devicesMsg struct {
		list []Device
		err  error
	}
	usedMsg struct { // a device was switched
		device Device
		err    error
	}
)

// Init asks for what the terminal knows and begins to look at the conversation.
func (m *Model) Init() tea.Cmd {
	m.look(m.cfg.Now())
	return tea.Batch(tea.RequestBackgroundColor, tick())
}

func tick() tea.Cmd { return tea.Tick(refresh, func(t time.Time) tea.Msg { return tickMsg(t) }) }

// Update takes what happens.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tickMsg:
		m.look(m.cfg.Now())
		return m, tick()
	case doMsg:
		msg.f() // what it changed is seen at the next tick: there may be many of these
		close(msg.done)
	case noteMsg:
		m.add(notice, "", msg.text)
	case devicesMsg:
		m.listing, m.devices = false, msg.list
		m.fail(msg.err)
	case usedMsg:
		if m.fail(msg.err); msg.err == nil {
			m.say(deviceName(&msg.device) + " is in use")
		}
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.th = newTheme(true, msg.IsDark())
	case tea.KeyboardEnhancementsMsg:
		if msg.SupportsEventTypes() && msg.SupportsAllKeysAsEscapeCodes() {
			m.talk.releases = true
		}
	case tea.BlurMsg:
		m.talk.drop()
		m.passOn()
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.KeyReleaseMsg:
		if m.talk.releases = true; msg.Code == tea.KeySpace {
			m.talk.release()
			m.passOn()
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// look takes a new picture of the conversation.
func (m *Model) look(now time.Time) {
	if m.talk.tick(now); m.told != m.talk.on() {
		m.passOn()
	}
	m.state = m.cfg.Chat.State(now, m.selected)
	if m.selectedIndex() < 0 && len(m.state.Peers) > 0 {
		m.selected = m.state.Peers[0].ID
		m.state = m.cfg.Chat.State(now, m.selected)
	}
	if now.Sub(m.flashed) > flashTime {
		m.flash = ""
	}
}

// passOn tells the conversation of the key of push-to-talk.
func (m *Model) passOn() {
	if m.told == m.talk.on() {
		return
	}
	m.told = m.talk.on()
	m.cfg.Chat.SetTalking(m.told)
	m.state.Talking = m.told
}

// press does what a key means.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	switch k.Keystroke() { // wherever one is
	case "ctrl+c":
		return tea.Quit
	case "ctrl+t":
		return m.toggleTalk()
	}
	if m.input != nil {
		over, take := m.input.key(k)
		if !over {
			return nil
		}
		in := m.input
		m.input = nil
		if take && in.value() != "" {
			return in.done(in.value())
		}
		return nil
	}
	if k.Code == tea.KeySpace && k.Mod == 0 {
		m.pressTalk(k.IsRepeat)
		return nil
	}
	bindings := m.bindings()
	if i := slices.IndexFunc(bindings, func(b binding) bool { return slices.Contains(b.keys, k.String()) }); i >= 0 && bindings[i].do != nil {
		cmd := bindings[i].do(m)
		m.look(m.cfg.Now())
		return cmd
	}
	return nil
}

// pressTalk is the key of push-to-talk.
func (m *Model) pressTalk(repeat bool) {
	if m.state.Mode != session.PushToTalk {
		m.say("you are heard " + modeWords(m.state.Mode) + "; v changes that")
		return
	}
	m.talk.press(m.cfg.Now(), repeat)
	m.passOn()
}

// paste takes what was pasted: into the line that is written, or into a new one.
func (m *Model) paste(text string) {
	if m.input == nil {
		if m.page != mainPage {
			return
		}
		m.write()
	}
	m.input.insert(text)
}

// typed begins a line; done is given what was written, if anything.
func (m *Model) typed(prompt string, done func(string) tea.Cmd) {
	m.talk.drop()
	m.passOn()
	m.input = &input{prompt: prompt, done: done}
}

// say shows the answer to a key for a while.
func (m *Model) say(text string) {
	m.flash, m.flashed = Clean(text), m.cfg.Now()
}

// fail shows and logs an error, if it is one.
func (m *Model) fail(err error) {
	if err != nil {
		m.say(err.Error())
		m.add(failed, "", err.Error())
	}
}

// add appends to the log. Only answers to commands, which are our own, may be of
// several lines: a text with line breaks could pass itself off as several, the
// others not of whom they seem to be.
func (m *Model) add(kind entryKind, from, text string) {
	e := entry{at: m.cfg.Now(), kind: kind, from: strings.TrimSpace(Clean(from))}
	text = strings.TrimRight(text, "\n")
	if kind != answer {
		e.text = Clean(text)
		m.log.add(e)
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		e.text = Clean(line)
		m.log.add(e)
	}
}

func (m *Model) selectedIndex() int {
	return slices.IndexFunc(m.state.Peers, func(p Peer) bool { return p.ID == m.selected })
}

// selectedPeer is the chosen peer; nil if there is none.
func (m *Model) selectedPeer() *Peer {
	if i := m.selectedIndex(); i >= 0 {
		return &m.state.Peers[i]
	}
	return nil
}
