package tui

import (
	"fmt"
	"os"

	"github.com/charmbracelet/x/term"
)

// Possible tells whether there is a terminal to show a screen in.
func Possible() bool {
	return term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stdout.Fd()) && os.Getenv("TERM") != "dumb"
}

// EndedError says with which code the program ended that Supervise ran.
type EndedError struct{ Code int }

func (e *EndedError) Error() string { return fmt.Sprintf("ended with code %d", e.Code) }
