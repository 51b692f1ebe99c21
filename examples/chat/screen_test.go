//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"

	"github.com/parley-voice/parley/integration_test/chatlab"
)

// patience is how long the real program may take for anything.
const patience = 30 * time.Second

// What a terminal is told: to show its second screen or its first, and the
// cursor.
const (
	enterScreen = "\x1b[?1049h"
	leaveScreen = "\x1b[?1049l"
	showCursor  = "\x1b[?25h"
)

// job runs a command as a shell with job control does, and goes on with it when
// it was stopped by SIGTSTP, which is 20 on Linux and 18 elsewhere.
const job = `set -m; "$@"; code=$?
while [ $code = 148 ] || [ $code = 146 ]; do echo STOPPED; read line; fg; code=$?; done
echo "ENDED $code"`

// terminal is a pseudo-terminal with a program in it.
type terminal struct {
	t      *testing.T
	user   *os.File // our end: the keyboard, and what is shown
	tty    *os.File // the program's end
	before *term.State
	shell  *exec.Cmd

	mu    sync.Mutex // guards what follows
	shown []byte
	more  chan struct{} // closed when more is shown
}

// openTerminal runs a program in a terminal.
func openTerminal(t *testing.T, program string, args ...string) *terminal {
	t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err = pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, user: user, tty: tty, more: make(chan struct{})}
	if x.before, err = term.GetState(tty.Fd()); err != nil {
		t.Fatal(err)
	}
	x.shell = exec.CommandContext(t.Context(), "sh", append([]string{"-c", job, "sh", program}, args...)...)
	x.shell.Stdin, x.shell.Stdout, x.shell.Stderr = tty, tty, tty
	x.shell.Env = append(os.Environ(), "TERM=xterm-256color")
	x.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.shell.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go x.read(read)
	t.Cleanup(func() {
		_ = x.shell.Process.Kill()
		_ = x.shell.Wait()
		_ = tty.Close()
		_ = user.Close() // which hangs up on whatever is left in the terminal
		<-read
	})
	return x
}

