package p2p

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	routedhost "github.com/libp2p/go-libp2p/p2p/host/routed"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestAHostHasOneNode(t *testing.T) {
	h := p2ptest.Loopback(t, p2ptest.QUIC)
	offered := func() bool { return slices.Contains(h.Mux().Protocols(), protocol.ID(ProtocolID)) }
	a, err := New(h, Config{})
	if err != nil || !offered() {
		t.Fatalf("%v, protocol offered: %v", err, offered())
	}
	if _, err := New(h, Config{}); !errors.Is(err, ErrNodeExists) {
		t.Errorf("a second New: %v", err)
	}
	b, err := Shared(h, Config{})
	if err != nil || a != b {
		t.Errorf("Shared gives another node, %v", err)
	}
	_ = a.Close()
	if !offered() {
		t.Error("the protocol went with the first of two uses")
	}
	if _, err := b.Session(strings.Repeat("x", 65)); !errors.Is(err, ErrSessionName) {
		t.Errorf("a long name: %v", err)
	}
	_ = b.Close()
	_ = b.Close() // harmless
	if offered() {
		t.Error("the protocol is offered after the last use")
	}
	if _, err := b.Session(""); !errors.Is(err, ErrNodeClosed) {
		t.Errorf("a session of a closed node: %v", err)
	}
	c, err := Shared(h, Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// An application may wrap its host, to find peers by a DHT for example, and pass
// now the one and now the other.
func TestAWrappedHostIsTheSameHost(t *testing.T) {
	h := p2ptest.Loopback(t, p2ptest.QUIC)
	a, err := New(h, Config{})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := routedhost.Wrap(h, nil)
	if _, err := New(wrapped, Config{}); !errors.Is(err, ErrNodeExists) {
		t.Errorf("New of the wrapped host: %v", err)
	}
	if b, err := Shared(wrapped, Config{}); err != nil || b != a {
		t.Errorf("Shared gives another node for the wrapped host, %v", err)
	} else {
		_ = b.Close()
	}
	_ = a.Close()
}

func TestNoHostIsAnError(t *testing.T) {
	if _, err := New(nil, Config{}); !errors.Is(err, ErrNoHost) {
		t.Errorf("New: %v", err)
	}
	if _, err := Shared(nil, Config{}); !errors.Is(err, ErrNoHost) {
		t.Errorf("Shared: %v", err)
	}
}

// tardy is a host that takes its time to remove a handler.
type tardy struct{ host.Host }

func (h tardy) RemoveStreamHandler(id protocol.ID) {
	time.Sleep(time.Millisecond)
	h.Host.RemoveStreamHandler(id)
}

// A node that ends while the next one begins must not take that one's handler
// with it.
func TestCloseBesideNewLeavesTheHandler(t *testing.T) {
	h := tardy{p2ptest.Loopback(t, p2ptest.QUIC)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				n, err := Shared(h, Config{})
				if err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
				if !slices.Contains(h.Mux().Protocols(), protocol.ID(ProtocolID)) {
					t.Error("the protocol of a node in use is not offered")
				}
				_ = n.Close()
			}
		})
	}
	wg.Wait()
}

func TestCloseLeavesNothing(t *testing.T) {
	inBubble(t, p2ptest.Config{Hosts: 3}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b, c := e[0], e[1], e[2]
		joined(t, net, a, b)
		connect(t, net, 2, 0)
		c.join(a) // held by a
		a.talk(b, 50, 20*time.Millisecond)
		protected := func() bool { return net.Host(0).ConnManager().IsProtected(b.id, "parley/") }
		if !protected() || a.streams(b) < 2 || a.streams(c) != 1 {
			t.Fatalf("protected %v, %d and %d streams", protected(), a.streams(b), a.streams(c))
		}
		start := time.Now()
		_ = a.node.Close()
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		synctest.Wait()
		if protected() || a.streams(b) != 0 || a.streams(c) != 0 {
			t.Errorf("protected %v, %d and %d streams are left", protected(), a.streams(b), a.streams(c))
		}
		_, _ = b.node.Close(), c.node.Close()
		synctest.Wait()
		buf := make([]byte, 4<<20)
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "parley/p2p.(*") || strings.Contains(g, "go-multistream.(*lazy") {
				t.Errorf("left:\n%s", g)
			}
		}
		if err := a.SendVoice(b.id, nil); !errors.Is(err, link.ErrClosed) {
			t.Errorf("SendVoice after Close: %v", err)
		}
	})
}

