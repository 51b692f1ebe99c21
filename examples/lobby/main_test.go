package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	relayclient "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

const room = "lusab-babad-gutih"

func TestALobbyKeepsItsIdentityAndItsMembers(t *testing.T) {
	key := keyFile(t)
	first := start(t, key)
	_, a := newMember(t, first.info, room)
	hb, b := newMember(t, first.info, room)
	next[client.Joined](t, a, 5*time.Second)
	next[client.Joined](t, b, 5*time.Second)

	if d := first.terminate(t); d > 2*time.Second {
		t.Errorf("it ended after %v", d)
	}
	if e := next[client.LobbyLost](t, a, 5*time.Second); e.Reason != "the lobby is shutting down" || e.Final {
		t.Errorf("%+v", e)
	}
	second := start(t, key, first.listenSame()...)
	if second.info.ID != first.info.ID {
		t.Fatalf("another identity: %s, %s", second.info.ID, first.info.ID)
	}
	next[client.LobbyBack](t, a, 10*time.Second)
	next[client.LobbyLost](t, b, 5*time.Second)
	next[client.LobbyBack](t, b, 10*time.Second)

	// Killed, it says nothing, and members come back all the same.
	second.kill()
	next[client.LobbyLost](t, a, 6*time.Second)
	next[client.LobbyLost](t, b, 6*time.Second)
	start(t, key, first.listenSame()...)
	next[client.LobbyBack](t, a, 10*time.Second)
	next[client.LobbyBack](t, b, 10*time.Second)
	_ = b.Close()
	if e := next[client.Left](t, a, 5*time.Second); e.Peer != hb.ID() || e.Reason != client.SaidSo {
		t.Errorf("%+v", e)
	}
}

// Members reach each other through the lobby's relay, though each of them has a
// connection to the lobby that must not be used for that.
func TestMembersReachEachOtherThroughTheRelay(t *testing.T) {
	p := start(t, keyFile(t))
	hb, b := newMember(t, p.info, room)
	if _, err := relayclient.Reserve(context.Background(), hb, p.info); err != nil {
		t.Fatal(err)
	}
	hb.SetStreamHandler("/echo", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	ha, a := newMember(t, p.info, room)
	next[client.Joined](t, a, 5*time.Second)
	if !a.Stats().OwnConnection || !b.Stats().OwnConnection {
		t.Fatal("no connections of their own")
	}
	var circuits []ma.Multiaddr
	for _, addr := range ha.Peerstore().Addrs(hb.ID()) {
		if _, err := addr.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			circuits = append(circuits, addr)
		}
	}
	for n := range 5 { // at any time, and not by luck
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		ha.Peerstore().ClearAddrs(hb.ID())
		ha.Peerstore().AddAddrs(hb.ID(), circuits, time.Hour)
		if err := ha.Connect(ctx, peer.AddrInfo{ID: hb.ID()}); err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		s, err := ha.NewStream(network.WithAllowLimitedConn(ctx, "test"), hb.ID(), "/echo")
		if err != nil {
			t.Fatal(err)
		}
		if !s.Conn().Stat().Limited {
			t.Errorf("a direct connection: %s", s.Conn().RemoteMultiaddr())
		}
		sent := strings.Repeat("voice", 60_000) // 300 kB: more than libp2p's default of 128 KiB
		go func() {
			_, _ = io.WriteString(s, sent)
			_ = s.CloseWrite()
		}()
		got, err := io.ReadAll(s)
		if err != nil || string(got) != sent {
			t.Fatalf("%d bytes came back: %v", len(got), err)
		}
		cancel()
		_ = ha.Network().ClosePeer(hb.ID())
	}
}

func TestRelayLimitsCanBeLowered(t *testing.T) {
	p := start(t, keyFile(t), "--relay-limit-data", "4096", "--relay-limit-duration", "7s")
	h := newPeer(t)
	r, err := relayclient.Reserve(context.Background(), h, p.info)
	if err != nil {
		t.Fatal(err)
	}
	if r.LimitData != 4096 || r.LimitDuration != 7*time.Second {
		t.Errorf("%+v", r)
	}
	none := start(t, keyFile(t), "--no-relay")
	if r, err := relayclient.Reserve(context.Background(), h, none.info); err == nil {
		t.Errorf("a relay: %+v", r)
	}
}

