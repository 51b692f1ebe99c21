package client

import (
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// someone is a member who can sign.
type someone struct {
	key crypto.PrivKey
	id  peer.ID
}

func newSomeone(t testing.TB) someone {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return someone{key, id}
}

func (s someone) record(t testing.TB, addrs ...string) []byte {
	t.Helper()
	var as []ma.Multiaddr
	for _, a := range addrs {
		as = append(as, ma.StringCast(a))
	}
	b, err := lobbywire.SealRecord(s.key, as)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s someone) is(t testing.TB, name string, addrs ...string) *lobbywire.Member {
	return &lobbywire.Member{Peer: []byte(s.id), Name: name, Record: s.record(t, addrs...)}
}

func welcome(instance string, resumed bool) *lobbywire.Welcome {
	return &lobbywire.Welcome{Instance: []byte(instance), Resumed: resumed}
}

func kinds(events []Event) string {
	var texts []string
	for _, e := range events {
		text := strings.TrimPrefix(fmt.Sprintf("%T", e), "client.")
		if l, ok := e.(Left); ok {
			text += " " + l.Reason.String()
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func TestRosterAfterComingBack(t *testing.T) {
	a, b := newSomeone(t), newSomeone(t)
	for name, c := range map[string]struct {
		again      *lobbywire.Welcome
		list, want string
		ticks      int // until who is missing is gone; 0: never
	}{
		"all there, place kept":        {welcome("1", true), "ab", "", 0},
		"all there, another instance":  {welcome("2", false), "ab", "", 0},
		"one missing, place kept":      {welcome("1", true), "a", "Left vanished", 0},
		"one missing, place lost":      {welcome("1", false), "a", "", graceTicks},
		"one missing, new instance":    {welcome("2", false), "a", "", graceTicks},
		"a new instance that pretends": {welcome("2", true), "a", "", graceTicks},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoster("self")
			if got := kinds(r.list(welcome("1", false), []*lobbywire.Member{a.is(t, "a"), b.is(t, "b")})); got != "Joined, Joined" {
				t.Fatal(got)
			}
			var list []*lobbywire.Member
			for _, who := range c.list {
				list = append(list, map[rune]someone{'a': a, 'b': b}[who].is(t, string(who)))
			}
			if got := kinds(r.list(c.again, list)); got != c.want {
				t.Fatalf("events %q, want %q", got, c.want)
			}
			gone := 0
			for n := 1; n <= 2*graceTicks; n++ {
				if got := kinds(r.tick()); got == "Left vanished" {
					gone = n
				} else if got != "" {
					t.Errorf("%q", got)
				}
			}
			if gone != c.ticks {
				t.Errorf("gone after %d ticks, want %d", gone, c.ticks)
			}
		})
	}
}

func TestAMissingMemberThatComesBackIsNotTold(t *testing.T) {
	a := newSomeone(t)
	r := newRoster("self")
	r.list(welcome("1", false), []*lobbywire.Member{a.is(t, "a")})
	r.list(welcome("2", false), nil)
	for range graceTicks - 1 {
		r.tick()
	}
	r.list(welcome("3", false), nil) // the lobby was lost once more: the time begins anew
	for range graceTicks - 1 {
		if got := kinds(r.tick()); got != "" {
			t.Fatal(got)
		}
	}
	if got := kinds(r.handle(&lobbywire.Message{Kind: &lobbywire.Message_Joined{Joined: a.is(t, "a")}})); got != "" {
		t.Errorf("%q for one who was never said to have left", got)
	}
	for range 2 * graceTicks {
		if got := kinds(r.tick()); got != "" {
			t.Errorf("%q", got)
		}
	}
}

func TestALobbyCantLieAboutAddresses(t *testing.T) {
	a, b := newSomeone(t), newSomeone(t)
	r := newRoster("self")
	joined := func(m *lobbywire.Member) string {
		return kinds(r.handle(&lobbywire.Message{Kind: &lobbywire.Message_Joined{Joined: m}}))
	}
	for name, m := range map[string]*lobbywire.Member{
		"no record":        {Peer: []byte(a.id)},
		"another's record": {Peer: []byte(a.id), Record: b.record(t)},
		"no peer ID":       {Peer: []byte("x"), Record: a.record(t)},
		"nobody":           {},
	} {
		if got := joined(m); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if r.badRecords != 4 {
		t.Errorf("%d counted", r.badRecords)
	}
	old := a.is(t, "a", "/ip4/1.1.1.1/tcp/1")
	if got := joined(a.is(t, "a", "/ip4/2.2.2.2/tcp/2")); got != "Joined" {
		t.Error(got)
	}
	if got := joined(old); got != "" || r.members[a.id].Addrs[0].String() != "/ip4/2.2.2.2/tcp/2" {
		t.Errorf("%q: an old record counts, %v", got, r.members[a.id].Addrs)
	}
	if got := joined(&lobbywire.Member{Peer: []byte("self")}); got != "" || r.badRecords != 4 {
		t.Errorf("%q of ourselves", got)
	}
	if got := kinds(r.handle(&lobbywire.Message{Kind: &lobbywire.Message_Left{Left: &lobbywire.Left{Peer: []byte(b.id)}}})); got != "" {
		t.Errorf("%q of one who never joined", got)
	}
}

func TestARosterIsBounded(t *testing.T) {
	r := newRoster("self")
	for range maxMembers {
		s := newSomeone(t)
		if got := kinds(r.put(s.is(t, ""))); got != "Joined" {
			t.Fatal(got)
		}
	}
	if got := kinds(r.put(newSomeone(t).is(t, ""))); got != "" || r.tooMany != 1 || len(r.members) != maxMembers {
		t.Errorf("%q, %d refused, %d members", got, r.tooMany, len(r.members))
	}
}

func TestChosenAddresses(t *testing.T) {
	self := newSomeone(t).id
	relay := "/ip4/11.0.0.1/udp/4001/quic-v1/p2p/" + newSomeone(t).id.String() + "/p2p-circuit"
	var in []ma.Multiaddr
	for _, a := range []string{
		"/ip4/127.0.0.1/tcp/1", relay, "/ip4/192.168.1.2/udp/1/quic-v1", "/ip6/fe80::1/tcp/1", "/ip4/0.0.0.0/tcp/1",
		"/ip4/11.1.1.1/udp/1/quic-v1/p2p/" + self.String(), "/ip4/192.168.1.2/udp/1/quic-v1", "/ip4/11.1.1.1/udp/1/quic-v1/webtransport", "/p2p-circuit",
	} {
		in = append(in, ma.StringCast(a))
	}
	text := func(as []ma.Multiaddr) (s []string) {
		for _, a := range as {
			s = append(s, a.String())
		}
		return s
	}
	if got, want := text(choose(self, in, false)), []string{"/ip4/192.168.1.2/udp/1/quic-v1", "/ip4/11.1.1.1/udp/1/quic-v1", relay, "/ip4/127.0.0.1/tcp/1"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := text(choose(self, in, true)), []string{relay}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("hidden: %v, want %v", got, want)
	}
	var many []ma.Multiaddr
	for n := range 100 {
		many = append(many, ma.StringCast(fmt.Sprintf("/dns4/%s/tcp/%d", strings.Repeat("x", 400), n+1)))
	}
	chosen := choose(self, many, false)
	if len(chosen) != lobbywire.MaxAddrs {
		t.Errorf("%d addresses", len(chosen))
	}
	b, err := seal(newSomeone(t).key, chosen)
	if err != nil || len(b) > lobbywire.MaxRecord || len(b) < lobbywire.MaxRecord/4 {
		t.Errorf("a record of %d bytes, %v", len(b), err)
	}
}
