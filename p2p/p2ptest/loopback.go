package p2ptest

import (
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// The addresses that Loopback takes.
const (
	QUIC = "/ip4/127.0.0.1/udp/0/quic-v1"
	TCP  = "/ip4/127.0.0.1/tcp/0"
)

// Loopback makes a host on a real socket of this machine that listens on
// listen, QUIC or TCP, and is closed with the test.
func Loopback(t testing.TB, listen string, options ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.ListenAddrStrings(listen),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		libp2p.DisableRelay(),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}
