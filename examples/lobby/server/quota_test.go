package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func who(id, addr string) origin { return origin{peer.ID(id), netip.MustParseAddr(addr)} }

// Guessing codes is limited for a peer, and for an address whatever the number
// of peers it makes up; those with a code of their own are let in all the time.
func TestCodesCantBeGuessedFast(t *testing.T) {
	q := newQuota(Limits{PeerCodes: 3, AddressCodes: 7}.withDefaults())
	try := func(o origin, code string, at time.Duration, want Reason) {
		t.Helper()
		if got, _ := q.join(o, code, t0.Add(at)); got != want {
			t.Errorf("%s tries %q after %v: %q, want %q", o.peer, code, at, got, want)
		}
	}
	a, b, c, innocent := who("a", "1.1.1.1"), who("b", "1.1.1.1"), who("c", "1.1.1.1"), who("d", "2.2.2.2")
	for n := range 3 {
		try(a, fmt.Sprint("guess ", n), 0, "")
	}
	try(a, "guess 3", time.Second, PeerCodes)
	try(a, "guess 2", time.Second, "") // no new one
	for n := range 3 {
		try(b, fmt.Sprint("guess ", 10+n), time.Second, "")
	}
	try(c, "guess 20", 2*time.Second, "")
	try(c, "guess 21", 2*time.Second, AddressCodes)
	try(c, "guess 11", 2*time.Second, "")
	try(innocent, "guess 21", 2*time.Second, "")
	try(a, "guess 3", time.Minute, "") // the first ones are a minute old
}

func TestLimitsComeBackWithTime(t *testing.T) {
	q := newQuota(Limits{PeerMessages: 2, PeerBytes: 100, PeerJoins: 60, PeerUpdates: 60}.withDefaults())
	a, b := who("a", "1.1.1.1"), who("b", "1.1.1.1")
	take := func(n int, at time.Duration) (passed int) {
		for range n {
			if _, ok := q.message(a, 1, t0.Add(at)); ok {
				passed++
			}
		}
		return passed
	}
	if got := take(100, 0); got != 10 {
		t.Errorf("%d messages at once, want 10", got)
	}
	if got := take(100, time.Second); got != 2 {
		t.Errorf("%d messages a second later, want 2", got)
	}
	if got := take(100, time.Hour); got != 10 {
		t.Errorf("%d messages an hour later, want 10", got)
	}
	if got := take(100, time.Minute); got != 0 {
		t.Errorf("%d messages when the clock went back", got)
	}
	if reason, _ := q.message(b, 501, t0); reason != Bytes {
		t.Errorf("a message of 501 bytes: %q", reason)
	}
	if reason, ok := q.message(b, 500, t0); !ok {
		t.Errorf("a message of 500 bytes: %q", reason)
	}
	updates := 0
	for range 100 {
		if q.update(a, t0) {
			updates++
		}
	}
	if updates != 30 {
		t.Errorf("%d updates at once, want 30", updates)
	}
}

func TestOpenStreamsAreLimited(t *testing.T) {
	q := newQuota(Limits{PeerHalfOpen: 2, AddressHalfOpen: 3}.withDefaults())
	a, b, far := who("a", "1.1.1.1"), who("b", "1.1.1.1"), who("c", "2.2.2.2")
	for _, c := range []struct {
		o    origin
		want Reason
	}{{a, ""}, {a, ""}, {a, HalfOpen}, {b, ""}, {b, HalfOpen}, {far, ""}} {
		if got, _ := q.open(c.o, t0); got != c.want {
			t.Errorf("%s: %q, want %q", c.o.peer, got, c.want)
		}
	}
	q.close(a)
	if got, ok := q.open(b, t0); !ok {
		t.Errorf("when one is closed: %q", got)
	}
}

func TestStrangersBeyondCountAreRefused(t *testing.T) {
	q := newQuota(Limits{}.withDefaults())
	for n := range maxKnown {
		if reason, ok := q.message(who(fmt.Sprint(n), "1.1.1.1"), 1, t0); !ok && reason != Messages && reason != Bytes {
			t.Fatalf("%d: %s", n, reason)
		}
	}
	late := who("late", "1.1.1.1")
	if reason, _ := q.message(late, 1, t0.Add(time.Minute)); reason != Strangers {
		t.Errorf("%q, want %q", reason, Strangers)
	}
	if reason, ok := q.message(who("7", "1.1.1.1"), 1, t0.Add(time.Minute)); !ok {
		t.Errorf("one who is known: %q", reason)
	}
	q.sweep(t0.Add(2*time.Minute + time.Second))
	if reason, ok := q.message(late, 1, t0.Add(3*time.Minute)); !ok {
		t.Errorf("after the sweep: %q", reason)
	}
	if peers, addrs := q.known(); peers != 2 || addrs != 1 {
		t.Errorf("%d peers and %d addresses are left", peers, addrs)
	}
}

func TestLimitsHaveDefaultsAndNone(t *testing.T) {
	l := Limits{PeerRooms: -1, PeerCodes: 5}.withDefaults()
	if l.PeerRooms != noLimit || l.PeerCodes != 5 || l.Members != 8192 || l.PeerUpdates != 30 {
		t.Errorf("%+v", l)
	}
}
