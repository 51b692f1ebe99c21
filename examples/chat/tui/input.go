package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// maxInput is how many characters may be written into a line.
const maxInput = 2000

// input is a line that is being written.
type input struct {
	prompt string
	text   []rune
	at     int // the cursor
	done   func(string) tea.Cmd
}

// key does what a key means while a line is written. It reports whether the line
// is over, and by that whether it is to be taken.
func (in *input) key(k tea.KeyPressMsg) (over, take bool) {
	switch k.Keystroke() {
	case "enter":
		return true, true
	case "esc", "ctrl+g":
		return true, false
	case "backspace", "ctrl+h":
		if in.at == 0 && len(in.text) == 0 {
			return true, false
		}
		in.erase(in.at-1, in.at)
	case "delete", "ctrl+d":
		in.erase(in.at, in.at+1)
	case "left", "ctrl+b":
		in.at = max(0, in.at-1)
	case "right", "ctrl+f":
		in.at = min(len(in.text), in.at+1)
	case "home", "ctrl+a":
		in.at = 0
	case "end", "ctrl+e":
		in.at = len(in.text)
	case "ctrl+u":
		in.erase(0, in.at)
	case "ctrl+k":
		in.erase(in.at, len(in.text))
	case "ctrl+w":
		in.erase(in.wordStart(), in.at)
	default:
		in.insert(k.Text)
	}
	return false, false
}

// insert writes at the cursor what can be shown of a text.
func (in *input) insert(text string) {
	add := []rune(Clean(text))
	add = add[:min(len(add), maxInput-len(in.text))]
	in.text = append(in.text[:in.at:in.at], append(add, in.text[in.at:]...)...)
	in.at += len(add)
}

func (in *input) erase(from, to int) {
	from, to = max(0, from), min(len(in.text), to)
	if from >= to {
		return
	}
	in.text = append(in.text[:from:from], in.text[to:]...)
	in.at = from
}

func (in *input) wordStart() int {
	i := in.at
	for i > 0 && in.text[i-1] == ' ' {
		i--
	}
	for i > 0 && in.text[i-1] != ' ' {
		i--
	}
	return i
}

// draw shows the part of the line around the cursor, and says in which column
// the cursor is.
func (in *input) draw(th *theme, w int) (line string, column int) {
	prompt := cut(in.prompt, max(0, w/2))
	room := max(1, w-width(prompt)-1)
	start, used := in.at, 0
	for start > 0 {
		if used += width(string(in.text[start-1])); used >= room {
			break
		}
		start--
	}
	before := string(in.text[start:in.at])
	return th.own.Styled(prompt) + cut(before+string(in.text[in.at:]), room), width(prompt) + width(before)
}

// value is what was written.
func (in *input) value() string { return strings.TrimSpace(string(in.text)) }
