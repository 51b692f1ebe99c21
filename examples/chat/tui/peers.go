package tui

import (
	"fmt"
	"strings"
	"time"
)

// column is a column of the list of peers.
type column struct {
	title string
	width int
	right bool // numbers
	wide  int  // shown from this width of the list on
	cell  func(th *theme, p *Peer, w int) string
}

// columns are those to the right of the name, from left to right.
var columns = []column{
	{"level", 10, false, 0, levelCell},
	{"state", 9, false, 0, stateCell},
	{"path", 7, false, 0, func(th *theme, p *Peer, _ int) string { return pathCell(th, p) }},
	{"over", 8, false, 110, func(_ *theme, p *Peer, _ int) string { return Clean(p.Transport) }},
	{"rtt", 7, true, 100, func(_ *theme, p *Peer, _ int) string { return millis(p.RTT) }},
	{"delay", 7, true, 0, func(_ *theme, p *Peer, _ int) string { return millis(p.Delay) }},
	{"target", 7, true, 130, func(_ *theme, p *Peer, _ int) string { return millis(p.Target) }},
	{"jitter", 7, true, 120, func(_ *theme, p *Peer, _ int) string { return millis(p.Jitter) }},
	{"lost", 6, true, 0, func(th *theme, p *Peer, w int) string { return share(th, p.Loss, 0.02, 0.1, w) }},
	{"guessed", 7, true, 0, func(th *theme, p *Peer, w int) string { return share(th, p.Concealed, 0.01, 0.05, w) }},
	{"MOS", 4, true, 100, func(th *theme, p *Peer, w int) string { return mosCell(th, p, w) }},
	{"volume", 6, true, 0, func(_ *theme, p *Peer, _ int) string { return fmt.Sprintf("%.0f %%", 100*p.Volume) }},
}

const (
	rowStart = 4  // the mark of the chosen one, and whether it speaks
	tailSize = 7  // the end of the peer ID
	nameSize = 10 // at least, of a name
)

// peerColumns are the columns for which there is room in w cells, and how wide
// the name is then. Where a bit more room is, the meter grows.
func peerColumns(w int) (list []column, name int) {
	name = w - rowStart
	for _, c := range columns {
		if w < c.wide {
			continue
		}
		if w >= 130 && c.title == "level" {
			c.width = 16
		}
		if name-c.width-1 < nameSize+tailSize {
			break
		}
		list = append(list, c)
		name -= c.width + 1
	}
	return list, name
}

// peerLines draws the list of peers, its titles first, in at most n lines.
func (m *Model) peerLines(w, n int) []string {
	list, name := peerColumns(w)
	titles := []string{strings.Repeat(" ", rowStart) + fit("who", name)}
	for _, c := range list {
		titles = append(titles, place(c.title, c.width, c.right))
	}
	lines := []string{m.th.dim.Styled(strings.Join(titles, " "))}
	if len(m.state.Peers) == 0 {
		return append(lines, fit("    nobody yet: "+keyOf("invite")+" shows what to give to others", w))
	}
	at := m.selectedIndex()
	first := max(0, min(at-(n-1)/2, len(m.state.Peers)-(n-1)))
	for i := first; i < len(m.state.Peers) && len(lines) < n; i++ {
		lines = append(lines, m.peerLine(&m.state.Peers[i], i == at, list, name))
	}
	return lines
}

func (m *Model) peerLine(p *Peer, chosen bool, list []column, w int) string {
	var b strings.Builder
	mark, style := " ", m.th.dim
	if chosen {
		mark, style = m.th.title.Styled("›"), m.th.name
	}
	dot := m.th.dim.Styled("○")
	switch {
	case p.Knocks:
		dot = m.th.warn.Styled("?")
	case p.Speaking:
		dot = m.th.good.Styled("●")
		if !chosen {
			style = nil
		}
	case p.Reachable && !chosen:
		style = nil
	}
	tail := tailOf(p)
	name := fit(nameOf(p), w-width(tail)-1)
	if style != nil {
		name = style.Styled(name)
	}
	b.WriteString(mark + " " + dot + " " + name + " " + m.th.dim.Styled(tail))
	if p.Knocks {
		b.WriteString("  " + m.th.warn.Styled("knocks: "+keyOf("let in")+" lets in"))
		return b.String()
	}
	for _, c := range list {
		b.WriteString(" " + place(c.cell(&m.th, p, c.width), c.width, c.right))
	}
	return b.String()
}

