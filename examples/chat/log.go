package main

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// openLog returns a logger that appends everything to a file, and what closes
// that; without a file it is nil, which Parley takes for silence.
func openLog(path string) (*slog.Logger, func() error, error) {
	if path == "" {
		return nil, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--log: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})), f.Close, nil
}

// notes are what goes wrong aside of the conversation. They go to standard error,
// and into the log of the screen while there is one. Safe for concurrent use; nil
// works too.
type notes struct {
	mu   sync.Mutex   // guards what follows
	show func(string) // nil for standard error
	said []string     // before the screen was there
}

func (n *notes) say(text string) {
	if n != nil {
		n.mu.Lock()
		show := n.show
		n.said = append(n.said, text)
		n.mu.Unlock()
		if show != nil {
			show(text)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "chat:", text)
}

// divert has all notes shown by a function from now on, and returns those that
// were said before; nil takes that back.
func (n *notes) divert(show func(string)) (said []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.show = show
	return n.said
}