// read takes what is shown until nobody holds the program's end any more.
func (x *terminal) read(done chan<- struct{}) {
	defer close(done)
	buf := make([]byte, 4096)
	for {
		n, err := x.user.Read(buf)
		x.mu.Lock()
		x.shown = append(x.shown, buf[:n]...)
		close(x.more)
		x.more = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// waits waits until a text is shown after what was seen before, and returns all
// up to it.
func (x *terminal) waits(text string) string {
	x.t.Helper()
	over := time.After(patience)
	for {
		x.mu.Lock()
		shown, more := x.shown, x.more
		if i := bytes.Index(shown, []byte(text)); i >= 0 {
			x.shown = shown[i+len(text):]
			x.mu.Unlock()
			return string(shown[:i+len(text)])
		}
		x.mu.Unlock()
		select {
		case <-more:
		case <-over:
			x.t.Fatalf("%q is not shown; that is:\n%q", text, shown)
		}
	}
}

func (x *terminal) types(keys string) {
	x.t.Helper()
	if _, err := x.user.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// wantRestored fails unless the terminal is as it was before the program, and
// what was shown since ends on the first screen with a cursor.
func (x *terminal) wantRestored(shown string) {
	x.t.Helper()
	now, err := term.GetState(x.tty.Fd())
	if err != nil {
		x.t.Fatal(err)
	}
	if !reflect.DeepEqual(now, x.before) {
		x.t.Errorf("the terminal's settings are %+v, and were %+v", now, x.before)
	}
	if strings.LastIndex(shown, leaveScreen) <= strings.LastIndex(shown, enterScreen) {
		x.t.Errorf("the terminal is left on the second screen: %q", shown)
	}
	if strings.LastIndex(shown, showCursor) < strings.LastIndex(shown, "\x1b[?25l") {
		x.t.Errorf("the terminal is left without a cursor: %q", shown)
	}
}

// processes are the two that run: the one that watches, and the one that talks.
func (x *terminal) processes() (parent, child int) {
	x.t.Helper()
	return x.childOf(x.shell.Process.Pid), x.childOf(x.childOf(x.shell.Process.Pid))
}

func (x *terminal) childOf(pid int) int {
	x.t.Helper()
	out, err := exec.CommandContext(x.t.Context(), "ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		x.t.Fatal(err)
	}
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^\s*(\d+)\s+%d\s*$`, pid)).FindSubmatch(out)
	if m == nil {
		x.t.Fatalf("process %d has no child", pid)
	}
	child, _ := strconv.Atoi(string(m[1]))
	return child
}

// ended tells that a process runs no more, whether or not its parent knows.
func ended(t *testing.T, pid int) bool {
	t.Helper()
	state, _ := exec.CommandContext(context.Background(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output() // fails if there is none
	return len(bytes.TrimSpace(state)) == 0 || state[0] == 'Z'
}

// start runs the chat in a terminal and waits until its screen is there.
func start(t *testing.T, chat string) *terminal {
	t.Helper()
	x := openTerminal(t, chat, "--key", filepath.Join(t.TempDir(), "key"), "--name", "anna", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--in", "silence", "--out", "null")
	x.waits("invite parley:")
	x.waits(enterScreen)
	x.waits("nobody yet")
	if now, err := term.GetState(x.tty.Fd()); err != nil || reflect.DeepEqual(now, x.before) {
		t.Fatalf("the terminal isn't raw (%v): this test would see nothing", err)
	}
	return x
}

// When the process that watches is killed, nobody goes on to listen at the
// microphone unseen: the other ends too, and gives the terminal back.
func TestWithoutItsWatcherTheProgramEnds(t *testing.T) {
	chat, err := chatlab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, chat)
	watcher, talker := x.processes()
	t.Cleanup(func() {
		if !ended(t, talker) {
			_ = syscall.Kill(talker, syscall.SIGKILL)
		}
	})
	if err := syscall.Kill(watcher, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x.waits(leaveScreen)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	over := time.After(patience)
	for {
		now, err := term.GetState(x.tty.Fd())
		if err == nil && reflect.DeepEqual(now, x.before) && ended(t, talker) {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("the terminal's settings are %+v, and were %+v; the process has ended: %t", now, x.before, ended(t, talker))
		}
	}
}

// The real program in a pseudo-terminal, from start to end, whichever that is:
// the terminal is as it was.
func TestTheTerminalIsGivenBack(t *testing.T) {
	chat, err := chatlab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	send := func(pid int, s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		end  func(x *terminal)
		code string
		says string // afterwards
	}{
		{"q", func(x *terminal) { x.types("q") }, "0", ""},
		{"ctrl+c", func(x *terminal) { x.types("\x03") }, "0", ""},
		{"terminated", func(x *terminal) { p, _ := x.processes(); send(p, syscall.SIGTERM) }, "0", ""},
		{"hung up", func(x *terminal) { p, _ := x.processes(); send(p, syscall.SIGHUP) }, "0", ""},
		{"killed", func(x *terminal) { _, c := x.processes(); send(c, syscall.SIGKILL) }, "137", "chat: signal: killed"},
		// A goroutine that panics ends a program in the same way.
		{"crashed", func(x *terminal) { _, c := x.processes(); send(c, syscall.SIGQUIT) }, "2", "goroutine 1"},
		{"suspended and woken", func(x *terminal) {
			x.types("\x1a")
			x.wantRestored(x.waits("STOPPED"))
			x.types("\n")
			x.waits(enterScreen)
			x.types("q")
		}, "0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := start(t, chat)
			x.types("m")
			x.waits("MUTED")
			if err := pty.Setsize(x.tty, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
				t.Fatal(err)
			}
			x.waits(strings.Repeat("─", 90))
			x.types("?")
			x.waits("take leave")
			x.types("\x1b")
			x.waits("nobody yet")
			c.end(x)
			shown := x.waits("ENDED " + c.code)
			x.wantRestored(enterScreen + shown)
			if !strings.Contains(shown, c.says) {
				t.Errorf("it doesn't say %q: %q", c.says, shown)
			}
		})
	}
}
