package main

import (
	"fmt"
	"log/slog"
	"os"
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
