//go:build linux

package natlab

import (
	"net/netip"
	"testing"
	"time"
)

func TestPortPreservingNATKeepsThePortAndFiltersStrangers(t *testing.T) {
	lab := Start(t, Config{})
	one, two := lab.Server(t, "one"), lab.Server(t, "two")
	home := lab.Household(t, Home{})
	anna := udp(t, home.Host(t, "anna"), 4001)
	want := netip.AddrPortFrom(home.PublicAddr(), 4001)
	for _, server := range []*Host{one, two} {
		if seen := anna.seen(t, mirror(t, server)); seen != want {
			t.Errorf("%s sees %v, want %v", server.Name, seen, want)
		}
	}
	before := home.Counters(t)
	for _, stranger := range []*Host{one, two, lab.Server(t, "three")} { // known ones too, from another port
		udp(t, stranger, 0).to(t, want, "hello")
	}
	if text, from := anna.from(grace); text != "" {
		t.Errorf("%q came in from %v, whom anna never wrote to", text, from)
	}
	if got := home.Counters(t).Unsolicited - before.Unsolicited; got != 3 {
		t.Errorf("%d unsolicited packets counted, want 3", got)
	}
}

func TestSymmetricNATTakesAnotherPortForEachDestination(t *testing.T) {
	lab := Start(t, Config{})
	home := lab.Household(t, Home{NAT: Symmetric})
	anna := udp(t, home.Host(t, "anna"), 4001)
	ports := map[uint16]bool{4001: true}
	for _, name := range []string{"one", "two", "three"} {
		server := mirror(t, lab.Server(t, name))
		seen := anna.seen(t, server)
		if seen.Addr() != home.PublicAddr() || ports[seen.Port()] {
			t.Errorf("server %s sees %v, want %v and a port that is none of %v", name, seen, home.PublicAddr(), ports)
		}
		ports[seen.Port()] = true
		if again := anna.seen(t, server); again != seen {
			t.Errorf("server %s sees %v, then %v", name, seen, again)
		}
	}
}

// punch makes two hosts behind NATs write to each other at once, and reports
// whether both receive.
func punch(t *testing.T, lab *Lab, homes [2]*Household) bool {
	t.Helper()
	server := mirror(t, lab.Server(t, "server"))
	var ends [2]*socket
	var seen [2]netip.AddrPort
	for i, home := range homes {
		ends[i] = udp(t, home.Host(t, []string{"anna", "ben"}[i]), 0)
		seen[i] = ends[i].seen(t, server)
	}
	ok := true
	for range 2 { // the first of one side meets a closed door
		for i := range ends {
			ends[i].to(t, seen[1-i], "knock")
		}
		time.Sleep(grace / 2)
	}
	for i := range ends {
		text, _ := ends[i].from(grace)
		ok = ok && text == "knock"
	}
	return ok
}

func TestHolesCanBePunchedBetweenPortPreservingNATsOnly(t *testing.T) {
	for _, c := range []struct {
		nat  [2]NAT
		want bool
	}{
		{[2]NAT{PortPreserving, PortPreserving}, true},
		{[2]NAT{PortPreserving, Symmetric}, false},
		{[2]NAT{Symmetric, Symmetric}, false},
	} {
		t.Run(c.nat[0].String()+" and "+c.nat[1].String(), func(t *testing.T) {
			lab := Start(t, Config{})
			got := punch(t, lab, [2]*Household{lab.Household(t, Home{NAT: c.nat[0]}), lab.Household(t, Home{NAT: c.nat[1]})})
			if got != c.want {
				t.Errorf("punched: %t, want %t", got, c.want)
			}
		})
	}
}

func TestWithoutNATHostsArePublic(t *testing.T) {
	lab := Start(t, Config{})
	home := lab.Household(t, Home{NAT: NoNAT, Family: DualStack})
	anna, stranger := udp(t, home.Host(t, "anna"), 0), udp(t, lab.Server(t, "server"), 0)
	if seen := anna.seen(t, mirror(t, lab.Server(t, "mirror"))); seen != netip.AddrPortFrom(anna.host.Addr4, anna.port()) {
		t.Errorf("the server sees %v, anna is %v", seen, anna.host.Addr4)
	}
	for _, addr := range []netip.Addr{anna.host.Addr4, anna.host.Addr6} {
		stranger.to(t, netip.AddrPortFrom(addr, anna.port()), "hello")
		if text, _ := anna.from(patience); text != "hello" {
			t.Errorf("a stranger's packet to %v did not arrive", addr)
		}
	}
}

