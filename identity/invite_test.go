package identity_test

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
)

// Made by other means than this package: see the form in invite.go.
const goldenInvite = "parley:aeaivchd3v2at4mv7vjnwlj4xjoxfsthbg7r3fasdpzxjcabwqhw6xalatakqaihseba7ionameaicycamcamd5bmbby6bi"

func goldenPeer(tb testing.TB) identity.Peer {
	tb.Helper()
	return identity.Peer{ID: testID(tb, 1), Addrs: addrs(tb, "/ip4/192.168.1.7/udp/4001/quic-v1", "/ip4/11.2.3.4/tcp/4001")}
}

func TestInviteIsAsSpecified(t *testing.T) {
	got, err := identity.NewInvite(goldenPeer(t))
	if err != nil || got != goldenInvite {
		t.Fatalf("%s, %v; want %s", got, err, goldenInvite)
	}
	p, err := identity.ParseInvite(goldenInvite)
	if err != nil || show(p) != show(goldenPeer(t)) {
		t.Fatalf("%s, %v; want %s", show(p), err, show(goldenPeer(t)))
	}
}

func TestInviteSurvivesWhatPeopleWrapItIn(t *testing.T) {
	for _, text := range []string{
		" " + goldenInvite + "\n",
		"<" + goldenInvite + ">",
		`"` + goldenInvite + `".`,
		"“" + goldenInvite + "”!",
		"> " + goldenInvite + "\n> see you",
		"`" + goldenInvite + "`",
		"**" + goldenInvite + "**",
		"(" + goldenInvite + "),",
		"come: " + goldenInvite + ", tonight at 8",
		"my parley: " + goldenInvite,
		strings.ToUpper(goldenInvite),
	} {
		if p, err := identity.ParseInvite(text); err != nil || show(p) != show(goldenPeer(t)) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

// Every cut, every wrong character and every swap of neighbours is noticed.
func TestDamageToAnInviteIsNoticed(t *testing.T) {
	const prefix = len("parley:")
	for i := prefix; i < len(goldenInvite); i++ {
		if _, err := identity.ParseInvite(goldenInvite[:i]); !errors.Is(err, identity.ErrInviteDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567 01_" {
			if byte(c) == goldenInvite[i] {
				continue
			}
			text := goldenInvite[:i] + string(c) + goldenInvite[i+1:]
			if _, err := identity.ParseInvite(text); !errors.Is(err, identity.ErrInviteDamaged) {
				t.Errorf("%c at %d: %v", c, i, err)
			}
		}
		if i > prefix && goldenInvite[i] != goldenInvite[i-1] {
			text := goldenInvite[:i-1] + goldenInvite[i:i+1] + goldenInvite[i-1:i] + goldenInvite[i+1:]
			if _, err := identity.ParseInvite(text); !errors.Is(err, identity.ErrInviteDamaged) {
				t.Errorf("swapped at %d: %v", i, err)
			}
		}
	}
	if _, err := identity.ParseInvite(goldenInvite + "a"); !errors.Is(err, identity.ErrInviteDamaged) {
		t.Errorf("a letter more: %v", err)
	}
}

// seal makes an invite out of any bytes.
func seal(b string) string {
	sum := sha256.Sum256([]byte("parley invite" + b))
	return "parley:" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(b+string(sum[:4]))))
}

func TestParseInviteSaysWhatIsWrong(t *testing.T) {
	key := string(testID(t, 1))[6:]
	address := string(addrs(t, "/ip4/1.2.3.4/tcp/1")[0].Bytes())
	many := "\x01\x00" + key
	for i := range 33 {
		many += string(rune(len(address))) + address[:len(address)-1] + string(rune(i+1))
	}
	if _, err := identity.ParseInvite(seal("\x01\x00" + key + string(rune(len(address))) + address)); err != nil {
		t.Fatalf("seal makes no invites: %v", err)
	}
	tests := []struct {
		name, text string
		want       error
	}{
		{"nothing", "", identity.ErrNotInvite},
		{"a sentence", "let us parley", identity.ErrNotInvite},
		{"a peer ID", testID(t, 1).String(), identity.ErrNotInvite},
		{"endless", strings.Repeat("a", 16385), identity.ErrNotInvite},
		{"prefix only", "parley:", identity.ErrInviteDamaged},
		{"version 2", seal("\x02\x00" + key), identity.ErrInviteVersion},
		{"version 0", seal("\x00"), identity.ErrInviteVersion},
		{"no ID", seal("\x01"), identity.ErrInviteDamaged},
		{"a short key", seal("\x01\x00" + key[:31]), identity.ErrInviteDamaged},
		{"an ID that is none", seal("\x01\x03abc"), identity.ErrInviteDamaged},
		{"a length beyond the end", seal("\x01\x00" + key + "\x09" + address), identity.ErrInviteDamaged},
		{"an endless length", seal("\x01\x00" + key + strings.Repeat("\xff", 11)), identity.ErrInviteDamaged},
		{"an empty address", seal("\x01\x00" + key + "\x00"), identity.ErrInviteDamaged},
		{"an address that is none", seal("\x01\x00" + key + "\x02\x04\x01"), identity.ErrInviteDamaged},
		{"33 addresses", seal(many), identity.ErrInviteDamaged},
	}
	for _, test := range tests {
		if p, err := identity.ParseInvite(test.text); !errors.Is(err, test.want) || p.ID != "" || p.Addrs != nil {
			t.Errorf("%s: %v, %v; want %v", test.name, p, err, test.want)
		}
	}
}

