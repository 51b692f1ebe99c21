package p2p

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

var (
	goldenAddrs = whereabouts{nat: true, addrs: []ma.Multiaddr{
		ma.StringCast("/ip4/192.168.1.9/udp/4001/quic-v1"), ma.StringCast("/ip4/11.0.0.7/tcp/4001"),
	}}
	goldenPunch = punchMessage{step: punchConnect, id: 300, addrs: goldenAddrs.addrs[1:]}
)

func TestGoldenBytesOfAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		kind  byte
		body  []byte
		parse func([]byte) ([]byte, error) // and write again
	}{
		"frame-addrs": {frameAddrs, encodeWhereabouts(goldenAddrs), func(b []byte) ([]byte, error) {
			w, err := parseWhereabouts(b)
			return encodeWhereabouts(w), err
		}},
		"frame-punch": {framePunch, encodePunch(goldenPunch), func(b []byte) ([]byte, error) {
			m, err := parsePunch(b)
			return encodePunch(m), err
		}},
	} {
		want := golden(t, name)
		if got := appendFrame(nil, frame{kind: c.kind, data: c.body}); !slices.Equal(got, want) {
			t.Errorf("%s is written as %x, want %x", name, got, want)
		}
		f, n, err := parseFrame(want)
		if err != nil || n != len(want) || f.kind != c.kind {
			t.Fatalf("%s parses as %+v, %d, %v", name, f, n, err)
		}
		if again, err := c.parse(f.data); err != nil || !slices.Equal(again, f.data) {
			t.Errorf("%s: the body is written again as %x, %v", name, again, err)
		}
		cutEverywhere(t, name, want, func(b []byte) error { _, _, err := parseFrame(b); return err })
	}
	// A body that is cut is malformed, or holds fewer addresses.
	whole := encodeWhereabouts(goldenAddrs)
	for i := range whole {
		if w, err := parseWhereabouts(whole[:i]); err == nil && len(w.addrs) >= len(goldenAddrs.addrs) {
			t.Errorf("cut at byte %d it holds %v", i, w.addrs)
		}
	}
}

func TestAddressesAreBounded(t *testing.T) {
	var many []ma.Multiaddr
	for i := range 100 {
		many = append(many, ma.StringCast("/ip4/11.0.0."+string(rune('1'+i%9))+"/udp/4001/quic-v1"))
	}
	b := appendAddrs(nil, many)
	got, err := parseAddrs(b)
	if err != nil || len(got) != maxAddrs {
		t.Errorf("%d addresses, %v", len(got), err)
	}
	if _, err = parseAddrs(append(b, b...)); !errors.Is(err, errMalformed) {
		t.Errorf("%d addresses are read: %v", 2*maxAddrs, err)
	}
	if _, err = parseAddrs([]byte{200, 1, 4}); !errors.Is(err, errMalformed) {
		t.Errorf("a length beyond the end is read: %v", err)
	}
	if got, err = parseAddrs([]byte{3, 0xff, 0xff, 0x03}); err != nil || len(got) != 0 {
		t.Errorf("an address of an unknown kind is %v, %v", got, err)
	}
}

func FuzzAddrsAndPunch(f *testing.F) {
	f.Add(encodeWhereabouts(goldenAddrs))
	f.Add(encodePunch(goldenPunch))
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := parseWhereabouts(b); err == nil {
			if len(w.addrs) > maxAddrs {
				t.Fatalf("%d addresses", len(w.addrs))
			}
			again, err := parseWhereabouts(encodeWhereabouts(w))
			if err != nil || again.nat != w.nat || !slices.EqualFunc(again.addrs[:min(len(again.addrs), len(w.addrs))], w.addrs[:len(again.addrs)], ma.Multiaddr.Equal) {
				t.Fatalf("%v is written and read as %v, %v", w, again, err)
			}
			dialable(w.addrs)
			publicAddrs(w.addrs)
			circuitsOf(w.addrs)
			for _, a := range w.addrs {
				relayOf(a)
			}
		}
		if m, err := parsePunch(b); err == nil && (m.step < punchConnect || m.step > punchSync) {
			t.Fatalf("step %d", m.step)
		}
	})
}

// What a peer says of itself may be anybody's address.
func TestOnlyOwnNetworksAreDialed(t *testing.T) {
	var own string
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil && n.IP.IsPrivate() {
			own = "/ip4/" + n.IP.String() + "/udp/9/quic-v1"
		}
	}
	for text, want := range map[string]bool{
		"/ip4/11.1.2.3/udp/4001/quic-v1":    true,
		"/ip4/127.0.0.1/udp/4001/quic-v1":   false,
		"/ip4/0.0.0.0/udp/4001/quic-v1":     false,
		"/ip4/224.0.0.1/udp/4001/quic-v1":   false,
		"/ip4/10.255.77.3/udp/4001/quic-v1": false,
		"/ip6/::1/udp/4001/quic-v1":         false,
		own:                                 true,
	} {
		if text == "" {
			continue // this machine is on no local network
		}
		if got := len(dialable([]ma.Multiaddr{ma.StringCast(text)})) == 1; got != want {
			t.Errorf("%s is dialed: %v", text, got)
		}
	}
}

