//go:build unix

package client_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// process is a member in a process of its own.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	id  peer.ID
}

func startMember(t *testing.T, lobby peer.AddrInfo) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s/p2p/%s", childEnv, lobby.Addrs[0], lobby.ID))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	idText, own, _ := strings.Cut(strings.TrimSpace(line), " ")
	id, err := peer.Decode(idText)
	if err != nil || own != "true" {
		t.Fatalf("%q, %v; want a member on a connection of its own", line, err)
	}
	return &process{cmd, in, id}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestHowProcessesEnd(t *testing.T) {
	t.Parallel()
	_, h := newLobby(t, server.Config{})
	for _, c := range []struct {
		name   string
		end    func(t *testing.T, p *process)
		want   string
		within time.Duration
	}{
		{"it leaves", func(t *testing.T, p *process) { _ = p.in.Close() }, "left", time.Second},
		{"it is killed", func(t *testing.T, p *process) { p.signal(t, syscall.SIGKILL) }, "vanished", 3 * time.Second},
		{"it is killed while suspended", func(t *testing.T, p *process) {
			p.signal(t, syscall.SIGSTOP)
			p.signal(t, syscall.SIGKILL)
		}, "vanished", 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			watcher := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
			p := startMember(t, info(h))
			watcher.waits(5*time.Second, "joined "+short(p.id))
			start := time.Now()
			c.end(t, p)
			d := watcher.waits(c.within+5*time.Second, "left "+short(p.id)+" "+c.want).Sub(start)
			t.Logf("%s: others knew after %v", c.name, d)
			if d > c.within {
				t.Errorf("others knew after %v, want at most %v", d, c.within)
			}
			watcher.sees(5 * time.Second)
		})
	}
}

// A process that is suspended for 5 s doesn't leave, nor does it think that the
// lobby was lost.
func TestASuspendedProcessStays(t *testing.T) {
	t.Parallel()
	lobby, h := newLobby(t, server.Config{})
	watcher := join(t, newHost(t, p2ptest.QUIC), client.Config{Lobby: info(h)})
	p := startMember(t, info(h))
	watcher.waits(5*time.Second, "joined "+short(p.id))
	p.signal(t, syscall.SIGSTOP)
	time.Sleep(5 * time.Second) // the suspension itself
	p.signal(t, syscall.SIGCONT)
	heard := lobby.Stats().MessagesIn
	// The watcher alone sends 6 in that time.
	waitFor(t, 12*time.Second, "heartbeats after it", func() bool { return lobby.Stats().MessagesIn >= heard+8 })
	watcher.quiet("left")
	if st := lobby.Stats(); st.Resumed != 0 || st.Joins != 2 {
		t.Errorf("it left and came back: %+v", st)
	}
}
