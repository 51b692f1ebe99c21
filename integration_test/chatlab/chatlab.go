// Package chatlab runs chat processes and reads what they say of themselves,
// for the demo and for tests and measurements across processes.
package chatlab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take from the signal to its end.
const stopPatience = 5 * time.Second

// Build compiles the chat program into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	return BuildProgram(ctx, dir, "examples/chat")
}

// BuildProgram compiles the program in a directory of this module, as
// "examples/chat", into dir and returns its path.
func BuildProgram(ctx context.Context, dir, program string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), "github.com/parley-voice/parley/"+program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("chatlab: build %s: %w\n%s", program, err, out)
	}
	return filepath.Join(dir, filepath.Base(program)), nil
}

// ID returns the peer ID of the key in a file, which is made if there is none.
func ID(ctx context.Context, chat, key string) (string, error) {
	out, err := exec.CommandContext(ctx, chat, "id", "--key", key).Output()
	if err != nil {
		return "", fmt.Errorf("chatlab: %s id: %w", chat, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Process is a running chat, or another program that prints lines.
type Process struct {
	cmd       *exec.Cmd
	exited    chan struct{}
	listening chan struct{} // closed at the first address

	mu        sync.Mutex // guards what follows
	output    strings.Builder
	lines     []Printed
	more      chan struct{} // closed at the next line
	addresses []string
	err       error
}

// Printed is a line that a process printed, and when.
type Printed struct {
	At   time.Time
	Text string
}

// Start runs a chat whose command line is prepared, but not its output.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, exited: make(chan struct{}), listening: make(chan struct{}), more: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("chatlab: %w", err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		_, _ = r.Close(), w.Close()
		return nil, fmt.Errorf("chatlab: start: %w", err)
	}
	_ = w.Close() // the process has its own
	go p.follow(r)
	return p, nil
}

// follow reads what the process prints until it ends.
func (p *Process) follow(r io.ReadCloser) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.mu.Lock()
		fmt.Fprintln(&p.output, lines.Text())
		p.lines = append(p.lines, Printed{time.Now(), lines.Text()})
		close(p.more)
		p.more = make(chan struct{})
		if address, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			p.addresses = append(p.addresses, address)
		}
		if strings.HasPrefix(lines.Text(), "invite ") {
			close(p.listening)
		}
		p.mu.Unlock()
	}
	_ = r.Close()
	err := p.cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.exited)
}

// Addresses waits until the process listens and returns where.
func (p *Process) Addresses(ctx context.Context) ([]string, error) {
	select {
	case <-p.listening:
	case <-p.exited:
		return nil, fmt.Errorf("chatlab: ended before it listened: %s", p.Output())
	case <-ctx.Done():
		return nil, fmt.Errorf("chatlab: wait for addresses: %w", ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses, nil
}

// Output is what the process has printed.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Lines are what the process has printed so far, on standard output and error.
func (p *Process) Lines() []Printed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// Line waits for the first line, from a time on, that ok likes. It doesn't
// wait longer than the process and ctx live.
func (p *Process) Line(ctx context.Context, from time.Time, ok func(text string) bool) (Printed, error) {
	for seen := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[seen:], p.more
		p.mu.Unlock()
		for _, l := range lines {
			if seen++; !l.At.Before(from) && ok(l.Text) {
				return l, nil
			}
		}
		select {
		case <-more:
		case <-p.exited:
			if p.mu.Lock(); seen == len(p.lines) {
				p.mu.Unlock()
				return Printed{}, fmt.Errorf("chatlab: ended before it printed what was waited for: %s", p.Output())
			}
			p.mu.Unlock()
		case <-ctx.Done():
			return Printed{}, fmt.Errorf("chatlab: wait for a line: %w", ctx.Err())
		}
	}
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process without asking it, as a crash would, and waits for its
// end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the end and returns what went wrong, with the process's words.
func (p *Process) Wait() error {
	<-p.exited
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("chatlab: chat: %w\n%s", p.err, p.output.String())
	}
	return nil
}

// Signal sends the process a signal. One that has ended gets none.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("chatlab: signal: %w", err)
	}
	return nil
}

// Stop asks the process to end, and makes it end if it doesn't.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return p.Wait()
	case <-time.After(stopPatience):
		p.Kill()
		return fmt.Errorf("chatlab: did not end within %v after SIGTERM\n%s", stopPatience, p.Output())
	}
}
