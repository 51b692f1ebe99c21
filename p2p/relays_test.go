package p2p

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

// relayNet is a network on which host 0 is a relay and host n-1 has a node.
func relayNet(t *testing.T, hosts int, cfg Config, f func(t *testing.T, net *p2ptest.Network, n *Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{
			Hosts: hosts, Delay: 30 * time.Millisecond,
			HostOptions: func(i int) []libp2p.Option {
				if i < hosts-1 {
					return noLimits()
				}
				return hostOptions(t, HostConfig{NoHolePunching: true})
			},
		})
		n, err := New(net.Host(hosts-1), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		f(t, net, n)
	})
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func (n *Node) isLive(id peer.ID) bool {
	return slices.ContainsFunc(n.relays.live(), func(s relayState) bool { return s.ID == id })
}

// reachable says whether a peer gets through to the node under the first of its
// circuit addresses.
func reachable(t *testing.T, from host.Host, n *Node) bool {
	t.Helper()
	addrs := n.relays.circuitAddrs()
	if len(addrs) == 0 {
		return false
	}
	_ = from.Network().ClosePeer(n.host.ID())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	from.Peerstore().ClearAddrs(n.host.ID())
	from.Peerstore().AddAddr(n.host.ID(), addrs[0], time.Hour)
	_, err := from.Network().DialPeer(ctx, n.host.ID())
	return err == nil && isCircuit(from.Network().ConnsToPeer(n.host.ID())[0].RemoteMultiaddr())
}

func TestARelayIsReservedAndRenewed(t *testing.T) {
	relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		r := net.Host(0)
		newRelay(t, r)
		changed, stop := n.relays.watch()
		defer stop()
		n.SetRelays([]peer.AddrInfo{infoOf(r)})
		start := time.Now()
		<-changed
		if took := time.Since(start); took > 400*time.Millisecond {
			t.Errorf("the reservation took %v at a round trip of 60 ms", took)
		}
		s := n.relays.live()
		if len(s) != 1 || s[0].ID != r.ID() || s[0].LimitData != 1<<30 || s[0].LimitDuration != 12*time.Hour ||
			len(s[0].Addrs) != 1 || !s[0].Addrs[0].Equal(r.Addrs()[0]) {
			t.Errorf("live: %+v", s)
		}
		want := fmt.Sprintf("/ip4/1.0.0.1/udp/8000/quic-v1/p2p/%s/p2p-circuit", r.ID())
		if a := n.relays.circuitAddrs(); len(a) != 1 || a[0].String() != want {
			t.Errorf("circuit addresses %v, want %s", a, want)
		}
		if !n.host.ConnManager().IsProtected(r.ID(), relayTag) {
			t.Error("the connection with the relay isn't protected")
		}
		for range 3 {
			if !reachable(t, net.Host(1), n) {
				t.Fatalf("not reachable after %v", time.Since(start))
			}
			time.Sleep(70 * time.Minute) // longer than a reservation lasts
		}
		if until := time.Until(n.Relays()[0].Expiry); until < 50*time.Minute || !n.Relays()[0].Live {
			t.Errorf("status %+v, ends in %v", n.Relays(), until)
		}
		select {
		case <-changed:
			t.Error("renewing is told as a change")
		default:
		}
	})
}

func TestADeadRelayIsNoticedAndTakenAgain(t *testing.T) {
	for name, c := range map[string]struct {
		use    bool
		notice time.Duration
	}{"in use": {true, 4100 * time.Millisecond}, "idle": {false, 18100 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
				r := net.Host(0)
				newRelay(t, r)
				n.SetRelays([]peer.AddrInfo{infoOf(r)})
				changed, stop := n.relays.watch()
				defer stop()
				waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
				<-changed
				if c.use {
					defer n.relays.use(r.ID())()
				}
				time.Sleep(61 * time.Second) // just after a probe
				net.Cut(0)
				took := waitFor(t, c.notice, "the death to be noticed", func() bool { return !n.isLive(r.ID()) })
				t.Logf("noticed after %v", took)
				select {
				case <-changed:
				default:
					t.Error("nobody was told")
				}
				if len(n.relays.circuitAddrs()) != 0 {
					t.Error("addresses through a dead relay")
				}
				time.Sleep(20 * time.Second)
				if s := n.Relays()[0]; s.Live || !strings.HasPrefix(s.Reason, "not connected") {
					t.Errorf("status %+v", s)
				}
				net.Restore(0)
				took = waitFor(t, 5*time.Second, "the relay to be taken again", func() bool { return n.isLive(r.ID()) })
				t.Logf("live again after %v", took)
				if !reachable(t, net.Host(1), n) {
					t.Error("not reachable")
				}
			})
		})
	}
}