func place(s string, w int, right bool) string {
	if right {
		return fitRight(s, w)
	}
	return fit(s, w)
}

// nameOf is a peer's name as it can be shown, and never empty. Names are not
// verified: the end of the ID, which is, goes with it.
func nameOf(p *Peer) string {
	if name := strings.TrimSpace(Clean(p.Name)); name != "" {
		return name
	}
	return "(no name)"
}

func tailOf(p *Peer) string {
	id := p.ID.String()
	return "…" + Clean(id[max(0, len(id)-6):])
}

func levelCell(th *theme, p *Peer, w int) string {
	if !p.Reachable || p.Blocked || p.Silenced || p.Muted {
		return th.dim.Styled(strings.Repeat("·", w))
	}
	level := p.Level
	if !p.Speaking {
		level = meterMin
	}
	return th.meter(level, 0, w)
}

func stateCell(th *theme, p *Peer, _ int) string {
	switch {
	case p.Blocked:
		return th.bad.Styled("blocked")
	case !p.Reachable:
		return th.bad.Styled("away")
	case p.Silenced:
		return th.warn.Styled("silenced")
	case p.Muted && p.Deafened:
		return th.warn.Styled("mute+deaf")
	case p.Deafened:
		return th.warn.Styled("deaf")
	case p.Muted:
		return th.warn.Styled("muted")
	case p.Whispers && p.Speaking:
		return th.own.Styled("whispers")
	case p.Recording:
		return th.bad.Styled("records")
	}
	return ""
}

func pathCell(th *theme, p *Peer) string {
	if path := Clean(p.Path); path != "none" {
		return path
	}
	return th.dim.Styled("none")
}

func mosCell(th *theme, p *Peer, w int) string {
	if p.MOS == 0 {
		return "–"
	}
	text := fitRight(fmt.Sprintf("%.1f", p.MOS), w)
	if p.MOS < 3 {
		return th.bad.Styled(text)
	}
	return text
}

// millis is a duration in whole milliseconds; a dash if it isn't known.
func millis(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return fmt.Sprintf("%d ms", (d + time.Millisecond/2).Milliseconds())
}

// share is a share in percent, coloured from two bounds on; a dash if it isn't
// known.
func share(th *theme, x, warn, bad float64, w int) string {
	if x < 0 {
		return "–"
	}
	text := fitRight(fmt.Sprintf("%.1f %%", 100*x), w)
	switch {
	case x >= bad:
		return th.bad.Styled(text)
	case x >= warn:
		return th.warn.Styled(text)
	}
	return text
}

// peerDetails says in sentences what is known of the chosen peer, in at most n
// lines.
func (m *Model) peerDetails(w, n int) []string {
	p := m.selectedPeer()
	if p == nil {
		return nil
	}
	lines := []string{cut(" "+m.th.name.Styled(nameOf(p))+" "+m.th.dim.Styled(Clean(p.ID.String())), w)}
	if p.Why != "" {
		for _, line := range wrap(Clean(p.Why), max(1, w-1), 0) {
			lines = append(lines, " "+line)
		}
	}
	facts := m.facts(p)
	room := max(0, n-len(facts))
	lines = append(lines[:min(len(lines), room)], facts...)
	for i := range lines {
		lines[i] = cut(lines[i], w)
	}
	return lines[:min(len(lines), n)]
}

// facts are lines with numbers.
func (m *Model) facts(p *Peer) (lines []string) {
	if p.Reachable {
		rooms := "all rooms"
		if !p.AllRooms {
			rooms = "no room"
		}
		if len(p.Rooms) > 0 {
			names := make([]string, len(p.Rooms))
			for i, name := range p.Rooms {
				names[i] = roomName(name)
			}
			rooms = "room " + strings.Join(names, ", ")
			if p.AllRooms {
				rooms += " and all others"
			}
		}
		lines = append(lines, fmt.Sprintf(" %s there and back, %s mouth to ear, %.0f kb/s in, %.0f out, hears %s",
			millis(p.RTT), millis(p.MouthToEar), p.BitsIn/1000, p.BitsOut/1000, rooms))
	}
	if p.Number != "" {
		lines = append(lines, m.th.dim.Styled(" The numbers of you both: ")+Clean(p.Number))
	}
	return lines
}
