//go:build linux

package integration_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/natlab"
)

// This file alone knows how the programs are called and what they print.

const (
	labRoom = "natlab-room"
	labPort = "4001" // of lobbies and relays, UDP and TCP

	// libp2p's own limits of a relayed connection.
	relayLimitData     = "131072"
	relayLimitDuration = "2m"
)

var buildLobby = sync.OnceValues(func() (string, error) {
	if _, err := buildChat(); err != nil { // it makes the directory
		return "", err
	}
	return chatlab.BuildProgram(context.Background(), chatDir, "examples/lobby")
})

// lobbyArgs are those of a lobby that may relay too.
func lobbyArgs(key string, h *natlab.Host, relays bool, more ...string) []string {
	args := []string{"--key", key}
	for _, addr := range []netip.Addr{h.Addr4, h.Addr6} {
		args = append(args, "--listen", multiaddr(addr, "/udp/"+labPort+"/quic-v1"), "--listen", multiaddr(addr, "/tcp/"+labPort))
	}
	if !relays {
		args = append(args, "--no-relay")
	}
	return append(args, more...)
}

// chatArgs are those of a member of the lab's room, beside what it says and
// hears. The lobby is given by one address, as people do.
func chatArgs(s *stage, home natlab.Family) []string {
	var args []string
	if s.lobby != nil {
		args = append(args, "--room", labRoom, "--lobby", s.lobby.address(home, "/udp/"+labPort+"/quic-v1"))
	}
	for _, r := range s.relays {
		for _, transport := range []string{"/udp/" + labPort + "/quic-v1", "/tcp/" + labPort} {
			args = append(args, "--relay", r.address(home, transport))
		}
	}
	return args
}

func multiaddr(addr netip.Addr, rest string) string {
	if addr.Is4() {
		return "/ip4/" + addr.String() + rest
	}
	return "/ip6/" + addr.String() + rest
}

// What chat prints of a member, by the end of its ID: when there is a path, when
// there is another, and when it is no longer in the room. That it can't be
// reached doesn't mean that it has left.
var (
	printedPath = regexp.MustCompile(`^\* .*…(\w+)\S* is (?:here|reached another way:?) \(?(none|lan|direct|punched|relayed), ([\w-]*)`)
	printedGone = regexp.MustCompile(`^\* .*…(\w+)\S* (?:took leave|left|vanished|has left|is gone)`)
)

// server is a lobby, a relay or both, on a public machine.
type server struct {
	*chatlab.Process

	host   *natlab.Host
	args   []string
	id     string
	killed bool
}

// kill ends the server as a crash would.
func (v *server) kill() {
	v.killed = true
	v.Kill()
}

// serve starts a server that relays as well, if it should, and waits until it
// listens.
func (s *stage) serve(name string, relays bool, more ...string) *server {
	s.t.Helper()
	h := s.lab.Server(s.t, name)
	v := &server{host: h, args: lobbyArgs(filepath.Join(s.t.TempDir(), "key"), h, relays, more...)}
	s.restart(v)
	return v
}

// restart starts a server, with the identity and addresses it has, and waits
// until it listens.
func (s *stage) restart(v *server) {
	s.t.Helper()
	program, err := buildLobby()
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := chatlab.Start(v.host.Command(program, v.args...))
	if err != nil {
		s.t.Fatal(err)
	}
	v.Process, v.killed = p, false
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			s.t.Logf("%s printed:\n%s", v.host.Name, p.Output())
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	line, err := p.Line(ctx, time.Time{}, func(text string) bool { return strings.HasPrefix(text, "listening ") })
	if err != nil {
		s.t.Fatalf("%s: %v", v.host.Name, err)
	}
	_, v.id, _ = strings.Cut(line.Text, "/p2p/")
}

// address is where somebody of a family reaches the server.
func (v *server) address(f natlab.Family, transport string) string {
	addr := v.host.Addr4
	if f == natlab.IPv6 {
		addr = v.host.Addr6
	}
	return multiaddr(addr, transport) + "/p2p/" + v.id
}

// member is somebody in the room.
type member struct {
	*chatter

	host   *natlab.Host
	family natlab.Family
	killed bool // or ended otherwise before the others
}

// speaker is a member who will talk, by the name of one of the voices; listener
// is one who won't, by any name.
func (s *stage) speaker(home *natlab.Household, f natlab.Family, name string) *member {
	s.t.Helper()
	return &member{chatter: newChatter(s.t, name), host: home.Host(s.t, name), family: f}
}

func (s *stage) listener(home *natlab.Household, f natlab.Family, name string) *member {
	s.t.Helper()
	m := s.speaker(home, f, name)
	m.speech = ""
	return m
}

