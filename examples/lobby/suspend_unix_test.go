//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/examples/lobby/client"
)

// A lobby that stands still for some seconds loses nobody, and takes nobody for
// silent when it goes on.
func TestALobbyThatIsSuspendedLosesNobody(t *testing.T) {
	p := start(t, keyFile(t))
	_, a := newMember(t, p.info, room)
	_, b := newMember(t, p.info, room)
	next[client.Joined](t, a, 5*time.Second)
	next[client.Joined](t, b, 5*time.Second)
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // the suspension itself
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	hc, c := newMember(t, p.info, room)
	for _, m := range []*client.Client{a, b} {
		if e := next[client.Joined](t, m, 5*time.Second); e.Peer != hc.ID() {
			t.Errorf("%+v", e)
		}
		if st := m.Stats(); st.Lost != 0 {
			t.Errorf("%+v", st)
		}
	}
	if got := len(c.Members()); got != 2 {
		t.Errorf("%d others", got)
	}
}