// Lost packets and a slow answer are no death.
func TestABadLinkIsNoDeath(t *testing.T) {
	relayNet(t, 2, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		r := net.Host(0)
		newRelay(t, r)
		n.SetRelays([]peer.AddrInfo{infoOf(r)})
		defer n.relays.use(r.ID())()
		waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
		conn := n.host.Network().ConnsToPeer(r.ID())[0]
		net.SetLoss(0, 0.2)
		net.SetLoss(1, 0.2)
		time.Sleep(2 * time.Minute)
		net.SetLoss(0, 0)
		net.SetLoss(1, 0)
		for range 5 {
			net.Cut(0)
			time.Sleep(1200 * time.Millisecond)
			net.Restore(0)
			time.Sleep(10 * time.Second)
		}
		if conn.IsClosed() || !n.isLive(r.ID()) {
			t.Errorf("closed: %v, status %+v", conn.IsClosed(), n.Relays())
		}
	})
}

func TestARestartedRelayIsReservedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		use  bool
		down time.Duration
	}{"in use": {true, 0}, "in use, down for 20 s": {true, 20 * time.Second}, "idle, down for 40 s": {false, 40 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
				r := net.Host(0)
				newRelay(t, r)
				n.SetRelays([]peer.AddrInfo{infoOf(r)})
				if c.use {
					defer n.relays.use(r.ID())()
				}
				waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
				time.Sleep(time.Minute)
				again, err := net.Restart(0, c.down)
				if err != nil {
					t.Fatal(err)
				}
				var asked atomic.Int32
				rr, err := relay.New(again, relay.WithResources(RelayResources()), relay.WithACL(countingACL{&asked}))
				if err != nil {
					t.Fatal(err)
				}
				defer rr.Close()
				took := waitFor(t, 5*time.Second, "the relay to be reserved again", func() bool { return asked.Load() > 0 && n.isLive(again.ID()) })
				t.Logf("live again after %v", took)
				if !reachable(t, net.Host(1), n) {
					t.Error("not reachable")
				}
			})
		})
	}
}

// countingACL lets everybody in and counts.
type countingACL struct{ asked *atomic.Int32 }

func (a countingACL) AllowReserve(peer.ID, ma.Multiaddr) bool { a.asked.Add(1); return true }

func (a countingACL) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return true }

// libp2p would stop dialing over UDP after a hundred failures, and not only
// this relay.
func TestARelayThatWasAwayForAnHour(t *testing.T) {
	relayNet(t, 2, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		r := net.Host(0)
		newRelay(t, r)
		n.SetRelays([]peer.AddrInfo{infoOf(r)})
		waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
		net.Cut(0)
		time.Sleep(time.Hour)
		net.Restore(0)
		took := waitFor(t, relayRestMost*6/5+relayConnect, "the relay to be taken again", func() bool { return n.isLive(r.ID()) })
		t.Logf("live again after %v", took)
		if found(n.host, Problem, "QUIC") {
			t.Errorf("found %+v", CheckHost(n.host))
		}
	})
}

func TestARelayThatClosesItsConnectionIsAskedAtOnce(t *testing.T) {
	relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		newRelay(t, net.Host(0))
		n.SetRelays([]peer.AddrInfo{infoOf(net.Host(0))})
		waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(net.Host(0).ID()) })
		time.Sleep(time.Minute)
		if err := net.Disconnect(0, 2); err != nil {
			t.Fatal(err)
		}
		waitFor(t, time.Second, "the loss", func() bool { return !n.isLive(net.Host(0).ID()) })
		waitFor(t, 400*time.Millisecond, "the reservation", func() bool { return n.isLive(net.Host(0).ID()) })
		if !reachable(t, net.Host(1), n) {
			t.Error("not reachable")
		}
	})
}

