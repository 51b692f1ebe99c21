package tui

import (
	"image/color"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// theme is how things look. All of it can be told apart without colours too:
// NO_COLOR leaves bold, faint and the words.
type theme struct {
	title, name, dim, good, warn, bad, own, alert ansi.Style
}

// newTheme chooses colours. Until the terminal says what its background is they
// are of its own palette, and those that can be read on black and white.
func newTheme(known, dark bool) theme {
	pick := func(own ansi.BasicColor, onDark, onLight uint32) ansi.Style {
		switch {
		case !known:
			return ansi.NewStyle().ForegroundColor(own)
		case dark:
			return ansi.NewStyle().ForegroundColor(rgb(onDark))
		}
		return ansi.NewStyle().ForegroundColor(rgb(onLight))
	}
	return theme{
		title: ansi.NewStyle().Bold(),
		name:  ansi.NewStyle().Bold(),
		dim:   ansi.NewStyle().Faint(),
		good:  pick(ansi.Green, 0x5FD787, 0x00702A),
		warn:  pick(ansi.Magenta, 0xFFC55C, 0x8A4B00),
		bad:   pick(ansi.Red, 0xFF7B72, 0xB3001B),
		own:   pick(ansi.Blue, 0x79C0FF, 0x0B4F9E),
		alert: ansi.NewStyle().Bold().Reverse(true),
	}
}

func rgb(hex uint32) color.Color {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xFF}
}

// The ends of a meter in dBFS, and where it says loud and too loud.
const (
	meterMin  = -60.0
	meterLoud = -18.0
	meterOver = -6.0
)

// eighths are a cell filled from the left.
var eighths = [...]string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// meter draws a level in dBFS into n cells; with a mark at another level, if
// that is not 0.
func (th *theme) meter(level, mark float64, n int) string {
	filled := cells(level, n)
	whole := int(filled)
	marked := -1
	if mark != 0 {
		marked = min(n-1, int(cells(mark, n)))
	}
	var b strings.Builder
	for i := range n {
		style := th.good
		switch at := meterMin - meterMin*float64(i)/float64(n); {
		case at >= meterOver:
			style = th.bad
		case at >= meterLoud:
			style = th.warn
		}
		switch part := int(8 * (filled - float64(whole))); {
		case i == marked:
			b.WriteString(th.title.Styled("┃"))
		case i < whole:
			b.WriteString(style.Styled("█"))
		case i == whole && part > 0:
			b.WriteString(style.Styled(eighths[part]))
		default:
			b.WriteString(th.dim.Styled("·"))
		}
	}
	return b.String()
}

// cells is how many of n cells a level fills.
func cells(level float64, n int) float64 {
	share := (level - meterMin) / -meterMin
	if !(share > 0) { // or no number at all
		return 0
	}
	return min(share, 1) * float64(n)
}