func TestAddressesOnLocalNetworksCanBeHidden(t *testing.T) {
	h := p2ptest.Loopback(t, "/ip4/0.0.0.0/udp/0/quic-v1")
	local, err := h.Network().InterfaceListenAddresses()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(local, isLANOnly) {
		t.Skip("SKIPPED, nothing was tested: this machine is on no local network")
	}
	for hide, want := range map[bool]bool{false: true, true: false} {
		n, err := New(h, Config{HideLAN: hide})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(n.Addrs(), isLANOnly); got != want {
			t.Errorf("hidden %v: told %v", hide, n.Addrs())
		}
		if err = n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func isLANOnly(a ma.Multiaddr) bool { return isLAN(a) && !manet.IsIPLoopback(a) }

// A frame that makes no sense costs its sender the stream, and nobody else
// anything.
func TestBadAddressesCostTheStream(t *testing.T) {
	for name, body := range map[string]frame{
		"no flags":         {kind: frameAddrs},
		"a cut address":    {kind: frameAddrs, data: []byte{0, 9, 4}},
		"no step":          {kind: framePunch},
		"an unknown step":  {kind: framePunch, data: []byte{9, 1}},
		"a cut attempt":    {kind: framePunch, data: []byte{1, 0x80}},
		"17 addresses":     {kind: frameAddrs, data: append([]byte{0}, make([]byte, 17)...)},
		"a punch of bytes": {kind: framePunch, data: []byte{1, 1, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleWithStranger(t, func(t *testing.T, _ *p2ptest.Network, a, b *end, x stranger) {
				s, _, _ := x.announced(a)
				if _, err := s.Write(appendFrame(nil, body)); err != nil {
					t.Fatal(err)
				}
				if got := x.code(s, time.Second); got != codeMalformed {
					t.Errorf("reset with 0x%x", got)
				}
				if b.talk(a, 10, 20*time.Millisecond) != 10 {
					t.Error("another peer was disturbed")
				}
			})
		})
	}
}

// A peer that begins one attempt at hole punching after another gets few answers.
func TestPunchesAreLimited(t *testing.T) {
	inBubbleWithStranger(t, func(t *testing.T, net *p2ptest.Network, a, _ *end, x stranger) {
		s, _, _ := x.announced(a)
		for i := range 50 {
			m := punchMessage{step: punchConnect, id: uint64(i + 1), addrs: goldenAddrs.addrs}
			if _, err := s.Write(appendFrame(nil, frame{kind: framePunch, data: encodePunch(m)})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		answers := 0
		r := newStreamReader(s)
		_ = s.SetReadDeadline(time.Now().Add(time.Second))
		for {
			f, n, err := parseFrame(r.pending())
			if errors.Is(err, errIncomplete) {
				if _, err = r.fill(); err != nil {
					break
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.kind == framePunch {
				answers++
			}
			r.consume(n)
		}
		if answers == 0 || answers > 4 {
			t.Errorf("%d answers to 50 attempts in a second", answers)
		}
	})
}

// The application's protocols work on a connection that was dialed past the
// swarm, from both ends.
func TestStreamsOfTheApplicationOnAConnectionPastTheSwarm(t *testing.T) {
	inBubble(t, p2ptest.Config{}, Config{NoDial: true}, func(t *testing.T, net *p2ptest.Network, e []*end) {
		a, b := e[0], e[1]
		echo := func(s network.Stream) {
			var buf [5]byte
			if n, err := s.Read(buf[:]); err == nil {
				_, _ = s.Write(buf[:n])
			}
			_ = s.Close()
		}
		for _, x := range e {
			x.node.host.SetStreamHandler("/app/1", echo)
		}
		side, err := a.node.dialSide(t.Context(), b.id, net.Host(1).Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // for identify, which b begins
		if n := len(net.Host(0).Network().ConnsToPeer(b.id)); n != 0 {
			t.Fatalf("a's swarm knows of %d connections", n)
		}
		s, err := net.Host(1).NewStream(t.Context(), a.id, "/app/1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		var buf [5]byte
		if n, err := io.ReadFull(s, buf[:]); err != nil {
			t.Errorf("b reads %q, %v", buf[:n], err)
		}
		_ = s.Reset()
		a.join(b)
		b.join(a)
		waitFor(t, 2*time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
		a.talk(b, 50, 20*time.Millisecond)
		time.Sleep(time.Second)
		if n := len(b.voices(a.id)); n != 50 {
			t.Errorf("%d of 50 packets arrived", n)
		}
		_ = a.Leave(b.id)
		waitFor(t, 2*time.Second, "the connection to be closed", side.IsClosed)
		if n := side.Stat().NumStreams; n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}
