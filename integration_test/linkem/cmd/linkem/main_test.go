package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-voice/parley/integration_test/linkem"
)

func TestSideIsNamespaceAndAddress(t *testing.T) {
	for _, tt := range []struct{ spec, name, addr string }{
		{"la=10.77.0.1", "la", "10.77.0.1/24"},
		{"la=11.0.0.9/16", "la", "11.0.0.9/16"},
		{"la", "", ""},
		{"=10.77.0.1", "", ""},
		{"../x=10.77.0.1", "", ""},
		{"la=ten", "", ""},
	} {
		name, addr, err := parseSide(tt.spec)
		if tt.addr == "" {
			if err == nil {
				t.Errorf("%q: accepted as %q, %v", tt.spec, name, addr)
			}
			continue
		}
		if err != nil || name != tt.name || addr.String() != tt.addr {
			t.Errorf("%q: %q, %v, %v; want %q, %s", tt.spec, name, addr, err, tt.name, tt.addr)
		}
	}
}

// TestCommand runs the command itself, in this process, between two
// namespaces of its own making, and pings through it.
func TestCommandPrintsUpAndItsCounters(t *testing.T) {
	if err := linkem.Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED, nothing was tested: %v", err)
		}
	}
	a, b := fmt.Sprintf("parley-%d-a", os.Getpid()), fmt.Sprintf("parley-%d-b", os.Getpid())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run([]string{"-a", a + "=10.78.0.1", "-b", b + "=10.78.0.2", "-delay", "5ms"}, w)
		_ = w.CloseWithError(io.EOF)
		ended <- err
	}()
	out := json.NewDecoder(r)
	var up [2]byte
	if _, err := io.ReadFull(r, up[:]); err != nil || string(up[:]) != "up" {
		t.Fatalf("it printed %q, %v; run: %v", up, err, <-ended)
	}
	// Any UDP packet that crosses will do; bash's /dev/udp needs no tool.
	send := exec.Command("ip", "netns", "exec", a, "bash", "-c", "echo hello > /dev/udp/10.78.0.2/9")
	if text, err := send.CombinedOutput(); err != nil {
		t.Errorf("send: %v: %s", err, text)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var stats linkem.Stats
	if err := out.Decode(&stats); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if stats.AB.Sent == 0 || stats.AB.SentBytes == 0 {
		t.Errorf("counters after a packet: %+v", stats)
	}
	list, err := exec.Command("ip", "netns", "list").Output()
	if err != nil || strings.Contains(string(list), a) || strings.Contains(string(list), b) {
		t.Errorf("namespaces left: %s %v", list, err)
	}
}