func TestOfTwoRelaysOneDies(t *testing.T) {
	relayNet(t, 4, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		a, b := net.Host(0), net.Host(1)
		newRelay(t, a)
		newRelay(t, b)
		n.SetRelays([]peer.AddrInfo{infoOf(a), infoOf(b)})
		waitFor(t, time.Second, "both", func() bool { return len(n.relays.live()) == 2 })
		if s := n.relays.live(); s[0].ID != a.ID() || s[1].ID != b.ID() {
			t.Error("not in the order in which they were named")
		}
		conn := n.host.Network().ConnsToPeer(b.ID())[0]
		net.Cut(0)
		time.Sleep(2 * time.Minute)
		if s := n.relays.live(); len(s) != 1 || s[0].ID != b.ID() || conn.IsClosed() {
			t.Errorf("live: %+v", s)
		}
		if !reachable(t, net.Host(2), n) {
			t.Error("not reachable through the other one")
		}
	})
}

func TestSetRelaysChangesThem(t *testing.T) {
	cfg := Config{}
	relayNet(t, 4, cfg, func(t *testing.T, net *p2ptest.Network, n *Node) {
		a, b := net.Host(0), net.Host(1)
		newRelay(t, a)
		newRelay(t, b)
		m := n.host.ConnManager()
		n.SetRelays([]peer.AddrInfo{infoOf(a)})
		waitFor(t, time.Second, "the first", func() bool { return n.isLive(a.ID()) })
		changed, stop := n.relays.watch()
		n.SetRelays([]peer.AddrInfo{infoOf(b)})
		<-changed
		if n.isLive(a.ID()) || m.IsProtected(a.ID(), "") || !m.IsProtected(b.ID(), relayTag) {
			t.Error("the first relay stays")
		}
		waitFor(t, time.Second, "the second", func() bool { return n.isLive(b.ID()) })
		stop()
		// Taken out and put back in one breath.
		n.SetRelays(nil)
		n.SetRelays([]peer.AddrInfo{infoOf(a), infoOf(b)})
		waitFor(t, time.Second, "both", func() bool { return len(n.relays.live()) == 2 })
		if !m.IsProtected(a.ID(), relayTag) || !m.IsProtected(b.ID(), relayTag) {
			t.Error("not protected")
		}
		// Another address of a live relay is told to peers at once.
		more := infoOf(a)
		more.Addrs = append(more.Addrs, ma.StringCast("/dns4/relay.example/tcp/1"))
		n.SetRelays([]peer.AddrInfo{more})
		waitFor(t, time.Second, "the address", func() bool { return len(n.relays.circuitAddrs()) == 2 })
		// An address that was wrong and is corrected needn't wait.
		wrong := infoOf(a)
		wrong.Addrs = []ma.Multiaddr{ma.StringCast("/ip4/1.0.9.9/udp/8000/quic-v1")}
		for i := range 4 {
			time.Sleep(time.Second) // identify, which would tell the right address again, is over
			n.SetRelays([]peer.AddrInfo{wrong})
			n.host.Peerstore().ClearAddrs(a.ID())
			_ = n.host.Network().ClosePeer(a.ID())
			time.Sleep(5*time.Minute + time.Duration(i)*1700*time.Millisecond)
			if n.isLive(a.ID()) {
				t.Error("live under a wrong address")
			}
			n.SetRelays([]peer.AddrInfo{infoOf(a)})
			waitFor(t, relayConnect+time.Second, "the correction", func() bool { return n.isLive(a.ID()) })
		}
		_ = n.Close()
		n.SetRelays([]peer.AddrInfo{infoOf(b)})
		if len(n.Relays()) != 0 || m.IsProtected(a.ID(), "") || m.IsProtected(b.ID(), "") {
			t.Error("something is left after Close")
		}
	})
}

func TestRelaysOfTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{HostOptions: func(int) []libp2p.Option { return noLimits() }})
		newRelay(t, net.Host(0))
		n, err := New(net.Host(1), Config{Relays: []peer.AddrInfo{infoOf(net.Host(0))}, NoProtect: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		waitFor(t, time.Second, "the reservation", func() bool { return n.isLive(net.Host(0).ID()) })
		if n.host.ConnManager().IsProtected(net.Host(0).ID(), "") {
			t.Error("protected in spite of NoProtect")
		}
	})
}

