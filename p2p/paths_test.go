package p2p

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// pathNet is a network on which the first hosts are relays and the last two
// have nodes that keep reservations at all of them. limit is what the relays
// allow a connection; nil is what voice needs.
type pathNet struct {
	*p2ptest.Network

	t      *testing.T
	relays int
	limit  *relay.RelayLimit
	a, b   *end
}

func inPathNet(t *testing.T, relays int, limit *relay.RelayLimit, cfg Config, f func(t *testing.T, net *pathNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := &pathNet{t: t, relays: relays, limit: limit}
		net.Network = p2ptest.NewNetwork(t, p2ptest.Config{
			Hosts: relays + 2, Delay: 20 * time.Millisecond,
			HostOptions: func(int) []libp2p.Option { return noLimits() },
		})
		for i := range relays {
			net.relay(i)
			cfg.Relays = append(cfg.Relays, infoOf(net.Host(i)))
		}
		net.a, net.b = newEnd(t, net.Network, relays, cfg), newEnd(t, net.Network, relays+1, cfg)
		waitFor(t, 2*time.Second, "reservations", func() bool {
			return len(net.a.node.relays.live()) == relays && len(net.b.node.relays.live()) == relays
		})
		f(t, net)
	})
}

// relay begins to relay on host i.
func (n *pathNet) relay(i int) {
	n.t.Helper()
	resources := RelayResources()
	if n.limit != nil {
		resources.Limit = n.limit
	}
	r, err := relay.New(n.Host(i), relay.WithResources(resources))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = r.Close() })
}

// apart keeps the two ends from reaching each other directly.
func (n *pathNet) apart() { n.Bar(n.relays, n.relays+1) }

// meet introduces the ends through their relays and joins them.
func (n *pathNet) meet() {
	n.t.Helper()
	for _, x := range []struct{ e, o *end }{{n.a, n.b}, {n.b, n.a}} {
		x.e.node.host.Peerstore().AddAddrs(x.o.id, x.o.node.circuitAddrs(), time.Hour)
		x.e.join(x.o)
	}
	waitFor(n.t, 3*time.Second, "paths", func() bool { return n.a.hasPath(n.b) && n.b.hasPath(n.a) })
}

func (n *pathNet) kinds() [2]link.Kind {
	return [2]link.Kind{n.a.Path(n.b.id).Kind, n.b.Path(n.a.id).Kind}
}

// missing are the packets of talk that didn't arrive, of n.
func (e *end) missing(o *end, n int) (list []int) {
	got := map[int]bool{}
	for _, v := range e.voices(o.id) {
		var i int
		if _, err := fmt.Sscanf(v.data, "%d ", &i); err == nil {
			got[i] = true
		}
	}
	for i := range n {
		if !got[i] {
			list = append(list, i)
		}
	}
	return list
}

// Two that met through a relay and can reach each other do so, and nothing said
// meanwhile is lost.
func TestFromTheRelayToTheDirectWayNothingIsLost(t *testing.T) {
	inPathNet(t, 1, nil, Config{}, func(t *testing.T, net *pathNet) {
		net.meet()
		const packets = 500
		defer net.b.talkBeside(net.a, packets, 20*time.Millisecond)()
		net.a.talk(net.b, packets, 20*time.Millisecond)
		time.Sleep(time.Second)
		if k := net.kinds(); k != [2]link.Kind{link.Direct, link.Direct} {
			t.Errorf("paths are %v", k)
		}
		if lost := net.b.missing(net.a, packets); len(lost) > 0 {
			t.Errorf("packets %v were lost", lost)
		}
		if gap := net.b.longestGap(net.a); gap > 80*time.Millisecond {
			t.Errorf("nothing arrived for %v", gap)
		}
	})
}

func TestABlackHoleIsLeftForTheRelay(t *testing.T) {
	for name, both := range map[string]bool{"one talks": false, "both talk": true} {
		t.Run(name, func(t *testing.T) {
			inPathNet(t, 1, nil, Config{}, func(t *testing.T, net *pathNet) {
				net.meet()
				const packets = 1000
				if both {
					defer net.b.talkBeside(net.a, packets, 20*time.Millisecond)()
				}
				defer net.a.talkBeside(net.b, packets, 20*time.Millisecond)()
				time.Sleep(8 * time.Second)
				if k := net.kinds(); k != [2]link.Kind{link.Direct, link.Direct} {
					t.Fatalf("paths are %v", k)
				}
				net.apart()
				time.Sleep(3 * time.Second)
				if net.a.Path(net.b.id).Kind != link.Relayed {
					t.Errorf("path is %v", net.a.Path(net.b.id))
				}
				time.Sleep(7 * time.Second)
				if gap := net.b.longestGap(net.a); gap > time.Second {
					t.Errorf("nothing arrived for %v", gap)
				}
				net.Unbar(1, 2)
				waitFor(t, 90*time.Second, "the direct way", func() bool { return net.kinds() == [2]link.Kind{link.Direct, link.Direct} })
			})
		})
	}
}

