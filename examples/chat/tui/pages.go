package tui

import (
	"fmt"
	"strings"
)

// window returns the part of a list of rows that shows row at, at most n of
// them.
func window(rows []string, at, n int) []string {
	first := max(0, min(at-n/2, len(rows)-n))
	return rows[first:min(len(rows), first+n)]
}

// roomLines are the rooms, and what they mean to us.
func (m *Model) roomLines(n int) []string {
	st := &m.state
	m.row = min(max(m.row, 0), max(0, len(st.Rooms)-1))
	head := " You hear what is said to everyone and to you alone, and in these rooms."
	if st.AllHear {
		head = " You hear what is said to everyone and in any room, until you choose rooms."
	}
	lines := []string{cut(head, m.w), cut(" You speak to "+m.audience()+".", m.w), ""}
	if len(st.Rooms) == 0 {
		return append(lines, m.th.dim.Styled("  There is no room yet: n names one."))
	}
	var rows []string
	for i, r := range st.Rooms {
		mark := "  "
		name := fit(roomName(r.Name), min(40, m.w-36))
		if i == m.row {
			mark, name = m.th.title.Styled("› "), m.th.name.Styled(name)
		}
		heard := m.th.dim.Styled(fit(either(st.AllHear, "heard, as all", "not heard"), 14))
		if r.Heard {
			heard = m.th.good.Styled(fit("heard", 14))
		}
		spoken := fit("", 13)
		if r.Spoken {
			spoken = m.th.good.Styled(fit("you speak", 13))
		}
		rows = append(rows, mark+name+" "+heard+spoken+m.th.dim.Styled(fmt.Sprintf("%3d there", r.Others)))
	}
	return append(lines, window(rows, m.row, max(1, n-len(lines)))...)
}

// deviceLines are the microphones and the speakers.
func (m *Model) deviceLines(n int) []string {
	m.row = min(max(m.row, 0), max(0, len(m.devices)-1))
	switch {
	case m.listing:
		return []string{m.th.dim.Styled("  looking for devices ...")}
	case len(m.devices) == 0:
		return []string{m.th.dim.Styled("  There are no sound devices.")}
	}
	var rows []string
	for i, d := range m.devices {
		mark := "  "
		name := fit(deviceName(&d), m.w-26)
		if i == m.row {
			mark, name = m.th.title.Styled("› "), m.th.name.Styled(name)
		}
		rows = append(rows, mark+fit(either(d.Microphone, "microphone", "speaker"), 11)+name+m.th.dim.Styled(either(d.Default, " default", "")))
	}
	return window(rows, m.row, n)
}

// inviteLines are our addresses, from the row on to which one has scrolled. They
// are drawn without any frame, to be copied.
func (m *Model) inviteLines(n int) (lines []string) {
	for _, paragraph := range m.cfg.Invite {
		lines = append(lines, "")
		for line := range strings.SplitSeq(paragraph, "\n") {
			lines = append(lines, wrap(Clean(line), m.w, 0)...)
		}
	}
	m.row = min(max(m.row, 0), max(0, len(lines)-n))
	return lines[m.row:]
}

// helpLines are all keys of the main page, in two columns where there is room.
func (m *Model) helpLines(n int) []string {
	var rows []string
	wide := m.w
	if m.w >= 2*70 {
		wide = m.w / 2
	}
	for _, b := range mainKeys() {
		if b.long != "" {
			rows = append(rows, cut("  "+m.th.title.Styled(fit(b.label(), 10))+b.long, wide-1))
		}
	}
	if wide == m.w {
		return rows
	}
	half := (len(rows) + 1) / 2
	lines := make([]string, half)
	for i := range lines {
		lines[i] = fit(rows[i], wide)
		if half+i < len(rows) {
			lines[i] += rows[half+i]
		}
	}
	return lines[:min(len(lines), n)]
}
