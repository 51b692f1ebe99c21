package identity_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parley-voice/parley/identity"
)

func ExampleLoadOrCreateKey() {
	dir, err := os.MkdirTemp("", "parley")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	path := filepath.Join(dir, "parley", "identity.key")
	first, err := identity.LoadOrCreateKey(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := identity.LoadOrCreateKey(path) // the next start
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(first.Type(), first.Equals(second))
	// Output: Ed25519 true
}

func ExampleParsePeers() {
	peers, err := identity.ParsePeers(
		"/ip4/192.168.1.7/udp/4001/quic-v1/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
		"/ip4/11.2.3.4/tcp/4001/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range peers {
		fmt.Println(p.ID, p.Addrs)
	}
	// Output: 12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5 [/ip4/192.168.1.7/udp/4001/quic-v1 /ip4/11.2.3.4/tcp/4001]
}

func ExampleParseInvite() {
	p, err := identity.ParseInvite("Come: <parley:aeaivchd3v2at4mv7vjnwlj4xjoxfsthbg7r3fasdpzxjcabwqhw6xalatakqaihseba7ionameaicycamcamd5bmbby6bi>!")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.ID, p.Addrs)
	// Output: 12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5 [/ip4/192.168.1.7/udp/4001/quic-v1 /ip4/11.2.3.4/tcp/4001]
}

func ExamplePairFingerprint() {
	anna, err := identity.ParsePeerID("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
	if err != nil {
		fmt.Println(err)
		return
	}
	ben, err := identity.ParsePeerID("12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(identity.PairFingerprint(anna, ben))
	// Output: 27014 64929 78303 50727 71688 92607 48399 15690
}