func TestNewInviteChoosesAddresses(t *testing.T) {
	id, relay := testID(t, 1), testID(t, 3)
	rsa, err := peer.Decode(rsaID)
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("/ip4/11.0.0.1/tcp/%d", i+1))
	}
	circuit := "/ip4/11.0.0.2/tcp/1/p2p/" + relay.String() + "/p2p-circuit"
	browser := "/ip4/11.0.0.1/udp/1/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ"
	tests := []struct {
		name     string
		id       identity.PeerID
		in, want []string
	}{
		{"none", id, nil, nil},
		{"an ID that holds no key", rsa, []string{"/ip4/11.0.0.1/tcp/1"}, []string{"/ip4/11.0.0.1/tcp/1"}},
		{"private ones", id, []string{"/ip4/10.0.0.1/tcp/1", "/ip4/192.168.0.1/tcp/1", "/ip6/fd00::1/tcp/1"}, []string{"/ip4/10.0.0.1/tcp/1", "/ip4/192.168.0.1/tcp/1", "/ip6/fd00::1/tcp/1"}},
		{"not loopback", id, []string{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip4/10.0.0.1/tcp/1"}, []string{"/ip4/10.0.0.1/tcp/1"}},
		{"loopback if it is all", id, []string{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"}, []string{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"}},
		{"not link-local nor unspecified", id, []string{"/ip6/fe80::1/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip4/10.0.0.1/tcp/1"}, []string{"/ip4/10.0.0.1/tcp/1"}},
		{"not a browser's", id, []string{browser, "/ip4/11.0.0.1/tcp/1"}, []string{"/ip4/11.0.0.1/tcp/1"}},
		{"a relay's", id, []string{circuit}, []string{circuit}},
		{"each once", id, []string{"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"}, []string{"/ip4/10.0.0.1/tcp/1"}},
		{"with the ID", id, []string{"/ip4/10.0.0.1/tcp/1/p2p/" + id.String(), circuit + "/p2p/" + id.String(), "/p2p/" + id.String()}, []string{"/ip4/10.0.0.1/tcp/1", circuit}},
		{"not too many", id, many, many[:16]},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			invite, err := identity.NewInvite(identity.Peer{ID: test.id, Addrs: addrs(t, test.in...)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := identity.ParseInvite(invite)
			if want := (identity.Peer{ID: test.id, Addrs: addrs(t, test.want...)}); err != nil || show(got) != show(want) {
				t.Fatalf("%s, %v; want %s", show(got), err, show(want))
			}
		})
	}
	for name, p := range map[string]identity.Peer{
		"no ID":             {},
		"another peer's":    {ID: id, Addrs: addrs(t, "/ip4/10.0.0.1/tcp/1/p2p/"+relay.String())},
		"an ID without key": {ID: "\x00\x01a"},
	} {
		if invite, err := identity.NewInvite(p); err == nil {
			t.Errorf("%s: %s", name, invite)
		}
	}
}

func TestLongestInviteIsRead(t *testing.T) {
	p := identity.Peer{ID: testID(t, 1)}
	for i := range 16 {
		p.Addrs = append(p.Addrs, addrs(t, fmt.Sprintf("/dns4/%s/tcp/%d", strings.Repeat("a", 505), i+1))...)
	}
	invite, err := identity.NewInvite(p)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.ParseInvite(invite); err != nil || show(got) != show(p) {
		t.Fatalf("%d characters: %v", len(invite), err)
	}
}

func FuzzInvite(f *testing.F) {
	f.Add([]byte(goldenInvite))
	f.Add([]byte("<PARLEY:aeaaa>"))
	f.Add([]byte("\x01\x00" + string(testID(f, 1))[6:] + "\x08\x04\x01\x02\x03\x04\x06\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// As text, and as what stands in an invite with a right checksum.
		for _, text := range []string{string(b), seal(string(b))} {
			p, err := identity.ParseInvite(text)
			if err != nil {
				if p.ID != "" || p.Addrs != nil {
					t.Fatalf("%v and %v", p, err)
				}
				continue
			}
			if len(p.Addrs) > identity.MaxAddrs {
				t.Fatalf("%d addresses", len(p.Addrs))
			}
			again, err := identity.NewInvite(p)
			if err != nil {
				t.Fatalf("%v: no invite of it: %v", p, err)
			}
			back, err := identity.ParseInvite(again)
			if err != nil || back.ID != p.ID || len(back.Addrs) > len(p.Addrs) {
				t.Fatalf("%v comes back as %v, %v", p, back, err)
			}
		}
	})
}
