package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Config says what a Screen shows. Chat is required.
type Config struct {
	Chat   Chat
	Invite []string // paragraphs of the page that says how others reach us
	Copy   string   // what a key of that page puts into the clipboard

	Now           func() time.Time // the clock; default time.Now
	Input         io.Reader        // the keyboard; default standard input
	Output        io.Writer        // the terminal; default standard output
	Environ       []string         // default the process's: TERM, NO_COLOR and the like
	Width, Height int              // of an output that is no terminal; default 80 and 24
}

// Screen is the terminal while a conversation is shown in it.
type Screen struct {
	model   *Model
	program *tea.Program
	ended   chan struct{} // closed when Run returns
}

// New makes a screen. It touches no terminal before Run.
func New(cfg Config) *Screen {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Environ == nil {
		cfg.Environ = os.Environ()
	}
	options := []tea.ProgramOption{tea.WithEnvironment(cfg.Environ), tea.WithFPS(20), tea.WithoutSignalHandler()}
	if cfg.Input != nil {
		options = append(options, tea.WithInput(cfg.Input))
	}
	if cfg.Output != nil {
		options = append(options, tea.WithOutput(cfg.Output))
	}
	if cfg.Width > 0 && cfg.Height > 0 {
		options = append(options, tea.WithWindowSize(cfg.Width, cfg.Height))
	}
	model := newModel(cfg)
	return &Screen{model: model, program: tea.NewProgram(model, options...), ended: make(chan struct{})}
}

// Run shows the screen until a key ends it, or ctx does, and gives the terminal
// back as it was. It is called once.
func (s *Screen) Run(ctx context.Context) error {
	defer close(s.ended)
	defer context.AfterFunc(ctx, s.program.Quit)()
	_, err := s.program.Run()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return fmt.Errorf("the screen ended: %w", err)
	}
	return nil
}

// Do has Run's goroutine call f, between two keys, and returns when that is
// done, or false if Run is over before. It must not be called by that goroutine.
func (s *Screen) Do(f func()) bool {
	done := make(chan struct{})
	s.program.Send(doMsg{f, done})
	select {
	case <-done:
		return true
	case <-s.ended:
		return false
	}
}

// Note appends to the log, from any goroutine but Run's.
func (s *Screen) Note(text string) { s.program.Send(noteMsg{text}) }

// Write appends to the log what a program tells, a line each. It is for Run's
// goroutine, in Do and in the Chat, and for the time before Run.
func (s *Screen) Write(p []byte) (int, error) {
	s.model.add(notice, "", strings.TrimPrefix(string(p), "* "))
	return len(p), nil
}

// Hear appends to the log what somebody wrote. It is for the same callers as
// Write.
func (s *Screen) Hear(from, text string) { s.model.add(spoken, from, text) }
