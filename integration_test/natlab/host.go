//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// Host is a machine: a server, or somebody's at home.
type Host struct {
	// Name is what the test calls it.
	Name string

	// Addr4 and Addr6 are its own addresses, which behind a NAT nobody outside
	// can reach. The zero Addr where it has none of the family.
	Addr4, Addr6 netip.Addr

	ns   *linkem.Namespace
	far  *linkem.Namespace // where the other end of its cable is
	port string            // that end's device
	home *Household        // where it is; nil for servers
}

// place is where a host goes on a network.
type place struct {
	name, port   string
	addr4, addr6 netip.Prefix
	gate4, gate6 string
}

// attach makes a host with a cable to a bridge.
func (l *Lab) attach(far *linkem.Namespace, bridge string, f Family, p place) (*Host, error) {
	ns, err := l.space(f, false)
	if err != nil {
		return nil, err
	}
	h := &Host{Name: p.name, ns: ns, far: far, port: p.port}
	err = ipBatch(far,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", p.port, ns.Path()),
		fmt.Sprintf("link set %s master %s up", p.port, bridge))
	if err != nil {
		return nil, err
	}
	lines := []string{"link set eth0 up"}
	if f.has4() {
		h.Addr4 = p.addr4.Addr()
		lines = append(lines, fmt.Sprintf("addr add %v dev eth0", p.addr4), "route add default via "+p.gate4)
	}
	if f.has6() {
		h.Addr6 = p.addr6.Addr()
		lines = append(lines, fmt.Sprintf("addr add %v dev eth0 nodad", p.addr6), "route add ::/0 via "+p.gate6)
	}
	return h, errors.Join(ipBatch(ns, lines...), h.carries())
}

// carries waits until both ends of a cable that was just plugged in carry
// packets: the kernel tells its devices of each other in its own time.
func (h *Host) carries() error {
	const patience, pause = 5 * time.Second, 2 * time.Millisecond
	for over := time.Now().Add(patience); ; time.Sleep(pause) {
		near, err := h.ns.Command("ip", "link", "show", "dev", "eth0").Output()
		if err != nil {
			return fmt.Errorf("ip: %w", err)
		}
		far, err := h.far.Command("ip", "-d", "link", "show", "dev", h.port).Output()
		if err != nil {
			return fmt.Errorf("ip: %w", err)
		}
		if strings.Contains(string(near), "state UP") && strings.Contains(string(far), "state UP") &&
			strings.Contains(string(far), "bridge_slave state forwarding") {
			return nil
		}
		if time.Now().After(over) {
			return fmt.Errorf("no carrier after %v: %s%s", patience, near, far)
		}
	}
}

// Command returns a command that runs name on the host, not started. Who starts
// it ends it before the test ends. See linkem's Namespace.
func (h *Host) Command(name string, args ...string) *exec.Cmd { return h.ns.Command(name, args...) }

// Do runs f on a thread of this process that is on the host: sockets that f
// itself opens live there. See linkem's Namespace.
func (h *Host) Do(f func() error) error { return h.ns.Do(f) }

// Received is the number of bytes that the host has received so far.
func (h *Host) Received(t testing.TB) uint64 {
	t.Helper()
	var table []byte
	err := h.ns.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		t.Fatalf("natlab: counters of %s: %v", h.Name, err)
	}
	_, counters, _ := strings.Cut(string(table), "eth0:")
	var n uint64
	if _, err := fmt.Sscan(counters, &n); err != nil {
		t.Fatalf("natlab: counters of %s: %v", h.Name, err)
	}
	return n
}

// Unplug pulls the host's cable: it keeps its addresses, and neither sends nor
// receives.
func (h *Host) Unplug(t testing.TB) {
	t.Helper()
	h.cable(t, "down")
}

// Plug puts the cable back, and returns when it carries.
func (h *Host) Plug(t testing.TB) {
	t.Helper()
	h.cable(t, "up")
	if err := h.carries(); err != nil {
		t.Fatalf("natlab: cable of %s: %v", h.Name, err)
	}
}

func (h *Host) cable(t testing.TB, state string) {
	t.Helper()
	if err := ipBatch(h.far, "link set "+h.port+" "+state); err != nil {
		t.Fatalf("natlab: cable of %s: %v", h.Name, err)
	}
}

// MoveTo takes the host to another household, as somebody does who leaves the
// house with a laptop: it has the addresses of the new one when MoveTo returns,
// and its programs run on. Both households have IPv4 only. Not to be called
// while anybody else uses the host.
func (h *Host) MoveTo(t testing.TB, to *Household) {
	t.Helper()
	from := h.home
	if from == nil || from.home.Family != IPv4 || to.home.Family != IPv4 {
		t.Fatalf("natlab: %s can't move: it isn't at home, or one of the two has IPv6", h.Name)
	}
	number := to.room(t)
	port := fmt.Sprintf("port%d", number)
	err := errors.Join(
		ipBatch(h.ns,
			"link set eth0 down",
			"addr flush dev eth0"),
		ipBatch(h.far, fmt.Sprintf("link set %s netns %s name %s", h.port, to.router.Path(), port)),
		ipBatch(to.router, fmt.Sprintf("link set %s master lan0 up", port)),
		ipBatch(h.ns,
			"link set eth0 up",
			fmt.Sprintf("addr add %v dev eth0", to.lan4(number)),
			fmt.Sprintf("route add default via %v", to.lan4(1).Addr())))
	if err != nil {
		t.Fatalf("natlab: move %s: %v", h.Name, err)
	}
	h.far, h.port, h.home, h.Addr4 = to.router, port, to, to.lan4(number).Addr()
	if err := h.carries(); err != nil {
		t.Fatalf("natlab: move %s: %v", h.Name, err)
	}
}