func TestJoinedPeersAreDialledAndDialledAgain(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		// The one that dials first; of two who do so in the same instant both may get through.
		first, second := 0, 1
		if e[1].id < e[0].id {
			first, second = 1, 0
		}
		a, b := e[first], e[second]
		a.join(b)
		b.join(a)
		time.Sleep(5 * time.Second)
		if p := a.Path(b.id); p.Reason != "not connected: no address of the peer is known" {
			t.Errorf("path %+v", p)
		}
		net.Introduce(first, second)
		waitFor(t, 3*time.Second, "the dial", func() bool { return a.hasPath(b) && b.hasPath(a) })
		if n := len(net.Host(first).Network().ConnsToPeer(b.id)); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		// The far host is away for 20 s, and reached within 2 s.
		net.Cut(second)
		if err := net.Disconnect(first, second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if p := a.Path(b.id); !strings.HasPrefix(p.Reason, "not connected: dialing failed") {
			t.Errorf("path %+v", p)
		}
		time.Sleep(10 * time.Second)
		_ = net.Disconnect(second, first)
		net.Restore(second)
		took := waitFor(t, 2*time.Second, "the peer to be reached again", func() bool { return a.hasPath(b) && b.hasPath(a) })
		t.Logf("reached after %v", took)
	})
}

func TestNoDialLeavesConnectingToTheApplication(t *testing.T) {
	inBubble(t, p2ptest.Config{}, Config{NoDial: true, NoProtect: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		net.Introduce(0, 1)
		a.join(b)
		time.Sleep(10 * time.Second)
		if n := len(net.Host(0).Network().ConnsToPeer(b.id)); n != 0 {
			t.Errorf("%d connections were made", n)
		}
		if net.Host(0).ConnManager().IsProtected(b.id, "parley/") {
			t.Error("the peer is protected")
		}
	})
}

func TestStatsAddUpUnderLoss(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 40 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		joined(t, net, a, b)
		net.SetBurstLoss(0, 0.15, 4)
		net.SetBurstLoss(1, 0.15, 4)
		accepted := a.talk(b, 1500, 20*time.Millisecond)
		net.SetLoss(0, 0)
		net.SetLoss(1, 0)
		time.Sleep(3 * time.Second)
		s, r := a.Stats(b.id), b.Stats(a.id)
		t.Logf("accepted %d, sender %+v, receiver %+v", accepted, s, r)
		if s.VoiceSent+s.VoiceDropped != 1500 || int(s.VoiceSent) > accepted {
			t.Errorf("%d sent and %d dropped of 1500, %d of them accepted", s.VoiceSent, s.VoiceDropped, accepted)
		}
		if n := len(b.voices(a.id)); int(r.VoiceReceived) != n || r.VoiceReceived > s.VoiceSent || r.VoiceReceived < 1000 {
			t.Errorf("%d received, %d delivered, %d sent", r.VoiceReceived, n, s.VoiceSent)
		}
		if r.VoiceDuplicate != 0 || s.Malformed+r.Malformed != 0 || s.VoiceUnacked != 0 {
			t.Errorf("sender %+v, receiver %+v", s, r)
		}
		if s.BytesSent < r.BytesReceived-1000 || r.BytesReceived < 80*r.VoiceReceived {
			t.Errorf("%d bytes sent, %d received", s.BytesSent, r.BytesReceived)
		}
	})
}

