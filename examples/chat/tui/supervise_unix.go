//go:build unix

package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
)

// supervised tells a program that it is the one that Supervise runs.
const supervised = "PARLEY_CHAT_SUPERVISED"

// resetSequence takes back whatever the screen may have set, in case nobody else
// did: synchronised output, keyboard protocols, pasting, focus, wide characters,
// the second screen, colours, and the hidden cursor.
const resetSequence = "\x1b[?2026l\x1b[<u\x1b[>4m\x1b[?2004l\x1b[?1004l\x1b[?2027l\x1b[?1049l\x1b[0m\x1b[?25h"

// maxStderr is how much of what the program writes to standard error is kept.
const maxStderr = 256 << 10

// Supervise runs this program a second time, as a child on the same terminal,
// and waits for it: done is true, and err an EndedError unless all went well. In
// that child it does nothing, and done is false: it goes on.
//
// The parent gives the terminal back as it was if the child can't: when some
// goroutine panics, a C library crashes, or the child is killed. What the child
// and its libraries write to standard error, which would destroy the screen, it
// shows afterwards. It passes SIGTERM and SIGHUP on. A child whose parent is
// killed ends as by SIGHUP.
func Supervise() (done bool, err error) {
	if os.Getenv(supervised) != "" {
		_ = os.Unsetenv(supervised)
		go endWithParent(os.NewFile(3, "parent"))
		return false, nil
	}
	state, err := term.GetState(os.Stdin.Fd())
	if err != nil {
		return true, fmt.Errorf("the terminal: %w", err)
	}
	code, crashed, said, err := runChild()
	if err != nil {
		return true, err
	}
	if crashed {
		// If the shell took the terminal back first, this would stop us.
		signal.Ignore(syscall.SIGTTOU)
		_, _ = os.Stdout.WriteString(resetSequence)
		_ = term.Restore(os.Stdin.Fd(), state)
	}
	_, _ = os.Stderr.Write(said)
	if code != 0 {
		return true, &EndedError{code}
	}
	return true, nil
}

// endWithParent ends this process as the end of the terminal would, when the
// other end of a pipe is closed.
func endWithParent(pipe *os.File) {
	_, _ = io.Copy(io.Discard, pipe)
	signal.Ignore(syscall.SIGTTOU) // the terminal may be the shell's already
	_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
}

// runChild runs the child and returns its code, whether it ended in disorder,
// and what it wrote to standard error, the last of it.
func runChild() (code int, crashed bool, said []byte, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, false, nil, fmt.Errorf("start: %w", err)
	}
	alive, ours, err := os.Pipe()
	if err != nil {
		return 0, false, nil, fmt.Errorf("start: %w", err)
	}
	defer ours.Close() //nolint:errcheck // nothing is written
	var stderr tail
	cmd := exec.CommandContext(context.Background(), program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), supervised+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, &stderr
	cmd.ExtraFiles = []*os.File{alive}
	cmd.WaitDelay = time.Second // for what the child may have left behind
	signals := make(chan os.Signal, 8)
	// What the keyboard sends reaches the child as well.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	defer close(signals)
	defer signal.Stop(signals)
	if err = cmd.Start(); err != nil {
		return 0, false, nil, fmt.Errorf("start: %w", err)
	}
	_ = alive.Close() // the child has its own
	go passOn(signals, cmd.Process)
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0, false, stderr.bytes(), nil
	case !ok:
		return 0, true, stderr.bytes(), fmt.Errorf("wait: %w", err)
	case exit.Exited():
		// Go's runtime ends with 2 when it panics.
		return exit.ExitCode(), exit.ExitCode() == 2, stderr.bytes(), nil
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	said = fmt.Appendf(stderr.bytes(), "chat: %v\n", exit)
	return 128 + int(status.Signal()), true, said, nil
}

// passOn gives a child the signals that are sent to its parent alone.
func passOn(signals <-chan os.Signal, child *os.Process) {
	for s := range signals {
		if s == syscall.SIGTERM || s == syscall.SIGHUP {
			_ = child.Signal(s) // it may have ended
		}
	}
}

// tail keeps the last of what is written into it.
type tail struct {
	mu   sync.Mutex // guards what follows
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept
}
