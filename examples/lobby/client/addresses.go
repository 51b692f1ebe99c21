package client

import (
	"context"
	"errors"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// hostAddrs are the addresses that a host announces and those of all interfaces
// that it listens on.
func hostAddrs(h host.Host) []ma.Multiaddr {
	addrs := slices.Clone(h.Addrs())
	local, err := h.Network().InterfaceListenAddresses()
	if err == nil {
		addrs = append(addrs, local...)
	}
	return addrs
}

// choose picks the addresses that go into a record: each once, those of more
// use first, at most lobbywire.MaxAddrs.
func choose(self peer.ID, addrs []ma.Multiaddr, circuitsOnly bool) []ma.Multiaddr {
	var chosen []ma.Multiaddr
	for _, a := range addrs {
		if addr, id := peer.SplitAddr(a); id == self {
			a = addr
		}
		if len(a) == 0 || circuitsOnly && !isCircuit(a) || isUseless(a) || slices.ContainsFunc(chosen, a.Equal) {
			continue
		}
		chosen = append(chosen, a)
	}
	slices.SortStableFunc(chosen, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
	return chosen[:min(len(chosen), lobbywire.MaxAddrs)]
}

// isUseless reports whether no other member can use an address: of no
// particular machine or relay, of one link, or of browsers' transports.
func isUseless(a ma.Multiaddr) bool {
	if a[0].Code() == ma.P_CIRCUIT || manet.IsIPUnspecified(a) || manet.IsIP6LinkLocal(a) {
		return true
	}
	return slices.ContainsFunc(a, func(c ma.Component) bool {
		switch c.Code() {
		case ma.P_WEBTRANSPORT, ma.P_WEBRTC_DIRECT, ma.P_CERTHASH:
			return true
		}
		return false
	})
}

func isCircuit(a ma.Multiaddr) bool {
	return slices.ContainsFunc(a, func(c ma.Component) bool { return c.Code() == ma.P_CIRCUIT })
}

// rank orders addresses: public and local ones, then those through relays, then
// those on this very machine.
func rank(a ma.Multiaddr) int {
	switch {
	case manet.IsIPLoopback(a):
		return 2
	case isCircuit(a):
		return 1
	}
	return 0
}

// seal signs addresses, as many as a record holds.
func seal(key crypto.PrivKey, addrs []ma.Multiaddr) ([]byte, error) {
	for {
		b, err := lobbywire.SealRecord(key, addrs)
		if !errors.Is(err, lobbywire.ErrLimit) || len(addrs) == 0 {
			return b, err
		}
		addrs = addrs[:len(addrs)/2]
	}
}

func sameAddrs(a, b []ma.Multiaddr) bool {
	return slices.EqualFunc(a, b, func(x, y ma.Multiaddr) bool { return x.Equal(y) })
}

// withSiblings adds to each address of plain TCP the one of QUIC at the same
// port, and the other way round. Names stay names.
func withSiblings(addrs []ma.Multiaddr) []ma.Multiaddr {
	all := slices.Clone(addrs)
	for _, a := range addrs {
		if b := sibling(a); b != nil && !slices.ContainsFunc(all, b.Equal) {
			all = append(all, b)
		}
	}
	return all
}

func sibling(a ma.Multiaddr) ma.Multiaddr {
	var text string
	switch {
	case len(a) == 2 && a[1].Code() == ma.P_TCP:
		text = "/udp/" + a[1].Value() + "/quic-v1"
	case len(a) == 3 && a[1].Code() == ma.P_UDP && a[2].Code() == ma.P_QUIC_V1:
		text = "/tcp/" + a[1].Value()
	default:
		return nil
	}
	b, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil
	}
	return a[:1:1].Encapsulate(b)
}

// tcpAddrs are those of plain TCP among addrs, with names resolved.
func tcpAddrs(ctx context.Context, addrs []ma.Multiaddr) []ma.Multiaddr {
	var found []ma.Multiaddr
	for _, a := range addrs {
		if len(a) != 2 || a[1].Code() != ma.P_TCP {
			continue
		}
		resolved := []ma.Multiaddr{a}
		if madns.Matches(a) {
			var err error
			if resolved, err = madns.Resolve(ctx, a); err != nil {
				continue
			}
		}
		for _, r := range resolved {
			if manet.IsThinWaist(r) && !slices.ContainsFunc(found, r.Equal) {
				found = append(found, r)
			}
		}
	}
	return found[:min(len(found), maxDials)]
}
