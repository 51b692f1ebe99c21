package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/session"
)

// The smallest window that is drawn into, and from which width on the log stands
// beside the peers.
const (
	minWidth  = 40
	minHeight = 10
	sideWidth = 130
)

// View draws the screen.
func (m *Model) View() tea.View {
	lines, cursor := m.lines()
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = "Parley" + either(m.state.Muted, ", muted", "")
	v.Cursor = cursor
	// Releases of keys are asked for where they are of use only: a terminal
	// then reports every key in another way, letters too.
	if m.state.Mode == session.PushToTalk && m.input == nil {
		v.KeyboardEnhancements = tea.KeyboardEnhancements{
			ReportEventTypes: true, ReportAllKeysAsEscapeCodes: true, ReportAssociatedText: true,
		}
	}
	return v
}

// lines draws the screen as lines, one for each row.
func (m *Model) lines() ([]string, *tea.Cursor) {
	if m.w < minWidth || m.h < minHeight {
		lines := []string{cut("Parley: make the window larger", m.w), cut(m.onAir(), m.w)}
		return lines[:min(max(m.h, 0), len(lines))], nil
	}
	lines := []string{m.headLine(), m.ownLine()}
	body := m.body(m.h - len(lines) - 3)
	lines = append(lines, body...)
	foot, cursor := m.inputLine(len(lines) + 1)
	lines = append(lines, m.rule(m.w, ""), foot, m.keyLine(m.w))
	for i := range lines {
		lines[i] = cut(lines[i], m.w)
	}
	return lines, cursor
}

// body draws what is between head and foot, exactly n lines.
func (m *Model) body(n int) []string {
	var lines []string
	switch m.page {
	case mainPage:
		lines = m.mainBody(n)
	case roomsPage:
		lines = append([]string{m.rule(m.w, "rooms")}, m.roomLines(n-1)...)
	case soundPage:
		lines = append([]string{m.rule(m.w, "microphones and speakers")}, m.deviceLines(n-1)...)
	case invitePage:
		lines = append([]string{m.rule(m.w, "how others reach you")}, m.inviteLines(n-1)...)
	case helpPage:
		lines = append([]string{m.rule(m.w, "keys")}, m.helpLines(n-1)...)
	}
	lines = lines[:min(len(lines), n)]
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines
}

// mainBody is who is here and what happened: below each other, or side by side.
func (m *Model) mainBody(n int) []string {
	if m.w >= sideWidth {
		left := m.w * 2 / 3
		details := m.peerDetails(left, n/3)
		list := m.peerLines(left, n-2-len(details))
		lines := append([]string{m.rule(left, m.here(len(list)-1))}, list...)
		lines = append(append(lines, m.rule(left, "")), details...)
		for len(lines) < n {
			lines = append(lines, "")
		}
		right := append([]string{m.rule(m.w-left-1, "log")}, m.log.lines(&m.th, m.w-left-2, n-1)...)
		for i := range lines {
			space := " "
			if i == 0 {
				space = ""
			}
			lines[i] = fit(lines[i], left) + m.th.dim.Styled("│") + space + right[i]
		}
		return lines
	}
	details := m.peerDetails(m.w, min(5, n/4))
	list := m.peerLines(m.w, max(2, (n-len(details))/2-1))
	lines := append([]string{m.rule(m.w, m.here(len(list)-1))}, list...)
	if len(details) > 0 {
		lines = append(append(lines, m.rule(m.w, "")), details...)
	}
	lines = append(lines, m.rule(m.w, either(m.log.back > 0, "log, gone back: pgdn comes forth", "log")))
	return append(lines, m.log.lines(&m.th, m.w, max(0, n-len(lines)))...)
}

// here counts who is here, and says so if not all of them are shown.
func (m *Model) here(shown int) string {
	knocks := 0
	for i := range m.state.Peers {
		if m.state.Peers[i].Knocks {
			knocks++
		}
	}
	all := len(m.state.Peers)
	text := fmt.Sprintf("%d here", all-knocks)
	if knocks > 0 {
		text += fmt.Sprintf(", %d at the door", knocks)
	}
	if all > shown {
		text += fmt.Sprintf(", %d more by ↑ ↓", all-shown)
	}
	return text
}

