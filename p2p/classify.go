package p2p

import (
	"strings"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/p2p/link"
)

// connClass is what is said about a connection; it never changes.
type connClass struct {
	kind      link.Kind
	transport string
	security  string
	remote    string
	striped   bool // streams are ordered independently of each other
}

// classify judges by the addresses: Stat().Limited is false behind a relay
// without limits, and ConnState tells of a circuit on the dialing side only.
func classify(c network.Conn) connClass {
	addr := c.RemoteMultiaddr()
	k := connClass{kind: link.Direct, transport: transportOf(c), remote: addr.String()}
	switch {
	case isCircuit(addr):
		k.kind = link.Relayed
	case manet.IsIPLoopback(addr), manet.IsPrivateAddr(addr), manet.IsIP6LinkLocal(addr), isLinkLocal4(addr):
		k.kind = link.LAN
	}
	switch k.transport {
	case "quic-v1", "quic":
		k.security, k.striped = "tls", true
	case "webtransport", "webrtc-direct":
		k.security, k.striped = "noise", true
	default:
		s := strings.TrimPrefix(string(c.ConnState().Security), "/")
		k.security, _, _ = strings.Cut(s, "/")
	}
	return k
}

func isCircuit(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

func isLinkLocal4(a ma.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	return err == nil && ip.IsLinkLocalUnicast()
}

func transportOf(c network.Conn) string {
	if isCircuit(c.RemoteMultiaddr()) {
		return "p2p-circuit"
	}
	return c.ConnState().Transport
}

// rank orders the ways to a peer: kind first, then streams that don't stall
// each other.
func (k connClass) rank() int {
	r := 2 * int(k.kind)
	if k.striped {
		r++
	}
	return r
}
