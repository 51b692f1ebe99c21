package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// childEnv makes the test binary the program itself.
const childEnv = "PARLEY_TEST_LOBBY"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := run(ctx, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "lobby:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// program is a lobby in a process of its own.
type program struct {
	cmd  *exec.Cmd
	info peer.AddrInfo

	mu    sync.Mutex // guards lines
	lines []string
	done  chan struct{} // its output ended
}

func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = t.Output()
	return cmd
}

// start starts a lobby on the loopback interface, with that key, and waits until
// it listens.
func start(t testing.TB, key string, args ...string) *program {
	t.Helper()
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", p2ptest.QUIC, "--listen", p2ptest.TCP)
	}
	p := &program{cmd: command(t, append(args, "--key", key)...), done: make(chan struct{})}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	go func() {
		defer close(p.done)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, scan.Text())
			p.mu.Unlock()
		}
	}()
	waitFor(t, 10*time.Second, "the lobby to listen", func() bool { return len(p.with("join with: ")) == 1 })
	peers, err := identity.ParsePeers(p.with("listening ")...)
	if err != nil || len(peers) != 1 {
		t.Fatalf("%q: %v", p.with(""), err)
	}
	p.info = peer.AddrInfo{ID: peers[0].ID, Addrs: peers[0].Addrs}
	return p
}

// with returns what follows prefix on the lines that begin with it.
func (p *program) with(prefix string) (rest []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if after, ok := strings.CutPrefix(l, prefix); ok {
			rest = append(rest, after)
		}
	}
	return rest
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.cmd.Wait()
}

// terminate asks the program to end and waits for it.
func (p *program) terminate(t testing.TB) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
	return time.Since(begin)
}

// listenSame are the flags with which another lobby listens where p did.
func (p *program) listenSame() (args []string) {
	for _, a := range p.info.Addrs {
		args = append(args, "--listen", a.String())
	}
	return args
}

func keyFile(t testing.TB) string { return filepath.Join(t.TempDir(), "lobby.key") }

func newMember(t testing.TB, lobby peer.AddrInfo, room string, options ...libp2p.Option) (host.Host, *client.Client) {
	t.Helper()
	h := newPeer(t, options...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := client.Join(ctx, h, client.Config{Lobby: lobby, Room: room})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return h, c
}

func newPeer(t testing.TB, options ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.ListenAddrStrings(p2ptest.QUIC, p2ptest.TCP),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func waitFor(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", d, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// next waits for the next event of that kind, and fails on any other.
func next[E client.Event](t testing.TB, c *client.Client, d time.Duration) (want E) {
	t.Helper()
	select {
	case e := <-c.Events():
		got, ok := e.(E)
		if !ok {
			t.Fatalf("%T %v, want %T", e, e, want)
		}
		return got
	case <-time.After(d):
		t.Fatalf("no %T within %v", want, d)
	}
	return want
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape reads a lobby's metrics.
func scrape(t testing.TB, address string) string {
	t.Helper()
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
