//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/parley-voice/parley/integration_test/linkem"
)

// maxHosts and maxHomes are what the plan of addresses has room for.
const (
	maxHosts = 250
	maxHomes = 250
)

// Household is a home router, its hosts, and its link to the internet.
type Household struct {
	lab    *Lab
	home   Home
	number int
	router *linkem.Namespace
	link   *linkem.Link // side A is the router

	mu     sync.Mutex // guards what follows
	hosts  int
	moves  int // how often the public address changed
	imp    linkem.Impairment
	unplug bool
}

// Household adds a household without hosts.
func (l *Lab) Household(t testing.TB, home Home) *Household {
	t.Helper()
	h := &Household{lab: l, home: home, imp: linkem.Impairment{Delay: l.cfg.delay()}}
	l.mu.Lock()
	l.homes = append(l.homes, h)
	h.number = len(l.homes)
	l.mu.Unlock()
	if h.number > maxHomes {
		t.Fatalf("natlab: more than %d households", maxHomes)
	}
	if err := h.build(); err != nil {
		t.Fatalf("natlab: household %d: %v", h.number, err)
	}
	return h
}

func (h *Household) build() (err error) {
	if h.router, err = h.lab.space(h.home.Family, true); err != nil {
		return err
	}
	h.link, err = linkem.New(linkem.Config{
		Impairment: h.imp,
		Seed:       h.lab.cfg.Seed + uint64(h.number),
		Device:     [2]string{"wan0", h.device()},
		Namespace:  [2]string{h.router.Path(), h.lab.internet.Path()},
		Unnumbered: true,
	})
	if err != nil {
		return err
	}
	inside := []string{bridge("lan0"), "link set lan0 up"}
	outside := []string{}
	if h.home.Family.has4() {
		inside = append(inside, fmt.Sprintf("addr add %v dev lan0", h.lan4(1)), "route add default dev wan0")
		if h.home.NAT == NoNAT {
			outside = append(outside, fmt.Sprintf("route add %v dev %s", h.lan4(0), h.device()))
		} else {
			inside = append(inside, fmt.Sprintf("addr add %v/32 dev wan0", h.public4()))
			outside = append(outside, fmt.Sprintf("route add %v/32 dev %s", h.public4(), h.device()))
		}
	}
	if h.home.Family.has6() {
		inside = append(inside, fmt.Sprintf("addr add %v dev lan0 nodad", h.lan6(1)), "route add ::/0 dev wan0")
		outside = append(outside, fmt.Sprintf("route add %v dev %s", h.lan6(0), h.device()))
	}
	return errors.Join(
		ipBatch(h.router, inside...),
		nftRun(h.router, routerRules(h.home)),
		ipBatch(h.lab.internet, outside...),
		nftRun(h.lab.internet, h.internetRules()))
}

// device is the internet's end of the link.
func (h *Household) device() string { return fmt.Sprintf("home%d", h.number) }

// lan4 is the n-th IPv4 address inside; 0 is the prefix. Without NAT it is
// public.
func (h *Household) lan4(n int) netip.Prefix {
	first, second := byte(192), byte(168)
	if h.home.NAT == NoNAT {
		first, second = 11, 0
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{first, second, byte(h.number), byte(n)}), 24)
}

// lan6 is the n-th IPv6 address inside; 0 is the prefix.
func (h *Household) lan6(n int) netip.Prefix {
	if n == 0 {
		return netip.MustParsePrefix(fmt.Sprintf("2a0e:b000:%x::/64", h.number))
	}
	return netip.MustParsePrefix(fmt.Sprintf("2a0e:b000:%x::%x/64", h.number, n))
}

// public4 is the address of the NAT.
func (h *Household) public4() netip.Addr {
	return netip.AddrFrom4([4]byte{11, 0, byte(h.number), byte(h.moves + 1)})
}

// PublicAddr is the address under which the internet knows the hosts: that of
// the NAT now. The zero Addr without NAT or without IPv4.
func (h *Household) PublicAddr() netip.Addr {
	if h.home.NAT == NoNAT || !h.home.Family.has4() {
		return netip.Addr{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.public4()
}

// Host adds a host to the household's network.
func (h *Household) Host(t testing.TB, name string) *Host {
	t.Helper()
	number := h.room(t)
	host, err := h.lab.attach(h.router, "lan0", h.home.Family, place{
		name: name, port: fmt.Sprintf("port%d", number),
		addr4: h.lan4(number), gate4: h.lan4(1).Addr().String(),
		addr6: h.lan6(number), gate6: h.lan6(1).Addr().String(),
	})
	if err != nil {
		t.Fatalf("natlab: host %s: %v", name, err)
	}
	host.home = h
	return host
}

// room is the number of the next host.
func (h *Household) room(t testing.TB) int {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hosts++
	number := h.hosts + 1 // 1 is the router
	if number > maxHosts {
		t.Fatalf("natlab: more than %d hosts in a household", maxHosts)
	}
	return number
}

// ChangeAddress gives the router another public address at once, as a provider
// does: the old one is dead, and the NAT remembers no connection. It is for
// households with a NAT and IPv4.
func (h *Household) ChangeAddress(t testing.TB) {
	t.Helper()
	if !h.PublicAddr().IsValid() {
		t.Fatal("natlab: a household without NAT or without IPv4 has no address to change")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.public4()
	h.moves++
	err := errors.Join(
		ipBatch(h.lab.internet,
			fmt.Sprintf("route add %v/32 dev %s", h.public4(), h.device()),
			fmt.Sprintf("route del %v/32 dev %s", before, h.device())),
		ipBatch(h.router,
			fmt.Sprintf("addr add %v/32 dev wan0", h.public4()),
			fmt.Sprintf("addr del %v/32 dev wan0", before)),
		h.router.Do(forgetConnections))
	if err != nil {
		t.Fatalf("natlab: change the address of household %d: %v", h.number, err)
	}
}

// Unplug cuts the household's link to the internet; its hosts still reach each
// other.
func (h *Household) Unplug(t testing.TB) {
	t.Helper()
	h.set(t, func() { h.unplug = true })
}

// Plug mends the link.
func (h *Household) Plug(t testing.TB) {
	t.Helper()
	h.set(t, func() { h.unplug = false })
}

// Impair changes what happens on the household's link, each way, from now on.
// Its Delay comes on top of the lab's. The zero Impairment ends it.
func (h *Household) Impair(t testing.TB, imp linkem.Impairment) {
	t.Helper()
	imp.Delay += h.lab.cfg.delay()
	h.set(t, func() { h.imp = imp })
}

func (h *Household) set(t testing.TB, change func()) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	imp := h.imp
	if h.unplug {
		imp = linkem.Impairment{Loss: 1}
	}
	if err := errors.Join(h.link.Set(linkem.A, imp), h.link.Set(linkem.B, imp)); err != nil {
		t.Fatalf("natlab: household %d: %v", h.number, err)
	}
}
