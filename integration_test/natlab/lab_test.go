//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/linkem"
)

func TestDelays(t *testing.T) {
	lab := Start(t, Config{})
	open := Home{NAT: NoNAT}
	anna, ben, server := lab.Household(t, open).Host(t, "anna"), lab.Household(t, open).Host(t, "ben"), lab.Server(t, "server")
	for _, c := range []struct {
		what     string
		from, to *Host
		want     time.Duration
	}{
		{"household to server and back", anna, server, 40 * time.Millisecond},
		{"household to household and back", anna, ben, 80 * time.Millisecond},
		{"server to server and back", server, lab.Server(t, "another"), 0},
	} {
		s, m := udp(t, c.from, 0), mirror(t, c.to)
		best := time.Hour
		for range 5 {
			if _, took := s.ask(m, patience); took < best {
				best = took
			}
		}
		t.Logf("%s: %v", c.what, best)
		between(t, c.what, best, c.want, c.want+5*time.Millisecond)
	}
}

func TestBlackHoleIsBetweenTwoHouseholdsOnly(t *testing.T) {
	lab := Start(t, Config{})
	open := Home{NAT: NoNAT}
	homes := [3]*Household{lab.Household(t, open), lab.Household(t, open), lab.Household(t, open)}
	anna := udp(t, homes[0].Host(t, "anna"), 0)
	ben, clara := mirror(t, homes[1].Host(t, "ben")), mirror(t, homes[2].Host(t, "clara"))
	server := mirror(t, lab.Server(t, "server"))
	anna.seen(t, ben)
	lab.BlackHole(t, homes[1], homes[0])
	if seen, _ := anna.ask(ben, grace); seen.IsValid() {
		t.Error("anna reaches ben through a black hole")
	}
	anna.seen(t, clara)
	anna.seen(t, server)
	if got := homes[0].Counters(t).Holed; got != 1 {
		t.Errorf("%d packets counted, want 1", got)
	}
	lab.Restore(t, homes[0], homes[1])
	anna.seen(t, ben)
}

func TestCables(t *testing.T) {
	lab := Start(t, Config{})
	server := mirror(t, lab.Server(t, "server"))
	home := lab.Household(t, Home{})
	anna, ben := udp(t, home.Host(t, "anna"), 0), udp(t, home.Host(t, "ben"), 0)
	reaches := func(s *socket, want bool, when string) {
		t.Helper()
		wait := patience
		if !want {
			wait = grace
		}
		if seen, _ := s.ask(server, wait); seen.IsValid() != want {
			t.Errorf("%s reaches the server %s: %t, want %t", s.host.Name, when, seen.IsValid(), want)
		}
	}
	reaches(anna, true, "at first")
	reaches(ben, true, "at first")
	anna.host.Unplug(t)
	reaches(anna, false, "without a cable")
	reaches(ben, true, "while anna has no cable")
	anna.host.Plug(t)
	reaches(anna, true, "with her cable back")
	home.Unplug(t)
	home.Impair(t, linkem.Impairment{Delay: 10 * time.Millisecond}) // doesn't plug it in again
	reaches(ben, false, "while the household is cut off")
	anna.to(t, netip.AddrPortFrom(ben.host.Addr4, ben.port()), "still here")
	if text, _ := ben.from(patience); text != "still here" {
		t.Error("a household that is cut off has no LAN")
	}
	home.Plug(t)
	reaches(ben, true, "at last")
	if _, took := ben.ask(server, patience); took < 60*time.Millisecond {
		t.Errorf("a round trip took %v, want 60 ms with the impairment", took)
	}
}

func TestReceivedCountsBytes(t *testing.T) {
	lab := Start(t, Config{})
	server := lab.Server(t, "server")
	to := mirror(t, server)
	anna := udp(t, lab.Household(t, Home{}).Host(t, "anna"), 0)
	before := server.Received(t)
	anna.to(t, to, strings.Repeat("x", 1000))
	anna.from(patience) // the answer
	if got := server.Received(t) - before; got < 1000+28 || got > 2000 {
		t.Errorf("%d bytes received, want a packet of 1000", got)
	}
}

