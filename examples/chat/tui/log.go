package tui

import (
	"slices"
	"strings"
	"time"
)

// maxLog is how many entries are kept.
const maxLog = 1000

// entryKind says how an entry of the log looks.
type entryKind uint8

const (
	notice entryKind = iota // what happens
	failed                  // what went wrong
	spoken                  // a text of somebody else
	ours                    // a text of our own
	answer                  // to a command
)

// entry is one thing that was said or happened.
type entry struct {
	at   time.Time
	kind entryKind
	from string // who said it, clean
	text string // clean
}

// record is the log that is shown: the newest entries, and how far one has gone
// back in them.
type record struct {
	entries []entry
	back    int // lines below the bottom of the window
}

func (r *record) add(e entry) {
	if len(r.entries) >= maxLog {
		n := copy(r.entries, r.entries[1:])
		r.entries = r.entries[:n]
	}
	r.entries = append(r.entries, e)
}

// scroll goes back by so many lines, or forth.
func (r *record) scroll(lines int) { r.back = max(0, r.back+lines) }

// lines draws the newest entries that fit, or older ones, exactly n lines.
func (r *record) lines(th *theme, w, n int) []string {
	var drawn [][]string
	total := 0
	for _, e := range slices.Backward(r.entries) {
		if total >= n+r.back {
			break
		}
		d := e.draw(th, w)
		drawn = append(drawn, d)
		total += len(d)
	}
	all := make([]string, 0, total)
	for _, d := range slices.Backward(drawn) {
		all = append(all, d...)
	}
	r.back = min(r.back, max(0, total-n))
	all = all[max(0, len(all)-n-r.back) : len(all)-r.back]
	for len(all) < n {
		all = append(all, "")
	}
	return all
}

// timeWidth is how wide the time before each entry is.
const timeWidth = len("15:04 ")

func (e *entry) draw(th *theme, w int) []string {
	text := e.text
	if e.from != "" {
		text = e.from + ": " + text
	}
	lines := wrap(text, max(1, w-timeWidth), 2)
	for i, line := range lines {
		switch {
		case e.kind == failed:
			line = th.bad.Styled(line)
		case e.kind == notice:
			line = th.dim.Styled(line)
		case i == 0 && e.from != "":
			line = th.from(e.kind, e.from, line)
		}
		if i == 0 {
			lines[i] = th.dim.Styled(e.at.Format("15:04")) + " " + line
		} else {
			lines[i] = strings.Repeat(" ", timeWidth) + line
		}
	}
	return lines
}

// from colours who said it, if it isn't broken over two lines.
func (th *theme) from(kind entryKind, from, line string) string {
	rest, ok := strings.CutPrefix(line, from+":")
	if !ok {
		return line
	}
	style := th.name
	if kind == ours {
		style = th.own
	}
	return style.Styled(from+":") + rest
}
