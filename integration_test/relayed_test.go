package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/integration_test/linkbench"
	"github.com/parley-voice/parley/integration_test/linkem"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// relayHost is the host, after the two that talk, that relays between them.
const relayHost = 2

// legOf is what is between the first of two and whoever its packets go to, the
// relay or the other, on a link of a case.
func legOf(c linkbench.Case, link linkem.Impairment) linkem.Impairment {
	if c.Relayed {
		link.Delay /= 2
	}
	return link
}

// newRelayedCall joins two that reach each other through a relay alone. The first
// one's link to it is the impaired one.
func newRelayedCall(t *testing.T, c linkbench.Case, seed uint64) *simCall {
	t.Helper()
	leg := legOf(c, c.Link)
	p := &simCall{lab: newImpaired(leg, seed)}
	good := newImpaired(linkem.Impairment{Delay: leg.Delay}, seed)
	p.net = p2ptest.NewNetwork(t, p2ptest.Config{
		Hosts: 3, Seed: seed, BitsPerSecond: 1e10,
		Fate: func(from, to int, at time.Duration, size int) (time.Duration, bool) {
			way := 0 // as impaired has it: from the one who talks
			if from == relayHost {
				way = 1
			}
			switch {
			case from+to == 1:
				return 0, false // there is no way but the relay
			case from == 0 || to == 0:
				return p.lab.fate(way, 1-way, at, size)
			}
			return good.fate(way, 1-way, at, size)
		},
		HostOptions: func(int) []libp2p.Option {
			return []libp2p.Option{p2ptest.NoLimits()}
		},
	})
	h := p.net.Host(relayHost)
	r, err := relay.New(h, relay.WithResources(p2p.RelayResources()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	p.start(t, p2p.Config{Relaying: p2p.OnlyRelayed, Relays: []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}}})
	for i, one := range p.who {
		await(t, func() bool { return one.node.Relays()[0].Live })
		through := ma.StringCast(fmt.Sprintf("%s/p2p/%s/p2p-circuit", h.Addrs()[0], h.ID()))
		p.net.Host(1-i).Peerstore().AddAddr(one.Self(), through, peerstore.PermanentAddrTTL)
	}
	p.join(t)
	for _, one := range p.who {
		await(t, func() bool { return one.Stats().Peers[0].Path.Kind == link.Relayed })
	}
	return p
}

// await waits until something holds, for at most 20 s.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the two don't reach each other through the relay")
		}
	}
}
