package p2p

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

// stopcock carries one TCP connection until it is shut; then it holds back
// everything, as a suspended process does.
type stopcock struct {
	addr multiaddr.Multiaddr
	shut chan struct{}
}

func newStopcock(t *testing.T, to net.Addr) *stopcock {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := &stopcock{addr: addr, shut: make(chan struct{})}
	var wg sync.WaitGroup
	var near, far net.Conn
	wg.Go(func() {
		if near, err = l.Accept(); err != nil {
			return
		}
		if far, err = net.Dial("tcp", to.String()); err != nil {
			return
		}
		wg.Go(func() { c.carry(near, far) })
		wg.Go(func() { c.carry(far, near) })
	})
	t.Cleanup(func() {
		_ = l.Close()
		for _, conn := range []net.Conn{near, far} {
			if conn != nil {
				_ = conn.Close()
			}
		}
		wg.Wait()
	})
	return c
}

func (c *stopcock) carry(from io.Reader, to io.Writer) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-c.shut:
			return
		default:
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// The application fills a TCP connection to a peer that doesn't read any more:
// nothing of ours waits for it, neither when the peer is left nor at the end.
func TestAFullConnectionDelaysNoEnd(t *testing.T) {
	ha, hb := p2ptest.Loopback(t, p2ptest.TCP), p2ptest.Loopback(t, p2ptest.TCP)
	hb.SetStreamHandler("/bulk", func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	addr, err := manet.ToNetAddr(hb.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	cock := newStopcock(t, addr)
	if err := ha.Connect(context.Background(), peer.AddrInfo{ID: hb.ID(), Addrs: []multiaddr.Multiaddr{cock.addr}}); err != nil {
		t.Fatal(err)
	}
	na, nb := newEndOn(t, ha, Config{}), newEndOn(t, hb, Config{})
	na.join(nb)
	nb.join(na)
	waitFor(t, 5*time.Second, "paths", func() bool { return na.hasPath(nb) && nb.hasPath(na) })

	// Voice and bulk, until neither gets through.
	var wg sync.WaitGroup
	var streams []network.Stream
	for range 40 {
		s, err := ha.NewStream(context.Background(), hb.ID(), "/bulk")
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	close(cock.shut)
	for _, s := range streams {
		_ = s.SetWriteDeadline(time.Now().Add(time.Second))
		wg.Go(func() { _, _ = s.Write(make([]byte, 1<<20)) })
	}
	talked := na.talkBeside(nb, 75, 20*time.Millisecond)
	wg.Wait()
	talked()
	quick := func(what string, most time.Duration, f func()) {
		t.Helper()
		begin := time.Now()
		f()
		if took := time.Since(begin); took > most {
			t.Errorf("%s took %v", what, took)
		}
	}
	quick("Leave", 200*time.Millisecond, func() { _ = na.Leave(nb.id) })
	na.join(nb)
	_ = na.SendControl(nb.id, []byte("bye"))
	quick("Transport.Close", 800*time.Millisecond, func() { _ = na.Close() })
	quick("Node.Close", 800*time.Millisecond, func() { _ = na.node.Close() })
	_ = ha.Close()
}

// The same with a relay: its death is noticed, and nothing waits for it.
func TestAFullConnectionWithARelayDelaysNoEnd(t *testing.T) {
	ha := p2ptest.Loopback(t, p2ptest.TCP, libp2p.EnableRelay())
	hr := p2ptest.Loopback(t, p2ptest.TCP)
	newRelay(t, hr)
	hr.SetStreamHandler("/bulk", func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	addr, err := manet.ToNetAddr(hr.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	cock := newStopcock(t, addr)
	n, err := New(ha, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	changed, stop := n.relays.watch()
	defer stop()
	defer n.relays.use(hr.ID())()
	n.SetRelays([]peer.AddrInfo{{ID: hr.ID(), Addrs: []multiaddr.Multiaddr{cock.addr}}})
	<-changed
	if !n.isLive(hr.ID()) {
		t.Fatalf("status %+v", n.Relays())
	}
	var wg sync.WaitGroup
	var streams []network.Stream
	for range 40 {
		s, err := ha.NewStream(context.Background(), hr.ID(), "/bulk")
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	close(cock.shut)
	for _, s := range streams {
		wg.Go(func() { _, _ = s.Write(make([]byte, 1<<20)) }) // ends with the connection
	}
	begin := time.Now()
	select {
	case <-changed:
		t.Logf("noticed after %v", time.Since(begin))
	case <-time.After(10 * time.Second):
		t.Fatal("the death isn't noticed")
	}
	begin = time.Now()
	_ = n.Close()
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("Close took %v", took)
	}
	_ = ha.Close()
	wg.Wait()
}