// rule is a line across, with a title.
func (m *Model) rule(w int, title string) string {
	if title == "" {
		return m.th.dim.Styled(strings.Repeat("─", w))
	}
	return m.th.dim.Styled("─ ") + m.th.title.Styled(title) + m.th.dim.Styled(" "+strings.Repeat("─", max(0, w-3-width(title))))
}

// headLine names the conversation, and says what one must not overlook.
func (m *Model) headLine() string {
	left := " " + m.th.title.Styled("Parley")
	if name := strings.TrimSpace(Clean(m.state.Name)); name != "" {
		left += "  " + cut(name, 24)
	}
	if m.state.Lobby != "" {
		left += m.th.dim.Styled("  room " + Clean(m.state.Lobby))
	}
	var marks []string
	for _, mark := range []struct {
		on   bool
		text string
	}{
		{m.state.Recording, " RECORDING "}, {m.state.Muted, " MUTED "}, {m.state.Deafened, " DEAFENED "},
	} {
		if mark.on {
			marks = append(marks, m.th.alert.Styled(mark.text))
		}
	}
	right := strings.Join(append(marks, m.th.dim.Styled(m.cfg.Now().Format("15:04"))), " ") + " "
	return fit(left, m.w-width(right)) + right
}

// ownLine is our own voice: how loud, when and by whom it is heard.
func (m *Model) ownLine() string {
	st := &m.state
	meter := 16
	if m.w >= sideWidth {
		meter = 30
	}
	var mark float64
	if st.Mode == session.VoiceActivation {
		mark = st.Threshold
	}
	line := " you " + m.th.meter(st.Level, mark, meter) + fmt.Sprintf(" %4.0f dB  ", max(st.Level, -99))
	line += m.onAir() + "  "
	if st.Microphone != "" {
		line += m.th.bad.Styled("microphone: "+Clean(st.Microphone)) + "  "
	}
	if st.Speaker != "" {
		line += m.th.bad.Styled("speaker: "+Clean(st.Speaker)) + "  "
	}
	when := modeWords(st.Mode)
	if m.talk.state == keyLatched {
		when = "until space ends it"
	}
	to := m.th.dim.Styled("to ") + m.audience()
	if st.Whisper != "" {
		to = m.th.alert.Styled(" WHISPERING to " + m.audience() + " ")
	}
	return line + to + m.th.dim.Styled(", "+when)
}

// onAir says in one word whether we are heard now.
func (m *Model) onAir() string {
	switch st := &m.state; {
	case st.Muted:
		return m.th.bad.Styled("muted  ")
	case st.Speaking:
		return m.th.good.Styled("TALKING")
	case st.Mode == session.PushToTalk && st.Talking:
		return m.th.good.Styled("ON     ")
	}
	return m.th.dim.Styled("silent ")
}

// audience is whom our voice and our texts go to.
func (m *Model) audience() string {
	if id := m.state.Whisper; id != "" {
		for i := range m.state.Peers {
			if m.state.Peers[i].ID == id {
				return nameOf(&m.state.Peers[i])
			}
		}
		return "one who isn't here"
	}
	var rooms []string
	for _, r := range m.state.Rooms {
		if r.Spoken {
			rooms = append(rooms, roomName(r.Name))
		}
	}
	if len(rooms) == 0 {
		return "everyone"
	}
	return "room " + strings.Join(rooms, ", ")
}

// inputLine is the line that is written, or the answer to the last key, or what
// could be done.
func (m *Model) inputLine(row int) (string, *tea.Cursor) {
	if m.input == nil {
		if m.flash != "" {
			return " " + cut(m.flash, m.w-2), nil
		}
		hint := "enter writes to " + m.audience() + ", / begins a command"
		if m.page != mainPage {
			hint = ""
		}
		return m.th.dim.Styled(" " + cut(hint, m.w-2)), nil
	}
	line, column := m.input.draw(&m.th, m.w-2)
	return " " + line, tea.NewCursor(1+column, row)
}
