package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/identity"
)

// testKey is an Ed25519 key whose seed is 32 times b.
func testKey(tb testing.TB, b byte) crypto.PrivKey {
	tb.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func testID(tb testing.TB, b byte) identity.PeerID {
	tb.Helper()
	id, err := peer.IDFromPrivateKey(testKey(tb, b))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func addrs(tb testing.TB, texts ...string) (as []ma.Multiaddr) {
	tb.Helper()
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			tb.Fatal(err)
		}
		as = append(as, a)
	}
	return as
}

func show(p identity.Peer) string { return strings.Join(p.Texts(), " ") }

const rsaID = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N" // from the peer-ids specification of libp2p

func TestParsePeerID(t *testing.T) {
	id := testID(t, 1)
	text := identity.Text(id)
	rsa, err := peer.Decode(rsaID)
	if err != nil {
		t.Fatal(err)
	}
	base36, err := peer.ToCid(id).StringOfBase('k')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "12D3KooW") || !strings.HasPrefix(identity.CID(id), "bafz") || !strings.HasPrefix(base36, "k51") {
		t.Fatal(text, identity.CID(id), base36)
	}
	good := map[string]identity.PeerID{
		text:                              id,
		" \t" + text + "\r\n":             id,
		identity.CID(id):                  id,
		strings.ToUpper(identity.CID(id)): id,
		base36:                            id,
		rsaID:                             rsa,
		identity.CID(rsa):                 rsa,
	}
	for text, want := range good {
		if got, err := identity.ParsePeerID(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	bad := map[string]string{
		"":                       "no text",
		"  ":                     "no text",
		text[:51]:                "",
		text[:20]:                "",
		text + "1":               "",
		strings.ToLower(text):    "",
		"1":                      "",
		"Qm":                     "",
		rsaID[:45]:               "",
		"/p2p/" + text:           "is an address",
		"hello":                  "",
		strings.Repeat("1", 129): "129 bytes",
		"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi": "", // the CID of a file
		"12D3KooW": "",
	}
	for text, want := range bad {
		got, err := identity.ParsePeerID(text)
		if !errors.Is(err, identity.ErrPeerID) || !strings.Contains(err.Error(), want) || got != "" {
			t.Errorf("%q: %q, %v; want an error with %q", text, got, err, want)
		}
	}
	if got := identity.CID("nonsense"); got != "" {
		t.Errorf("CID of nonsense: %q", got)
	}
}

func TestParsePeers(t *testing.T) {
	x, y, r := testID(t, 1), testID(t, 2), testID(t, 3)
	invite, err := identity.NewInvite(identity.Peer{ID: x, Addrs: addrs(t, "/ip4/10.0.0.1/tcp/1", "/ip4/9.9.9.9/tcp/4")})
	if err != nil {
		t.Fatal(err)
	}
	at := func(id identity.PeerID, a ...string) identity.Peer {
		return identity.Peer{ID: id, Addrs: addrs(t, a...)}
	}
	tests := []struct {
		name string
		in   []string
		want []identity.Peer
	}{
		{"none", nil, nil},
		{"an address", []string{"/ip4/1.2.3.4/udp/9/quic-v1/p2p/" + x.String()}, []identity.Peer{at(x, "/ip4/1.2.3.4/udp/9/quic-v1")}},
		{"several of one peer", []string{"/ip4/1.2.3.4/tcp/2/p2p/" + x.String(), "/ip4/1.2.3.4/tcp/1/p2p/" + x.String(), " /ip4/1.2.3.4/tcp/2/p2p/" + x.String() + "\n"}, []identity.Peer{at(x, "/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/1")}},
		{"order is kept", []string{"/ip4/1.2.3.4/tcp/2/p2p/" + y.String(), "/ip4/1.2.3.4/tcp/1/p2p/" + x.String(), "/ip4/1.2.3.4/tcp/3/p2p/" + y.String()}, []identity.Peer{at(y, "/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/3"), at(x, "/ip4/1.2.3.4/tcp/1")}},
		{"through a relay", []string{"/ip4/1.2.3.4/tcp/2/p2p/" + r.String() + "/p2p-circuit/p2p/" + x.String()}, []identity.Peer{at(x, "/ip4/1.2.3.4/tcp/2/p2p/"+r.String()+"/p2p-circuit")}},
		{"a bare ID", []string{x.String()}, []identity.Peer{at(x)}},
		{"a bare ID as an address", []string{"/p2p/" + identity.CID(x)}, []identity.Peer{at(x)}},
		{"a bare ID, then an address", []string{x.String(), "/dns4/example.org/tcp/2/p2p/" + x.String()}, []identity.Peer{at(x, "/dns4/example.org/tcp/2")}},
		{"an invite and an address", []string{"/ip4/9.9.9.9/tcp/4/p2p/" + x.String(), "<" + invite + ">"}, []identity.Peer{at(x, "/ip4/9.9.9.9/tcp/4", "/ip4/10.0.0.1/tcp/1")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := identity.ParsePeers(test.in...)
			if err != nil || len(got) != len(test.want) {
				t.Fatalf("%v, %v; want %v", got, err, test.want)
			}
			var again []string
			for i, p := range got {
				if show(p) != show(test.want[i]) {
					t.Errorf("%s, want %s", show(p), show(test.want[i]))
				}
				again = append(again, p.Texts()...)
			}
			if back, err := identity.ParsePeers(again...); err != nil || fmt.Sprint(back) != fmt.Sprint(got) {
				t.Errorf("%v comes back as %v, %v", got, back, err)
			}
		})
	}
}

func TestParsePeersRefusesWhatIsNone(t *testing.T) {
	x, r := testID(t, 1).String(), testID(t, 3).String()
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("/ip4/1.2.3.4/tcp/%d/p2p/%s", i+1, x)
	}
	if p, err := identity.ParsePeers(many[:32]...); err != nil || len(p[0].Addrs) != 32 {
		t.Errorf("32 addresses: %v", err)
	}
	crowd := make([]string, identity.MaxPeers+1)
	for i := range crowd {
		crowd[i] = edID(byte(i), byte(i>>8)).String()
	}
	if p, err := identity.ParsePeers(crowd[1:]...); err != nil || len(p) != identity.MaxPeers {
		t.Errorf("%d peers: %v", len(p), err)
	}
	tests := []struct {
		name string
		in   []string
		want error
	}{
		{"no text", []string{""}, identity.ErrPeerID},
		{"a word", []string{"anna"}, identity.ErrPeerID},
		{"an address of nobody", []string{"/ip4/1.2.3.4/tcp/1"}, identity.ErrAddress},
		{"a relay and nobody behind it", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + r + "/p2p-circuit"}, identity.ErrAddress},
		{"a peer in the midst that is no relay", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + r + "/p2p/" + x}, identity.ErrAddress},
		{"a peer in the midst of an address", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + r + "/udp/2/p2p/" + x}, identity.ErrAddress},
		{"no address", []string{"/ip4/1.2.3/tcp/1/p2p/" + x}, identity.ErrAddress},
		{"an unknown protocol", []string{"/ip9/1.2.3.4/p2p/" + x}, identity.ErrAddress},
		{"a cut ID", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + x[:30]}, identity.ErrAddress},
		{"an ID without a key", []string{"/ip4/1.2.3.4/tcp/1/p2p/" + identity.PeerID("\x00\x01a").String()}, identity.ErrPeerID},
		{"a slash", []string{"/"}, identity.ErrAddress},
		{"a long one", []string{"/dns4/" + strings.Repeat("a", 1024) + "/tcp/1/p2p/" + x}, identity.ErrAddress},
		{"long in bytes", []string{"/dns4/" + strings.Repeat("a", 600) + "/tcp/1/p2p/" + x}, identity.ErrAddress},
		{"33 addresses", many, identity.ErrTooMany},
		{"a crowd", crowd, identity.ErrTooMany},
		{"a damaged invite", []string{"parley:aeaaa"}, identity.ErrInviteDamaged},
		{"one bad among good", []string{x, "/p2p/" + x, "anna"}, identity.ErrPeerID},
	}
	for _, test := range tests {
		if got, err := identity.ParsePeers(test.in...); !errors.Is(err, test.want) || got != nil {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
}

// edID is the ID of a key that nobody has.
func edID(a, b byte) identity.PeerID {
	return identity.PeerID("\x00\x24\x08\x01\x12\x20" + string([]byte{a, b}) + strings.Repeat("x", 30))
}

func FuzzParsePeers(f *testing.F) {
	x, r := testID(f, 1), testID(f, 3)
	f.Add(x.String())
	f.Add(identity.CID(x))
	f.Add("/ip4/1.2.3.4/udp/9/quic-v1/p2p/" + r.String() + "/p2p-circuit/p2p/" + x.String() + "\n/ip6/::1/tcp/1/p2p/" + x.String())
	f.Add("parley:\n/dns4/a/tcp/1")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := identity.ParsePeers(strings.Split(text, "\n")...)
		if err != nil {
			if got != nil {
				t.Fatalf("%v and %v", got, err)
			}
			return
		}
		var again []string
		for _, p := range got {
			if len(p.Addrs) > identity.MaxAddrs {
				t.Fatalf("%d addresses", len(p.Addrs))
			}
			again = append(again, p.Texts()...)
		}
		back, err := identity.ParsePeers(again...)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(got) {
			t.Fatalf("%v comes back as %v, %v", got, back, err)
		}
	})
}