func TestHairpinIsDroppedAndTheLANIsNot(t *testing.T) {
	lab := Start(t, Config{})
	home := lab.Household(t, Home{})
	anna, ben := udp(t, home.Host(t, "anna"), 0), udp(t, home.Host(t, "ben"), 0)
	server := mirror(t, lab.Server(t, "server"))
	anna.seen(t, server)
	public := ben.seen(t, server)
	anna.to(t, public, "by the front door")
	if text, _ := ben.from(grace); text != "" {
		t.Errorf("%q came back in through the router", text)
	}
	if got := home.Counters(t).Hairpin; got != 1 {
		t.Errorf("%d hairpins counted, want 1", got)
	}
	anna.to(t, netip.AddrPortFrom(ben.host.Addr4, ben.port()), "across the hall")
	if text, from := ben.from(patience); text != "across the hall" || from.Addr() != anna.host.Addr4 {
		t.Errorf("ben got %q from %v over the LAN", text, from)
	}
}

func TestBlockedUDPLeavesTCP(t *testing.T) {
	lab := Start(t, Config{})
	server := lab.Server(t, "server")
	home := lab.Household(t, Home{BlockUDP: true})
	anna := home.Host(t, "anna")
	if seen, _ := udp(t, anna, 0).ask(mirror(t, server), grace); seen.IsValid() {
		t.Errorf("UDP passes: %v", seen)
	}
	if got := home.Counters(t).UDP; got != 1 {
		t.Errorf("%d packets of UDP counted, want 1", got)
	}
	between(t, "a TCP connection", tcpTime(t, anna, server), 40*time.Millisecond, 80*time.Millisecond)
}

func TestChangedAddressLeavesTheOldOneDead(t *testing.T) {
	lab := Start(t, Config{})
	mirrored := mirror(t, lab.Server(t, "mirror"))
	friend := udp(t, lab.Server(t, "friend"), 4001)
	home := lab.Household(t, Home{})
	anna := udp(t, home.Host(t, "anna"), 4001)
	before := anna.seen(t, mirrored)
	anna.to(t, netip.AddrPortFrom(friend.host.Addr4, 4001), "hello")
	if _, from := friend.from(patience); from != before {
		t.Fatalf("friend sees %v, the mirror %v", from, before)
	}
	for range 2 {
		home.ChangeAddress(t)
		friend.to(t, before, "to the old address")
		if text, _ := anna.from(grace); text != "" {
			t.Errorf("%q arrived", text)
		}
		after := anna.seen(t, mirrored)
		if after.Addr() == before.Addr() || after.Addr() != home.PublicAddr() || after.Port() != 4001 {
			t.Errorf("seen as %v before and %v after, the router has %v", before, after, home.PublicAddr())
		}
		friend.to(t, after, "to the new one")
		if text, _ := anna.from(grace); text != "" {
			t.Errorf("%q arrived, though anna has not written from her new address", text)
		}
		anna.to(t, netip.AddrPortFrom(friend.host.Addr4, 4001), "hello again")
		if _, from := friend.from(patience); from != after {
			t.Errorf("friend sees %v, the mirror %v", from, after)
		}
		before = after
	}
}

func TestMovedHostLivesElsewhere(t *testing.T) {
	lab := Start(t, Config{})
	mirrored := mirror(t, lab.Server(t, "mirror"))
	friend := udp(t, lab.Server(t, "friend"), 4001)
	old, home := lab.Household(t, Home{NAT: Symmetric}), lab.Household(t, Home{})
	home.Host(t, "somebody who is there already")
	laptop := old.Host(t, "laptop")
	anna := udp(t, laptop, 4001)
	anna.to(t, netip.AddrPortFrom(friend.host.Addr4, 4001), "hello")
	_, before := friend.from(patience)
	if before.Addr() != old.PublicAddr() {
		t.Fatalf("seen as %v, at home where the router has %v", before, old.PublicAddr())
	}
	laptop.MoveTo(t, home)
	friend.to(t, before, "to where you were")
	if text, _ := anna.from(grace); text != "" {
		t.Errorf("%q arrived", text)
	}
	if seen := anna.seen(t, mirrored); seen.Addr() != home.PublicAddr() || seen.Port() != 4001 {
		t.Errorf("seen as %v, the new router has %v and keeps ports", seen, home.PublicAddr())
	}
	friend.to(t, before, "to where you were")
	if text, _ := anna.from(grace); text != "" {
		t.Errorf("%q arrived", text)
	}
}

func TestForgottenConnectionsLetNothingIn(t *testing.T) {
	lab := Start(t, Config{})
	server := udp(t, lab.Server(t, "server"), 0)
	home := lab.Household(t, Home{})
	anna := udp(t, home.Host(t, "anna"), 0)
	anna.to(t, netip.AddrPortFrom(server.host.Addr4, server.port()), "hello")
	_, seen := server.from(patience)
	server.to(t, seen, "welcome")
	if text, _ := anna.from(patience); text != "welcome" {
		t.Fatalf("the server's answer is %q", text)
	}
	if err := home.router.Do(forgetConnections); err != nil {
		t.Fatal(err)
	}
	server.to(t, seen, "one more thing")
	if text, _ := anna.from(grace); text != "" {
		t.Errorf("%q came in", text)
	}
}