func TestAnotherConnectionTakesOver(t *testing.T) {
	inBubble(t, p2ptest.Config{Delay: 30 * time.Millisecond}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		var wg sync.WaitGroup
		wg.Go(func() { _ = net.Connect(0, 1) })
		wg.Go(func() { _ = net.Connect(1, 0) })
		wg.Wait()
		conns := net.Host(0).Network().ConnsToPeer(b.id)
		if len(conns) != 2 {
			t.Fatalf("%d connections, want 2", len(conns))
		}
		a.join(b)
		b.join(a)
		waitFor(t, time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
		defer a.talkBeside(b, 200, 20*time.Millisecond)()
		time.Sleep(time.Second)
		pr := a.pair(b.id)
		pr.mu.Lock()
		used := pr.best.conn
		pr.mu.Unlock()
		for range 5 {
			_ = a.SendControl(b.id, []byte("x"))
		}
		_ = used.Close()
		time.Sleep(2 * time.Second)
		changes, _ := b.changes(a.id)
		for _, c := range changes {
			if c.Epoch != changes[0].Epoch {
				t.Error("the epoch changed with the connection")
			}
		}
		if n := len(b.controls(a.id)); n != 5 {
			t.Errorf("%d of 5 control messages arrived", n)
		}
		if n := len(b.voices(a.id)); n < 130 {
			t.Errorf("%d of about 150 packets arrived over both connections", n)
		}
		if p := a.Path(b.id); p.Kind == link.None {
			t.Errorf("path %+v", p)
		}
	})
}

func TestReasonOfAHostThatWasClosed(t *testing.T) {
	ha, hb := p2ptest.Loopback(t, p2ptest.QUIC), p2ptest.Loopback(t, p2ptest.QUIC)
	a, b := newEndOn(t, ha, Config{}), newEndOn(t, hb, Config{})
	ha.Peerstore().AddAddrs(b.id, hb.Addrs(), time.Hour)
	a.join(b)
	b.join(a)
	waitFor(t, 5*time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
	_ = ha.Close()
	waitFor(t, 5*time.Second, "a reason", func() bool { return a.Path(b.id).Reason == "not connected: our own host is closed" })
}

// Where both know each other's addresses only the smaller peer ID makes a handshake,
// also where that takes longer than the larger one waits for it to begin.
func TestOneOfTwoWhoKnowEachOtherDials(t *testing.T) {
	for name, cfg := range map[string]p2ptest.Config{
		"quick": {Delay: 10 * time.Millisecond},
		"thin":  {Delay: 30 * time.Millisecond, BitsPerSecond: 60e3},
		"far":   {Delay: 350 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.HostOptions = func(int) []libp2p.Option { return hostOptions(t, HostConfig{NoHolePunching: true}) }
			inBubble(t, cfg, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
				net.Introduce(0, 1)
				net.Introduce(1, 0)
				dials := [2]bool{}
				look := func() {
					for i, o := range []*end{e[1], e[0]} {
						_ = net.Host(i).Network().ResourceManager().ViewPeer(o.id, func(s network.PeerScope) error {
							dials[i] = dials[i] || s.Stat().NumConnsOutbound > 0
							return nil
						})
					}
				}
				e[0].join(e[1])
				e[1].join(e[0])
				took := waitFor(t, 6*time.Second, "both to be reached", func() bool {
					look()
					return e[0].hasPath(e[1]) && e[1].hasPath(e[0])
				})
				for range 10_000 {
					time.Sleep(time.Millisecond)
					look()
				}
				for i, o := range []*end{e[1], e[0]} {
					if smaller := e[i].id < o.id; dials[i] != smaller {
						t.Errorf("end %d, smaller %v, dialed: %v", i, smaller, dials[i])
					}
					if n := len(net.Host(i).Network().ConnsToPeer(o.id)); n != 1 {
						t.Errorf("end %d has %d connections, want 1", i, n)
					}
				}
				t.Logf("reached after %v, %d bytes sent", took, net.Bytes(0).IPBytesSent())
			})
		})
	}
}

// Often only one of two knows where the other is, by an invitation say. It is the
// larger peer ID that has to dial then in half of all cases, and nobody waits for that.
func TestWhoAloneKnowsTheOtherDialsSoon(t *testing.T) {
	for _, smaller := range []bool{true, false} {
		inBubble(t, p2ptest.Config{Delay: 10 * time.Millisecond}, Config{}, func(t *testing.T, net *p2ptest.Network, e []*end) {
			knows := 0
			if (e[0].id < e[1].id) != smaller {
				knows = 1
			}
			net.Introduce(knows, 1-knows)
			e[0].join(e[1])
			e[1].join(e[0])
			if took := waitFor(t, 6*time.Second, "both to be reached", func() bool { return e[0].hasPath(e[1]) && e[1].hasPath(e[0]) }); took > 600*time.Millisecond {
				t.Errorf("reached after %v if only one knows the other's address, the smaller one: %v; want 600 ms at most", took, smaller)
			}
		})
	}
}