func newID(t *testing.T) peer.ID {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestWhatCanBeARelay(t *testing.T) {
	self, a, b := newID(t), newID(t), newID(t)
	x, y := ma.StringCast("/ip4/1.2.3.4/udp/1/quic-v1"), ma.StringCast("/ip4/1.2.3.5/tcp/1")
	ofA, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: a, Addrs: []ma.Multiaddr{y}})
	if err != nil {
		t.Fatal(err)
	}
	got := usableRelays([]peer.AddrInfo{
		{ID: self, Addrs: []ma.Multiaddr{x}},
		{ID: "", Addrs: []ma.Multiaddr{x}},
		{ID: a, Addrs: []ma.Multiaddr{x, x, nil, ma.StringCast("/ip4/1.2.3.4/udp/1/quic-v1/p2p-circuit")}},
		{ID: b, Addrs: ofA},
		{ID: a, Addrs: ofA},
	}, self)
	if len(got) != 2 || got[0].ID != a || got[1].ID != b || len(got[1].Addrs) != 0 ||
		!slices.EqualFunc(got[0].Addrs, []ma.Multiaddr{x, y}, ma.Multiaddr.Equal) {
		t.Errorf("got %v", got)
	}
	var many []peer.AddrInfo
	for range 100 {
		info := peer.AddrInfo{ID: newID(t)}
		for j := range 100 {
			info.Addrs = append(info.Addrs, ma.StringCast(fmt.Sprintf("/ip4/1.2.3.4/tcp/%d", j)))
		}
		many = append(many, info)
	}
	if got := usableRelays(many, self); len(got) != maxRelays || len(got[0].Addrs) != maxRelayAddrs {
		t.Errorf("%d relays with %d addresses", len(got), len(got[0].Addrs))
	}
}

// hang answers nothing.
func hang(s network.Stream) { _ = s }

func TestARelayThatNeverAnswers(t *testing.T) {
	relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		bad, good := net.Host(0), net.Host(1)
		newRelay(t, good)
		var streams, conns atomic.Int32
		bad.SetStreamHandler(proto.ProtoIDv2Hop, func(s network.Stream) { streams.Add(1); hang(s) })
		bad.SetStreamHandler(ping.ID, hang)
		bad.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { conns.Add(1) }})
		n.SetRelays([]peer.AddrInfo{infoOf(bad), infoOf(good)})
		waitFor(t, time.Second, "the good one", func() bool { return n.isLive(good.ID()) })
		time.Sleep(10 * time.Minute)
		if s := n.Relays(); s[0].Live || s[0].Reason == "" || !s[1].Live {
			t.Errorf("status %+v", s)
		}
		// At most one attempt in 8 s once the rests have grown.
		if s, c := streams.Load(), conns.Load(); s < 10 || s > 100 || c < 10 || c > 100 {
			t.Errorf("%d requests on %d connections in ten minutes", s, c)
		}
		start := time.Now()
		_ = n.Close()
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
	})
}

// switchACL lets peers in while it is on.
type switchACL struct {
	on    atomic.Bool
	asked atomic.Int32
}

func (a *switchACL) AllowReserve(peer.ID, ma.Multiaddr) bool { a.asked.Add(1); return a.on.Load() }

func (a *switchACL) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return true }

func TestARefusedRenewalLeavesWhatIsReserved(t *testing.T) {
	relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		r := net.Host(0)
		acl := &switchACL{}
		res := RelayResources()
		res.ReservationTTL = 2 * time.Minute
		rr, err := relay.New(r, relay.WithResources(res), relay.WithACL(acl))
		if err != nil {
			t.Fatal(err)
		}
		defer rr.Close()
		n.SetRelays([]peer.AddrInfo{infoOf(r)})
		time.Sleep(time.Minute)
		if s := n.Relays()[0]; s.Live || s.Reason != "refused: the relay doesn't serve us" {
			t.Errorf("status %+v", s)
		}
		if a := acl.asked.Load(); a < 5 || a > 15 {
			t.Errorf("asked %d times in a minute", a)
		}
		acl.on.Store(true)
		waitFor(t, 13*time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
		acl.on.Store(false)
		time.Sleep(110 * time.Second)
		if !n.isLive(r.ID()) || !reachable(t, net.Host(1), n) {
			t.Error("the reservation went with the refusal")
		}
		time.Sleep(20 * time.Second)
		if n.isLive(r.ID()) {
			t.Error("live after its end")
		}
		acl.on.Store(true)
		waitFor(t, 13*time.Second, "the reservation", func() bool { return n.isLive(r.ID()) })
	})
}