func TestFamilies(t *testing.T) {
	lab := Start(t, Config{})
	server := lab.Server(t, "server")
	four := mirror(t, server)
	six := netip.AddrPortFrom(server.Addr6, four.Port())
	for _, c := range []struct {
		name          string
		family        Family
		has4, has6    bool
		works, works6 bool
	}{
		{"IPv4 only", IPv4, true, false, true, false},
		{"IPv6 only", IPv6, false, true, false, true},
		{"dual stack", DualStack, true, true, true, true},
		{"broken IPv6", BrokenIPv6, true, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := lab.Household(t, Home{Family: c.family})
			anna := udp(t, home.Host(t, "anna"), 0)
			if anna.host.Addr4.IsValid() != c.has4 || anna.host.Addr6.IsValid() != c.has6 {
				t.Errorf("addresses %v and %v", anna.host.Addr4, anna.host.Addr6)
			}
			waits := map[bool]time.Duration{true: patience, false: grace}
			if seen, _ := anna.ask(four, waits[c.works]); seen.IsValid() != c.works {
				t.Errorf("answer over IPv4: %v", seen)
			}
			seen, _ := anna.ask(six, waits[c.works6])
			if seen.IsValid() != c.works6 || c.works6 && seen != netip.AddrPortFrom(anna.host.Addr6, anna.port()) {
				t.Errorf("answer over IPv6: %v", seen)
			}
			counted := home.Counters(t)
			if broken := c.has6 && !c.works6; broken != (counted.BrokenIPv6 > 0) {
				t.Errorf("%d packets of IPv6 vanished", counted.BrokenIPv6)
			}
			if !c.works6 {
				return
			}
			udp(t, server, 0).to(t, seen, "hello")
			if text, _ := anna.from(grace); text != "" || home.Counters(t).Unsolicited != counted.Unsolicited+1 {
				t.Errorf("a stranger's %q came in over IPv6", text)
			}
		})
	}
}

func TestTwelveHostsBehindOneNATAllHaveAPortOfTheirOwn(t *testing.T) {
	lab := Start(t, Config{})
	server := mirror(t, lab.Server(t, "server"))
	home := lab.Household(t, Home{})
	ports := make(map[uint16]string)
	for name := range strings.FieldsSeq("anna ben clara dan eva finn greta hugo ida jon kim lea") {
		seen := udp(t, home.Host(t, name), 4001).seen(t, server)
		if other, taken := ports[seen.Port()]; taken || seen.Addr() != home.PublicAddr() {
			t.Errorf("%s is seen as %v, as is %q", name, seen, other)
		}
		ports[seen.Port()] = name
	}
}

func TestWhoComesDisturbsNobody(t *testing.T) {
	lab := Start(t, Config{Delay: -1})
	server := mirror(t, lab.Server(t, "server"))
	home := lab.Household(t, Home{})
	anna := udp(t, home.Host(t, "anna"), 0)
	anna.seen(t, server)
	for range 8 {
		home.Host(t, "housemate")
		lab.Server(t, "another server")
		anna.seen(t, server) // at the first try
	}
}

func TestNothingIsLeft(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	before := openFiles(t)
	t.Run("lab", func(t *testing.T) {
		lab := Start(t, Config{})
		anna := lab.Household(t, Home{}).Host(t, "anna")
		sleeper := anna.Command("sleep", "60")
		if err := sleeper.Start(); err != nil {
			t.Fatal(err)
		}
		inside, err := inode(anna.ns.Path())
		if err != nil {
			t.Fatal(err)
		}
		home := fmt.Sprintf("/proc/%d/ns/net", sleeper.Process.Pid)
		for over := time.Now().Add(patience); time.Now().Before(over); time.Sleep(time.Millisecond) {
			if now, err := inode(home); err == nil && now == inside {
				break
			}
		}
		if err := lab.close(); err == nil || !strings.Contains(err.Error(), "was left running") {
			t.Errorf("close of a lab in which a program runs: %v", err)
			_ = sleeper.Process.Kill()
		}
		if err := sleeper.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the program ended with %v", err)
		}
	})
	if after := openFiles(t); after != before {
		t.Errorf("%d namespaces and devices open before, %d after", before, after)
	}
}
