package tui

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// maxMarks is how many marks a character may carry: more pile up over the lines
// above it.
const maxMarks = 2

// maxClean is how many bytes of a text are looked at.
const maxClean = 16 << 10

// Clean makes a text of somebody else fit to be shown in a line of a terminal.
// Nothing of it moves the cursor, changes colours, hides, joins or reorders what
// stands beside it, and every character is as wide as the terminal takes it to
// be. Escape sequences go with all that belongs to them, line breaks and tabs
// become spaces. What is beyond 16 KiB is cut off.
func Clean(s string) string {
	if len(s) > maxClean {
		s = s[:maxClean]
	}
	if plain(s) {
		return s
	}
	s = ansi.Strip(sevenBit(strings.ToValidUTF8(s, "\uFFFD")))
	var b strings.Builder
	b.Grow(len(s))
	marks := maxMarks // a mark needs something to stand on
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || r == '\u2800':
			b.WriteByte(' ')
			marks = maxMarks
		case unwanted(r):
		case unicode.Is(unicode.M, r):
			if marks < maxMarks {
				b.WriteRune(r)
				marks++
			}
		default:
			b.WriteRune(substitute(r))
			marks = 0
		}
	}
	return b.String()
}

// roomName is a room's name as it can be shown. Rooms are told apart by every
// byte, so what can't be seen of a name is written out.
func roomName(name string) string {
	if Clean(name) == name && strings.TrimSpace(name) == name {
		return name
	}
	return cut(strconv.QuoteToASCII(name), 60)
}

// sevenBit writes those controls that begin an escape sequence in one character
// (C1) as the two characters that mean the same.
func sevenBit(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x80 && r < 0xA0 && r != '\u0085' { // that one is a line break
			b.WriteByte(0x1b)
			r -= 0x40
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain tells that a text is printable ASCII, which most is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unwanted tells what isn't shown at all: controls, what changes direction or
// joins (zero-width joiners, bidi overrides, tags), what is invisible, what makes
// an emoji as wide as the terminal's version of Unicode thinks, and what belongs
// to no character.
func unwanted(r rune) bool {
	switch {
	case r == utf8.RuneError:
		return false
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return true
	case r >= 0x1F3FB && r <= 0x1F3FF: // skin tones
		return true
	case r >= 0x1160 && r <= 0x11FF, r >= 0xD7B0 && r <= 0xD7FF: // Hangul to be joined
		return true
	}
	return !unicode.IsGraphic(r)
}

// substitute replaces what terminals disagree about, or draw far beyond its
// cells.
func substitute(r rune) rune {
	switch {
	case r >= 0x1F1E6 && r <= 0x1F1FF: // regional indicators, which join to flags
		return 'A' + r - 0x1F1E6
	case r >= 0x1100 && r <= 0x115F: // Hangul to be joined
		return '\u25A1'
	}
	switch r {
	case '\uFDFD', '\uFDFA', '\uFDFB', '\u2E3A', '\u2E3B', '\uA9C5', '\u0BF5', '\u102A', '\U00012031', '\U00012219', '\U0001242B':
		return '\u25A1'
	}
	return r
}

// width is how many cells a text takes.
func width(s string) int { return ansi.StringWidthWc(s) }

// cut shortens a text, styled or not, to n cells.
func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	for room := n; room > 0; room-- { // marks beside a letter may be counted otherwise
		if t := ansi.TruncateWc(s, room, "…"); width(t) <= n {
			return t
		}
	}
	return ""
}

// fit makes a text exactly n cells wide.
func fit(s string, n int) string {
	s = cut(s, n)
	return s + strings.Repeat(" ", max(0, n-width(s)))
}

// fitRight is fit for numbers.
func fitRight(s string, n int) string {
	s = cut(s, n)
	return strings.Repeat(" ", max(0, n-width(s))) + s
}

// wrap breaks a clean text into lines of at most n cells, between words where it
// can, and each line is indented but the first.
func wrap(s string, n, indent int) []string {
	if n <= indent+1 || width(s) <= n {
		return []string{cut(s, n)}
	}
	var lines []string
	line, used, room := "", 0, n
	flush := func() {
		if len(lines) > 0 {
			line = strings.Repeat(" ", indent) + line
		}
		lines = append(lines, line)
		line, used, room = "", 0, n-indent
	}
	for word := range strings.FieldsSeq(s) {
		w := width(word)
		if used > 0 && used+1+w > room {
			flush()
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		for _, r := range word { // a word that is longer than a line is broken
			if w := width(string(r)); used+w > room {
				flush()
			}
			line, used = line+string(r), used+width(string(r))
		}
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}
