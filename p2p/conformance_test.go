package p2p_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session/sessiontest"
)

// transports makes the default session's transport on each host.
func transports(tb testing.TB, hosts []host.Host) (ts []link.Transport) {
	for _, h := range hosts {
		n, err := p2p.New(h, p2p.Config{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = n.Close() })
		tr, err := n.Session("")
		if err != nil {
			tb.Fatal(err)
		}
		ts = append(ts, tr)
	}
	return ts
}

func ours(stack string) bool {
	return strings.Contains(stack, "parley/p2p.") || strings.Contains(stack, "go-multistream.(*lazyClientConn")
}

func TestConformanceInVirtualTime(t *testing.T) {
	for name, loss := range map[string]float64{"clean": 0, "lossy": 0.05} {
		for connected, connect := range map[string]bool{"connected": true, "not connected": false} {
			t.Run(name+", "+connected, func(t *testing.T) {
				sessiontest.TestTransport(t, sessiontest.Factory{
					Run:    synctest.Test,
					Settle: time.Second,
					Owns:   ours,
					New: func(tb testing.TB, n int) []link.Transport {
						net := p2ptest.NewNetwork(tb, p2ptest.Config{Hosts: n, Delay: 25 * time.Millisecond})
						var hosts []host.Host
						for i := range n {
							hosts = append(hosts, net.Host(i))
							for j := range i {
								net.Introduce(i, j)
								net.Introduce(j, i)
								if !connect {
									continue
								}
								if err := net.Connect(i, j); err != nil {
									tb.Fatal(err)
								}
							}
						}
						ts := transports(tb, hosts)
						for i := range n {
							net.SetLoss(i, loss)
						}
						return ts
					},
				})
			})
		}
	}
}

func TestConformanceOnRealSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for name, listen := range map[string]string{"QUIC": p2ptest.QUIC, "TCP": p2ptest.TCP} {
		t.Run(name, func(t *testing.T) {
			sessiontest.TestTransport(t, sessiontest.Factory{
				Settle: 200 * time.Millisecond,
				Owns:   ours,
				New: func(tb testing.TB, n int) []link.Transport {
					var hosts []host.Host
					for range n {
						h := p2ptest.Loopback(tb, listen)
						for _, o := range hosts {
							o.Peerstore().AddAddrs(h.ID(), h.Addrs(), peerstore.PermanentAddrTTL)
							if err := h.Connect(context.Background(), peer.AddrInfo{ID: o.ID(), Addrs: o.Addrs()}); err != nil {
								tb.Fatal(err)
							}
						}
						hosts = append(hosts, h)
					}
					return transports(tb, hosts)
				},
			})
		})
	}
}
