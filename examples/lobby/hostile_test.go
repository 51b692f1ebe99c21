package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	relayclient "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
)

// Whoever floods the relay is refused, is counted, and isn't noticed by two who
// talk through it.
func TestHostileUseOfTheRelayDisturbsNobody(t *testing.T) {
	address := freePort(t)
	p := start(t, keyFile(t), "--metrics", address)
	talk := throughRelay(t, p)

	someone := randomPeer(t)
	for _, attack := range []struct {
		what string
		do   func(ctx context.Context, stranger host.Host)
	}{
		{"streams that say nothing", func(ctx context.Context, stranger host.Host) {
			for range 500 {
				hop(ctx, stranger, p.info.ID, nil)
			}
		}},
		{"garbage", func(ctx context.Context, stranger host.Host) {
			junk := make([]byte, 4096)
			_, _ = rand.Read(junk)
			for range 300 {
				hop(ctx, stranger, p.info.ID, junk)
			}
		}},
		{"a message of 10 MB", func(ctx context.Context, stranger host.Host) {
			huge := binary.AppendUvarint(nil, 10<<20)
			for range 20 {
				hop(ctx, stranger, p.info.ID, append(huge, make([]byte, 1<<20)...))
			}
		}},
		{"circuits to somebody who isn't there", func(ctx context.Context, stranger host.Host) {
			for range 300 {
				hop(ctx, stranger, p.info.ID, hopConnect(someone))
			}
		}},
		{"circuits to somebody who is", func(ctx context.Context, stranger host.Host) {
			for range 300 {
				hop(ctx, stranger, p.info.ID, hopConnect(talk.to))
			}
		}},
		{"reservations by one", func(ctx context.Context, stranger host.Host) {
			for range 300 {
				_, _ = relayclient.Reserve(ctx, stranger, p.info)
			}
		}},
		{"reservations by many at one address", func(ctx context.Context, _ host.Host) {
			for range 80 {
				_, _ = relayclient.Reserve(ctx, newPeer(t), p.info)
			}
		}},
	} {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		stranger := newPeer(t)
		if err := stranger.Connect(ctx, p.info); err != nil {
			t.Fatal(err)
		}
		attack.do(ctx, stranger)
		cancel()
		t.Logf("%s: %v; the longest gap of the talk is %v", attack.what, time.Since(began).Round(time.Millisecond), talk.longest())
	}
	said := talk.count()
	waitFor(t, 10*time.Second, "a second more of the talk", func() bool { return talk.count() >= said+50 })
	if gap := talk.end(); gap > time.Second || gap == 0 {
		t.Errorf("the two heard nothing of each other for %v", gap)
	}
	text := scrape(t, address)
	for _, name := range []string{"connection_rejections_total", "reservation_rejections_total"} {
		sum := 0.0
		for _, m := range regexp.MustCompile(`(?m)^libp2p_relaysvc_`+name+`\{.*\} (\S+)$`).FindAllStringSubmatch(text, -1) {
			n, _ := strconv.ParseFloat(m[1], 64)
			sum += n
		}
		if sum == 0 {
			t.Errorf("no %s are counted in\n%s", name, text)
		}
	}
}

// talk is a conversation of two through a relay.
type talk struct {
	t    testing.TB
	to   peer.ID
	stop context.CancelFunc
	over sync.WaitGroup

	mu    sync.Mutex // guards what follows
	last  time.Time  // when something came back
	worst time.Duration
	heard int
}

// count is how often something came back.
func (k *talk) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.heard
}

// throughRelay has a peer say something to another 50 times a second, and that
// say it back, until end.
func throughRelay(t *testing.T, p *program) *talk {
	t.Helper()
	a, b := newPeer(t), newPeer(t)
	if _, err := relayclient.Reserve(t.Context(), b, p.info); err != nil {
		t.Fatal(err)
	}
	b.SetStreamHandler("/echo", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	ctx, cancel := context.WithCancel(t.Context())
	connect(ctx, a, p.info, b.ID())
	s, err := a.NewStream(network.WithAllowLimitedConn(ctx, "test"), b.ID(), "/echo")
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{t: t, to: b.ID(), last: time.Now()}
	k.stop = func() { cancel(); _ = s.Reset() }
	k.over.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if _, err := s.Write(make([]byte, 80)); err != nil {
				return
			}
		}
	})
	k.over.Go(func() {
		var frame [80]byte
		for {
			if _, err := io.ReadFull(s, frame[:]); err != nil {
				return
			}
			now := time.Now()
			k.mu.Lock()
			k.worst, k.last = max(k.worst, now.Sub(k.last)), now
			k.heard++
			k.mu.Unlock()
		}
	})
	return k
}

// longest is for how long nothing came back at most, until now.
func (k *talk) longest() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.worst, time.Since(k.last))
}

func (k *talk) end() time.Duration {
	gap := k.longest()
	k.stop()
	k.over.Wait()
	return gap
}

// hop opens a stream for the relay, writes something and leaves it open.
func hop(ctx context.Context, h host.Host, relay peer.ID, b []byte) {
	s, err := h.NewStream(ctx, relay, proto.ProtoIDv2Hop)
	if err != nil {
		return
	}
	_ = s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = s.Write(b)
}

// hopConnect is the message that asks a relay for a circuit to a peer: a HopMessage
// of type CONNECT with the peer's ID (libp2p's circuit relay v2 specification).
func hopConnect(to peer.ID) []byte {
	id := append([]byte{0x0a, byte(len(to))}, to...)
	message := append([]byte{0x08, 1, 0x12, byte(len(id))}, id...)
	return append([]byte{byte(len(message))}, message...)
}

// connect connects to a peer through a relay.
func connect(ctx context.Context, h host.Host, relay peer.AddrInfo, to peer.ID) {
	var through []ma.Multiaddr
	for _, a := range relay.Addrs {
		through = append(through, ma.StringCast(fmt.Sprintf("%s/p2p/%s/p2p-circuit", a, relay.ID)))
	}
	_ = h.Connect(ctx, peer.AddrInfo{ID: to, Addrs: through})
}

func randomPeer(t *testing.T) peer.ID {
	t.Helper()
	_, public, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
