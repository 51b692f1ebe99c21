package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// binding is what a key does. The line of keys and the help page are made of
// these tables, so that they can't be wrong.
type binding struct {
	keys  []string // as tea.Key.String has them; the first is shown unless shown is set
	shown string
	short string // in the line of keys; empty for not there
	long  string // on the help page
	do    func(m *Model) tea.Cmd
}

// mainKeys are those of the main page, the most important first.
func mainKeys() []binding {
	return []binding{
		{[]string{"space"}, "space", "talk", "push to talk: hold it; in most terminals a tap keeps it down", nil}, // see talk
		{[]string{"t"}, "", "", "talk on and off; ctrl+t does it while you write too", (*Model).toggleTalk},
		{[]string{"m"}, "", "mute", "mute yourself, or no longer", (*Model).toggleMuted},
		{[]string{"d"}, "", "deafen", "hear nothing, and be sent nothing, or no longer", (*Model).toggleDeafened},
		{[]string{"v"}, "", "", "when you are heard: always, when you speak, or push to talk", (*Model).nextMode},
		{[]string{"["}, "[ ]", "", "how loud a voice is, for when you speak: the mark in your meter", func(m *Model) tea.Cmd { return m.turnThreshold(-1) }},
		{[]string{"]"}, "", "", "", func(m *Model) tea.Cmd { return m.turnThreshold(1) }},
		{[]string{"enter"}, "enter", "write", "write to whom you speak to; / begins a command, /help lists them", (*Model).write},
		{[]string{"/"}, "", "", "", (*Model).typeCommand},
		{[]string{"w"}, "", "whisper", "speak to the chosen peer alone, or no longer", (*Model).toggleWhisper},
		{[]string{"r"}, "", "rooms", "rooms: what you hear, and where you speak", func(m *Model) tea.Cmd { return m.open(roomsPage) }},
		{[]string{"up", "k"}, "↑ ↓", "choose", "choose a peer, or j and k", func(m *Model) tea.Cmd { return m.choose(-1) }},
		{[]string{"down", "j"}, "", "", "", func(m *Model) tea.Cmd { return m.choose(1) }},
		{[]string{"right", "+", "="}, "← →", "volume", "how loud the chosen peer is, or - and +", func(m *Model) tea.Cmd { return m.turn(volumeStep) }},
		{[]string{"left", "-"}, "", "", "", func(m *Model) tea.Cmd { return m.turn(-volumeStep) }},
		{[]string{"x"}, "", "silence", "silence the chosen peer here, or no longer", (*Model).toggleSilenced},
		{[]string{"b"}, "", "block", "block the chosen peer: neither hear it nor be heard by it", (*Model).toggleBlocked},
		{[]string{"l"}, "", "let in", "let in the chosen peer, if it knocks", (*Model).letIn},
		{[]string{"s"}, "", "sound", "microphones and speakers", func(m *Model) tea.Cmd { return m.open(soundPage) }},
		{[]string{"i"}, "", "invite", "your addresses, and the invite to give to others", func(m *Model) tea.Cmd { return m.open(invitePage) }},
		{[]string{"pgup"}, "pgup pgdn", "", "go back in the log, and forth", func(m *Model) tea.Cmd { return m.scroll(1) }},
		{[]string{"pgdown"}, "", "", "", func(m *Model) tea.Cmd { return m.scroll(-1) }},
		{[]string{"ctrl+z"}, "", "", "", (*Model).suspend},
		{[]string{"?", "f1"}, "", "help", "", func(m *Model) tea.Cmd { return m.open(helpPage) }},
		{[]string{"q"}, "", "quit", "take leave, as ctrl+c; ctrl+z puts the program to sleep", func(*Model) tea.Cmd { return tea.Quit }},
	}
}

// roomsKeys are those of the page of rooms.
func roomsKeys() []binding {
	return []binding{
		{[]string{"up", "k"}, "↑ ↓", "choose", "", func(m *Model) tea.Cmd { m.row--; return nil }},
		{[]string{"down", "j"}, "", "", "", func(m *Model) tea.Cmd { m.row++; return nil }},
		{[]string{"h", "enter"}, "", "hear", "", (*Model).toggleHeard},
		{[]string{"s"}, "", "speak there", "", (*Model).toggleSpoken},
		{[]string{"n"}, "", "new room", "", (*Model).nameRoom},
		{[]string{"a"}, "", "hear all", "", (*Model).hearAll},
		back(),
	}
}

// soundKeys are those of the page of devices.
func soundKeys() []binding {
	return []binding{
		{[]string{"up", "k"}, "↑ ↓", "choose", "", func(m *Model) tea.Cmd { m.row--; return nil }},
		{[]string{"down", "j"}, "", "", "", func(m *Model) tea.Cmd { m.row++; return nil }},
		{[]string{"enter"}, "", "use it", "", (*Model).useDevice},
		{[]string{"l"}, "", "look again", "", func(m *Model) tea.Cmd { return m.listDevices() }},
		back(),
	}
}

// inviteKeys are those of the page of addresses.
func inviteKeys() []binding {
	return []binding{
		{[]string{"up", "k"}, "↑ ↓", "scroll", "", func(m *Model) tea.Cmd { m.row--; return nil }},
		{[]string{"down", "j"}, "", "", "", func(m *Model) tea.Cmd { m.row++; return nil }},
		{[]string{"c"}, "", "copy the invite", "", (*Model).copyInvite},
		back(),
	}
}

func textKeys() []binding { return []binding{back()} }

func back() binding {
	return binding{[]string{"esc", "q", "backspace"}, "", "back", "", func(m *Model) tea.Cmd { return m.open(mainPage) }}
}

// bindings are those of the page that is shown.
func (m *Model) bindings() []binding {
	switch m.page {
	case mainPage:
		return mainKeys()
	case roomsPage:
		return roomsKeys()
	case soundPage:
		return soundKeys()
	case invitePage:
		return inviteKeys()
	case helpPage:
	}
	return textKeys()
}

// label is how a binding's keys are shown.
func (b *binding) label() string {
	if b.shown != "" {
		return b.shown
	}
	return b.keys[0]
}

// keyOf is the key of the main page with this short name, for texts that name
// it.
func keyOf(short string) string {
	for _, b := range mainKeys() {
		if b.short == short {
			return b.label()
		}
	}
	return "?"
}

// keyLine lists as many keys as fit, and always how to get help and out.
func (m *Model) keyLine(w int) string {
	if m.input != nil {
		return m.keyHints(w, []string{"enter", "take it", "esc", "leave it"}, nil)
	}
	var must, may []string
	for _, b := range m.bindings() {
		switch b.short {
		case "":
		case "help", "quit", "back":
			must = append(must, b.label(), b.short)
		default:
			may = append(may, b.label(), b.short)
		}
	}
	return m.keyHints(w, may, must)
}

// keyHints draws pairs of key and meaning: those of must in any case.
func (m *Model) keyHints(w int, may, must []string) string {
	size := func(key, what string) int { return width(key) + width(what) + 3 }
	for i := 0; i < len(must); i += 2 {
		w -= size(must[i], must[i+1])
	}
	var line strings.Builder
	for i := 0; i < len(may) && size(may[i], may[i+1]) <= w; i += 2 {
		w -= size(may[i], may[i+1])
		line.WriteString(m.hint(may[i], may[i+1]))
	}
	for i := 0; i < len(must); i += 2 {
		line.WriteString(m.hint(must[i], must[i+1]))
	}
	return line.String()
}

func (m *Model) hint(key, what string) string {
	return " " + m.th.title.Styled(key) + " " + m.th.dim.Styled(what) + " "
}