// Dozens of people behind one NAT; libp2p's own limit is 8 connections. The
// loopback interface is exempt from such limits, so this asks the manager.
func TestManyMayComeFromOneAddress(t *testing.T) {
	h, err := newHost(&options{key: filepath.Join(t.TempDir(), "key"), listen: []string{p2ptest.QUIC}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	m := h.Network().ResourceManager()
	nat := ma.StringCast("/ip4/11.1.2.3/tcp/4001")
	open := 0
	for range 8 * maxAtOneAddress {
		scope, err := m.OpenConnection(network.DirInbound, true, nat)
		if err != nil {
			break
		}
		defer scope.Done()
		if err := scope.SetPeer(peer.ID(rune(1000 + open))); err != nil {
			t.Fatal(err)
		}
		open++
	}
	if open < 2*maxAtOneAddress || open > 2*maxAtOneAddress+16 {
		t.Errorf("%d connections from one address, want two for each of %d", open, maxAtOneAddress)
	}
	scope, err := m.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/11.1.2.4/tcp/4001"))
	if err != nil {
		t.Fatalf("and from another: %v", err)
	}
	scope.Done()
}

func TestMetricsSayWhatWasRefused(t *testing.T) {
	address := freePort(t)
	p := start(t, keyFile(t), "--metrics", address, "--peer-rooms", "1")
	h, a := newMember(t, p.info, room)
	_, err := client.Join(context.Background(), h, client.Config{Lobby: p.info, Room: "another room"})
	if !errors.Is(err, client.ErrRefused) {
		t.Fatalf("%v, want ErrRefused", err)
	}
	has := func(text string, lines ...string) {
		t.Helper()
		for _, l := range lines {
			if !strings.Contains(text, "\n"+l+"\n") {
				t.Errorf("no %q", l)
			}
		}
	}
	waitFor(t, 2*time.Second, "the refused stream to end", func() bool { return strings.Contains(scrape(t, address), "\nparley_lobby_own_connections 1\n") })
	has(scrape(t, address), "parley_lobby_members 1", "parley_lobby_rooms 1", "parley_lobby_joins_total 1",
		`parley_lobby_refused_total{reason="peer_rooms"} 1`, `parley_lobby_refused_total{reason="slow"} 0`, "libp2p_relaysvc_status 1")
	_ = a.Close()
	has(scrape(t, address), "parley_lobby_members 0", `parley_lobby_departures_total{how="left"} 1`)
}

func TestWhatItPrints(t *testing.T) {
	p := start(t, keyFile(t), "--announce", "/ip4/11.9.8.7/udp/4001/quic-v1", "--log-format", "json", "--log-level", "warn")
	addrs := p.with("listening ")
	if len(addrs) != 3 || addrs[0] != "/ip4/11.9.8.7/udp/4001/quic-v1/p2p/"+p.info.ID.String() {
		t.Errorf("%q", addrs)
	}
	want := regexp.MustCompile(`^chat --lobby /ip4/11\.9\.8\.7/udp/4001/quic-v1/p2p/12D3KooW\w+ --room \w{5}-\w{5}-\w{5}$`)
	if got := p.with("join with: "); len(got) != 1 || !want.MatchString(got[0]) {
		t.Errorf("%q, want %s", got, want)
	}
	run := func(args ...string) (string, error) {
		out, err := command(t, args...).Output()
		return string(out), err
	}
	if out, err := run("code"); err != nil || !regexp.MustCompile(`^\w{5}-\w{5}-\w{5}\n$`).MatchString(out) {
		t.Errorf("%q, %v", out, err)
	}
	for _, args := range [][]string{{"--help"}, {"code", "--help"}} {
		if out, err := run(args...); !strings.HasPrefix(out, "lobby ") {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
	for _, args := range [][]string{
		{"--nope"},
		{"extra"},
		{"--listen", "nowhere"},
		{"--announce", "nowhere"},
		{"--log-level", "loud"},
		{"--log-format", "xml"},
		{"--relay-limit-data", "0"},
		{"--relay-limit-duration", "-1s"},
		{"code", "extra"},
		{"--metrics", "nowhere", "--key", keyFile(t)},
	} {
		if out, err := run(args...); err == nil || out != "" {
			t.Errorf("%q: %q, %v; want an error", args, out, err)
		}
	}
}