func TestCloseAtAnyMomentLeavesNothingOfRelays(t *testing.T) {
	for d := time.Duration(0); d < 12*time.Second; d += 97*time.Millisecond + d/8 {
		t.Run(d.String(), func(t *testing.T) {
			relayNet(t, 3, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
				a, b := net.Host(0), net.Host(1)
				newRelay(t, a)
				b.SetStreamHandler(proto.ProtoIDv2Hop, hang)
				b.SetStreamHandler(ping.ID, hang)
				n.SetRelays([]peer.AddrInfo{infoOf(a), infoOf(b)})
				done := n.relays.use(a.ID())
				time.AfterFunc(500*time.Millisecond, func() { net.Cut(0) })
				time.AfterFunc(8*time.Second, func() { net.Restore(0) })
				time.Sleep(d)
				start := time.Now()
				_ = n.Close()
				if took := time.Since(start); took > 500*time.Millisecond {
					t.Errorf("Close took %v", took)
				}
				done()
				synctest.Wait()
				m := n.host.ConnManager()
				if m.IsProtected(a.ID(), "") || m.IsProtected(b.ID(), "") {
					t.Error("a relay is still protected")
				}
				buf := make([]byte, 4<<20)
				for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
					if strings.Contains(g, "p2p.(*keptRelay") || strings.Contains(g, "go-multistream.(*lazy") {
						t.Errorf("left:\n%s", g)
					}
				}
				time.Sleep(9 * time.Second)
			})
		})
	}
}

func TestAHostileReservation(t *testing.T) {
	relayNet(t, 2, Config{}, func(t *testing.T, net *p2ptest.Network, n *Node) {
		r := net.Host(0)
		k := newKeptRelay(n.relays, r.ID())
		n.relays.mu.Lock()
		n.relays.kept = append(n.relays.kept, k)
		n.relays.mu.Unlock()
		for _, c := range []struct{ until, want time.Duration }{
			{time.Second, renewSoonest}, {30 * time.Second, 20 * time.Second}, {time.Hour, renewLatest}, {1 << 62, renewLatest},
		} {
			res := reservation(c.until)
			res.Addrs = append(res.Addrs, ma.StringCast("/ip4/127.0.0.1/tcp/1"))
			for i := range 1000 {
				res.Addrs = append(res.Addrs, ma.StringCast(fmt.Sprintf("/ip4/11.0.0.1/tcp/%d/p2p/%s", i, r.ID())))
			}
			k.reserved(res)
			if got := time.Until(k.renewAt); got != c.want {
				t.Errorf("a reservation of %v is renewed after %v, want %v", c.until, got, c.want)
			}
			if s := n.relays.live(); len(s) != 1 || len(s[0].Addrs) != maxRelayAddrs || !manet.IsPublicAddr(s[0].Addrs[0]) {
				t.Errorf("live: %+v", s)
			}
		}
		k.reserved(reservation(time.Hour))
		if a := n.relays.circuitAddrs(); len(a) != 0 {
			t.Errorf("addresses %v of a relay without public ones", a)
		}
		k.cancel()
	})
}

func reservation(d time.Duration) *client.Reservation {
	return &client.Reservation{Expiration: time.Now().Add(d)}
}

func TestAHostWithoutRelayTransportReservesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{}) // without
		n, err := New(net.Host(1), Config{Relays: []peer.AddrInfo{infoOf(net.Host(0))}})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		newRelay(t, net.Host(0))
		time.Sleep(10 * time.Second)
		if s := n.Relays()[0]; s.Live || s.Reason != "our own host has no relay transport" {
			t.Errorf("status %+v", s)
		}
	})
}
