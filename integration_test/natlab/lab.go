//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// Lab is an internet. Its methods, and those of what it is made of, are safe
// for concurrent use; those that take a test fail it at once if something
// can't be done.
type Lab struct {
	cfg      Config
	internet *linkem.Namespace

	mu      sync.Mutex // guards what follows
	spaces  []*linkem.Namespace
	servers int
	homes   []*Household
	holes   map[[2]*Household]bool
}

// Supported returns nil if this machine can make labs, and otherwise an error
// that says why it can't.
func Supported() error {
	if err := linkem.Supported(); err != nil {
		return err
	}
	for _, program := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("natlab: %w", err)
		}
	}
	return nil
}

// Start makes an internet that nobody is on yet, and takes it down when the
// test ends. Where that can't be the test is skipped, and says why. Programs
// that still run inside at the end are killed, and the test fails: whoever
// starts one also ends it.
func Start(t testing.TB, cfg Config) *Lab {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	l := &Lab{cfg: cfg, holes: make(map[[2]*Household]bool)}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Errorf("natlab: %v", err)
		}
	})
	var err error
	if l.internet, err = l.space(DualStack, true); err == nil {
		err = errors.Join(
			ipBatch(l.internet,
				bridge("net0"),
				"addr add 11.0.0.1/24 dev net0",
				"addr add 2a0e:b000::1/64 dev net0 nodad",
				"link set net0 up",
				// Who isn't there doesn't answer, and nobody answers for it.
				"route add blackhole 11.0.0.0/8",
				"route add blackhole 2a0e:b000::/32",
			),
			nftRun(l.internet, internetRules))
	}
	if err != nil {
		t.Fatalf("natlab: start: %v", err)
	}
	return l
}

// bridge is the line that makes a bridge. With a hardware address of its own it
// keeps it: otherwise it takes another when another host is plugged in, and
// those that are there send to the old one.
func bridge(name string) string {
	return "link add name " + name + " address 02:00:00:00:00:01 type bridge"
}

const internetRules = `
table inet internet {
	chain holes {
	}
	chain broken {
	}
	chain direct {
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		jump direct
		jump broken
		jump holes
	}
}
`

// space makes a namespace that goes with the lab, its loopback device up.
func (l *Lab) space(f Family, routes bool) (*linkem.Namespace, error) {
	ns, err := linkem.NewNamespace()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.spaces = append(l.spaces, ns)
	l.mu.Unlock()
	if err := ns.Do(func() error { return setKernel(f, routes) }); err != nil {
		return nil, err
	}
	return ns, ipBatch(ns, "link set lo up")
}

// Server adds a public machine, right on the internet: it has addresses of both
// families, and no delay of its own.
func (l *Lab) Server(t testing.TB, name string) *Host {
	t.Helper()
	l.mu.Lock()
	l.servers++
	number := l.servers + 1 // 1 is the internet's router
	l.mu.Unlock()
	h, err := l.attach(l.internet, "net0", DualStack, place{
		name: name, port: fmt.Sprintf("server%d", number),
		addr4: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, 0, 0, byte(number)}), 24), gate4: "11.0.0.1",
		addr6: netip.MustParsePrefix(fmt.Sprintf("2a0e:b000::%x/64", number)), gate6: "2a0e:b000::1",
	})
	if err != nil {
		t.Fatalf("natlab: server %s: %v", name, err)
	}
	return h
}

// BlackHole drops what two households send each other directly, both ways, from
// now on. Servers stay reachable.
func (l *Lab) BlackHole(t testing.TB, a, b *Household) {
	t.Helper()
	l.setHole(t, a, b, true)
}

// Restore ends a BlackHole.
func (l *Lab) Restore(t testing.TB, a, b *Household) {
	t.Helper()
	l.setHole(t, a, b, false)
}

func (l *Lab) setHole(t testing.TB, a, b *Household, on bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, way := range [][2]*Household{{a, b}, {b, a}} {
		if on {
			l.holes[way] = true
		} else {
			delete(l.holes, way)
		}
	}
	var script strings.Builder
	script.WriteString("flush chain inet internet holes\n")
	for way := range l.holes {
		fmt.Fprintf(&script, "add rule inet internet holes iifname %q oifname %q counter name holed%d drop\n",
			way[0].device(), way[1].device(), way[0].number)
	}
	if err := nftRun(l.internet, script.String()); err != nil {
		t.Fatalf("natlab: black hole: %v", err)
	}
}

// close takes the lab down. It returns an error if programs still ran in it.
func (l *Lab) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := killWithin(l.spaces)
	for _, h := range l.homes {
		if h.link != nil {
			err = errors.Join(err, h.link.Close())
		}
	}
	for _, ns := range l.spaces {
		err = errors.Join(err, ns.Close())
	}
	l.spaces, l.homes = nil, nil
	return err
}