// libp2p's own limits: 128 KiB and two minutes.
func TestALimitedRelayLastsAConversation(t *testing.T) {
	inPathNet(t, 1, relay.DefaultResources().Limit, Config{}, func(t *testing.T, net *pathNet) {
		net.apart()
		net.meet()
		const packets = 50 * 60 * 5
		defer net.b.talkBeside(net.a, packets, 20*time.Millisecond)()
		net.a.talk(net.b, packets, 20*time.Millisecond)
		time.Sleep(time.Second)
		for _, x := range []struct{ e, o *end }{{net.a, net.b}, {net.b, net.a}} {
			if lost := x.e.missing(x.o, packets); len(lost) > 0 {
				t.Errorf("%d packets were lost, the first is %d; %+v", len(lost), lost[0], x.o.Stats(x.e.id))
			}
			if gap := x.e.longestGap(x.o); gap > 200*time.Millisecond {
				t.Errorf("nothing arrived for %v", gap)
			}
		}
		if n := net.a.Stats(net.b.id).PathChanges; n < 5 {
			t.Errorf("%d changes of path: the relay can't have cut", n)
		}
		// One circuit carries what the other does: nothing is said over both.
		if n := net.b.Stats(net.a.id).VoiceDuplicate; n != 0 {
			t.Errorf("%d packets came twice", n)
		}
		open := 0
		for _, c := range net.a.node.conns(net.b.id) {
			if !c.IsClosed() {
				open++
			}
		}
		if open > 4 {
			t.Errorf("%d connections are open in the end", open)
		}
	})
}

func TestADeadRelayIsLeftForAnother(t *testing.T) {
	inPathNet(t, 2, nil, Config{}, func(t *testing.T, net *pathNet) {
		net.apart()
		net.meet()
		const packets = 600
		defer net.a.talkBeside(net.b, packets, 20*time.Millisecond)()
		time.Sleep(4 * time.Second)
		used := net.a.used(net.b)
		for i := range 2 {
			if net.Host(i).ID() == used {
				net.Cut(i)
			}
		}
		time.Sleep(5 * time.Second)
		if now := net.a.used(net.b); now == used || now == "" {
			t.Errorf("the relay is %q, and was %q", now, used)
		}
		if gap := net.b.longestGap(net.a); gap > 3*time.Second {
			t.Errorf("nothing arrived for %v", gap)
		} else {
			t.Logf("nothing arrived for %v", gap)
		}
	})
}

// used is the relay of the path to a peer.
func (e *end) used(o *end) peer.ID {
	p := e.pair(o.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.best == nil {
		return ""
	}
	return relayOf(p.best.conn.RemoteMultiaddr())
}

func TestTheOnlyRelayIsRestarted(t *testing.T) {
	inPathNet(t, 1, nil, Config{}, func(t *testing.T, net *pathNet) {
		net.apart()
		net.meet()
		const packets = 800
		defer net.a.talkBeside(net.b, packets, 20*time.Millisecond)()
		time.Sleep(4 * time.Second)
		if _, err := net.Restart(0, 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		net.relay(0)
		time.Sleep(8 * time.Second)
		gap := net.b.longestGap(net.a)
		t.Logf("nothing arrived for %v", gap)
		if !net.a.hasPath(net.b) || gap > 5*time.Second {
			t.Errorf("nothing arrived for %v, path %v", gap, net.a.Path(net.b.id))
		}
	})
}

func TestPoliciesAboutRelays(t *testing.T) {
	t.Run("only", func(t *testing.T) {
		inPathNet(t, 1, nil, Config{Relaying: OnlyRelayed}, func(t *testing.T, net *pathNet) {
			net.meet()
			net.a.talk(net.b, 1000, 20*time.Millisecond)
			if k := net.kinds(); k != [2]link.Kind{link.Relayed, link.Relayed} {
				t.Errorf("paths are %v", k)
			}
			for _, a := range net.a.node.ownAddrs() {
				if !isCircuit(a) {
					t.Errorf("the peer was told %v", a)
				}
			}
			for _, c := range net.a.node.conns(net.b.id) {
				if !isCircuit(c.RemoteMultiaddr()) {
					t.Errorf("there is a connection with %v", c.RemoteMultiaddr())
				}
			}
		})
	})
	t.Run("never", func(t *testing.T) {
		inPathNet(t, 1, nil, Config{Relaying: NeverRelayed}, func(t *testing.T, net *pathNet) {
			net.apart()
			r := infoOf(net.Host(0))
			for _, x := range []struct{ e, o *end }{{net.a, net.b}, {net.b, net.a}} {
				x.e.node.host.Peerstore().AddAddrs(x.o.id, x.o.node.relays.circuitAddrs(), time.Hour)
				x.e.join(x.o)
			}
			ctx := network.WithAllowLimitedConn(t.Context(), "test")
			_ = net.a.node.host.Connect(ctx, peer.AddrInfo{ID: net.b.id}) // the application's own business
			time.Sleep(10 * time.Second)
			if k := net.kinds(); k != [2]link.Kind{link.None, link.None} {
				t.Errorf("paths through %v are %v", r.ID, k)
			}
			net.Unbar(1, 2)
			net.a.node.host.Peerstore().AddAddrs(net.b.id, net.b.node.host.Addrs(), time.Hour)
			waitFor(t, 60*time.Second, "the direct way", func() bool { return net.kinds() == [2]link.Kind{link.Direct, link.Direct} })
		})
	})
}

// After some minutes on a relay the direct way is tried rarely, but at once when
// the network is another.
func TestADirectWayIsTriedAtOnceWhenTheNetworkChanges(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: a quarter of an hour's packets, and nothing concurrent that other tests don't have")
	}
	inPathNet(t, 1, nil, Config{}, func(t *testing.T, net *pathNet) {
		net.apart()
		net.meet()
		defer net.b.talkBeside(net.a, 50*60*16, 20*time.Millisecond)()
		time.Sleep(15 * time.Minute)
		p := net.a.pair(net.b.id)
		waitFor(t, 10*time.Minute, "a rest between two attempts", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return !p.seek.running && time.Until(p.seek.at) >= 15*time.Second
		})
		if why := net.a.Path(net.b.id).Reason; !strings.Contains(why, "failed") {
			t.Errorf("the path is relayed because: %q", why)
		}
		net.Unbar(1, 2)
		net.a.node.mu.Lock()
		net.a.node.observed = []ma.Multiaddr{ma.StringCast("/ip4/1.0.9.9/udp/8000/quic-v1")} // seen by a relay
		net.a.node.mu.Unlock()
		net.a.node.refreshAddrs()
		waitFor(t, 5*time.Second, "the direct way", func() bool { return net.kinds() == [2]link.Kind{link.Direct, link.Direct} })
	})
}

