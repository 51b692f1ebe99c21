package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
)

// What the machine has room for: members at a time, and how many of them behind
// one NAT. A member has two connections as a rule: one for the lobby alone, and
// its host's.
const (
	maxMembers      = 4096
	maxAtOneAddress = 512
)

func newHost(opt *options) (host.Host, error) {
	key, err := identity.LoadOrCreateKey(opt.key)
	if err != nil {
		return nil, err
	}
	room, err := p2p.RelayHostOptions(p2p.RelayHostConfig{Members: maxMembers, PeersPerAddress: maxAtOneAddress})
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(opt.listen...),
		libp2p.UserAgent("parley-lobby"),
		libp2p.ForceReachabilityPublic(),
		libp2p.DisableMetrics(), // of the default registry, which nobody sees
		libp2p.AddrsFactory(func(own []ma.Multiaddr) []ma.Multiaddr { return slices.Concat(opt.announce, own) }),
	}
	h, err := libp2p.New(append(options, room...)...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	return h, nil
}

// notNarrow reports whether an address is of use beyond this machine, or all of
// the host's are not.
func notNarrow(h host.Host) func(ma.Multiaddr) bool {
	return func(a ma.Multiaddr) bool {
		return !manet.IsIPLoopback(a) || !slices.ContainsFunc(h.Addrs(), func(o ma.Multiaddr) bool { return !manet.IsIPLoopback(o) })
	}
}

// printAddresses says how others reach the lobby.
func printAddresses(h host.Host) {
	addrs := h.Addrs()
	for _, a := range addrs {
		fmt.Printf("listening %s/p2p/%s\n", a, h.ID())
	}
	if len(addrs) == 0 {
		return
	}
	best := slices.MinFunc(addrs, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
	fmt.Printf("join with: chat --lobby %s/p2p/%s --room %s\n", best, h.ID(), client.NewCode())
}

// rank is smaller for an address that more people can use.
func rank(a ma.Multiaddr) int {
	n := 0
	switch {
	case manet.IsPublicAddr(a):
	case manet.IsIPLoopback(a), manet.IsIP6LinkLocal(a):
		n = 8
	default:
		n = 4
	}
	if _, err := a.ValueForProtocol(ma.P_IP6); err == nil {
		n += 2
	}
	if _, err := a.ValueForProtocol(ma.P_QUIC_V1); err != nil {
		n++
	}
	if _, err := a.ValueForProtocol(ma.P_WEBTRANSPORT); err == nil {
		n = math.MaxInt32
	}
	return n
}