// join starts a member's chat.
func (s *stage) join(m *member, more ...string) {
	s.t.Helper()
	args := m.command(chatArgs(s, m.family)...)
	if m.speech == "" {
		args = append(args, "--in", "silence")
	} else {
		args = append(args, m.says()...)
	}
	m.start(s.t, m.host.Command(chatProgram(s.t), append(args, more...)...))
	m.listens(s.t)
	s.members = append(s.members, m)
}

// ready is when a member was in the room: it prints its addresses and its
// invite once it is.
func (m *member) ready() time.Time {
	for _, l := range m.Lines() {
		if strings.HasPrefix(l.Text, "invite ") {
			return l.At
		}
	}
	return time.Time{}
}

// pathEvent is a path that a member printed.
type pathEvent struct {
	at        time.Time
	kind      string
	transport string
}

// paths are those that a member had to another, in their order.
func (m *member) paths(other *member) (list []pathEvent) {
	for _, l := range m.Lines() {
		if f := printedPath.FindStringSubmatch(l.Text); f != nil && strings.HasSuffix(other.id, f[1]) {
			list = append(list, pathEvent{l.At, f[2], f[3]})
		}
	}
	return list
}

// onPath waits until a member has printed that it has a path of one of some
// kinds to another, and returns when.
func (m *member) onPath(t *testing.T, other *member, patience time.Duration, kinds ...string) time.Time {
	t.Helper()
	at, ok := m.comesToPath(other, patience, kinds...)
	if !ok {
		t.Fatalf("%s has no %s path to %s within %v", m.name, strings.Join(kinds, " or "), other.name, patience)
	}
	return at
}

// comesToPath is onPath where it is the row that is judged by it.
func (m *member) comesToPath(other *member, patience time.Duration, kinds ...string) (time.Time, bool) {
	return m.waitLine(patience, time.Time{}, m.mentionsPath(other, kinds...))
}

// mentionsPath finds lines that tell of a path of one of some kinds, or of any,
// to another.
func (*member) mentionsPath(other *member, kinds ...string) func(text string) bool {
	return func(text string) bool {
		f := printedPath.FindStringSubmatch(text)
		return f != nil && strings.HasSuffix(other.id, f[1]) && (len(kinds) == 0 || slices.Contains(kinds, f[2]))
	}
}

// left waits until a member has printed, from a time on, that another has left
// the room.
func (m *member) left(other *member, from time.Time, patience time.Duration) (time.Time, bool) {
	return m.waitLine(patience, from, func(text string) bool {
		f := printedGone.FindStringSubmatch(text)
		return f != nil && strings.HasSuffix(other.id, f[1])
	})
}

func (m *member) waitLine(patience time.Duration, from time.Time, ok func(string) bool) (time.Time, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	line, err := m.Line(ctx, from, ok)
	return line.At, err == nil
}

func TestLinesOfChatAreUnderstood(t *testing.T) {
	ben := &member{chatter: &chatter{id: "12D3KooWabcdef"}}
	for _, c := range []struct {
		line       string
		path, gone string
	}{
		{`* "ben" (…abcdef) is here (lan, quic-v1)`, "lan quic-v1", ""},
		{`* …abcdef is here (relayed, )`, "relayed ", ""},
		{`* "ben" (…abcdef) is reached another way: punched, tcp`, "punched tcp", ""},
		{`* "be\"n …zzzzzz is here (lan, tcp)" (…abcdef) is here (direct, tcp)`, "direct tcp", ""},
		{`* "ben" (…abcdef) took leave`, "", "abcdef"},
		{`* "ben" (…abcdef) left`, "", "abcdef"},
		{`* "ben" (…abcdef) can't be reached: no answer`, "", ""},
		{`* "ben" (…abcdef): muted true, deafened false`, "", ""},
	} {
		path, gone := "", ""
		if f := printedPath.FindStringSubmatch(c.line); f != nil && strings.HasSuffix(ben.id, f[1]) {
			path = f[2] + " " + f[3]
		}
		if f := printedGone.FindStringSubmatch(c.line); f != nil {
			gone = f[1]
		}
		if path != c.path || gone != c.gone {
			t.Errorf("%s: path %q and leave of %q, want %q and %q", c.line, path, gone, c.path, c.gone)
		}
	}
}

// requireLab skips a test that only make lab-nat runs.
func requireLab(t *testing.T) {
	t.Helper()
	if os.Getenv("PARLEY_LAB") != "nat" {
		t.Skip("SKIPPED, nothing was tested: run by make lab-nat")
	}
	if err := natlab.Supported(); err != nil {
		t.Fatalf("make lab-nat can't work here: %v", err)
	}
}

func (e pathEvent) String() string { return fmt.Sprintf("%s (%s)", e.kind, e.transport) }