// A search that is under way when the network becomes another is given up, with
// all that it dials: it looks for the peer where it isn't, or from where we aren't.
func TestASearchUnderWayIsGivenUpWhenSomebodyMoves(t *testing.T) {
	seen := func(e *end, addr string) {
		e.node.mu.Lock()
		e.node.observed = []ma.Multiaddr{ma.StringCast(addr)}
		e.node.mu.Unlock()
		e.node.refreshAddrs()
	}
	for _, who := range []string{"we", "the peer"} {
		t.Run(who, func(t *testing.T) {
			inPathNet(t, 1, nil, Config{}, func(t *testing.T, net *pathNet) {
				net.apart()
				net.meet()
				defer net.b.talkBeside(net.a, 60*50, 20*time.Millisecond)()
				time.Sleep(20 * time.Second)
				p := net.a.pair(net.b.id)
				mover := map[string]*end{"we": net.a, "the peer": net.b}[who]
				var ctx context.Context
				waitFor(t, 30*time.Second, "a search", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					ctx = p.place.ctx
					return p.seek.running
				})
				time.Sleep(500 * time.Millisecond) // it dials
				seen(mover, "/ip4/1.0.9.9/udp/8000/quic-v1")
				time.Sleep(200 * time.Millisecond)
				p.mu.Lock()
				defer p.mu.Unlock()
				if ctx.Err() == nil || !p.seek.running || p.seek.again || p.seek.tries != 0 {
					t.Errorf("the search was given up: %t, and now %+v", ctx.Err() != nil, p.seek)
				}
			})
		})
	}
}

// A peer that moves all the time, or says so, has us search once a second, nearly.
func TestAPeerThatMovesAllTheTimeCostsLittle(t *testing.T) {
	now := time.Unix(1000, 0)
	p := &pair{ctx: t.Context(), place: newPlace(t.Context()), wake: make(chan struct{}, 1)}
	began := 0
	for i := range 6000 { // a minute
		now = now.Add(10 * time.Millisecond)
		b := encodeWhereabouts(whereabouts{addrs: []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/1.0.9.9/udp/%d/quic-v1", 1000+i))}})
		if !p.addrsLocked(b, now) {
			t.Fatal("it makes no sense")
		}
		if !now.Before(p.seek.at) { // it begins, and finds nothing at once
			began++
			p.seek.at = now.Add(aimDirect.rest(p.seek.tries + 1))
		}
	}
	if began < 10 || began > 80 {
		t.Errorf("%d searches in a minute", began)
	}
}

// A stream of an earlier stay may overtake none of a later one, and then the peer
// takes the stay that lasts for the one that is over.
func TestAnEpochThatThePeerTakesForOverIsReplaced(t *testing.T) {
	inBubble(t, p2ptest.Config{}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		before := b.Path(a.id).Epoch
		p := a.pair(b.id)
		p.lock()
		p.farLeftLocked()
		p.tell(time.Now())
		p.deliver.Unlock()
		waitFor(t, 10*time.Second, "a path again", func() bool { return a.hasPath(b) && b.hasPath(a) })
		if b.Path(a.id).Epoch == before {
			t.Error("the one whose epoch was replaced isn't told to greet anew")
		}
		const packets = 100
		a.talk(b, packets, 20*time.Millisecond)
		b.talk(a, packets, 20*time.Millisecond)
		time.Sleep(time.Second)
		if n, m := len(b.voices(a.id)), len(a.voices(b.id)); n != packets || m != packets {
			t.Errorf("%d and %d of %d packets arrived", n, m, packets)
		}
	})
}
