package p2p

import (
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	connectionmgr "github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/p2p/p2ptest"
)

// found says which of the words are in a Problem, Warning or Note.
func found(h host.Host, severity Severity, words string) bool {
	for _, f := range CheckHost(h) {
		if strings.Contains(f.What, words) && f.Severity == severity && f.WhatToDo != "" {
			return true
		}
	}
	return false
}

// limited is a resource manager of libp2p's with few of something.
func limited(t *testing.T, change func(*rcmgr.PartialLimitConfig), options ...rcmgr.Option) libp2p.Option {
	t.Helper()
	p := rcmgr.PartialLimitConfig{}
	change(&p)
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(p.Build(rcmgr.DefaultLimits.AutoScale())), options...)
	if err != nil {
		t.Fatal(err)
	}
	return libp2p.ResourceManager(m)
}

func TestCheckHostFindsWhatIsMissing(t *testing.T) {
	watermarks, err := connmgr.NewConnManager(10, 20)
	if err != nil {
		t.Fatal(err)
	}
	onQUIC := libp2p.ChainOptions(libp2p.Transport(quic.NewTransport), libp2p.ListenAddrStrings(p2ptest.QUIC))
	onTCP := libp2p.ChainOptions(libp2p.Transport(tcp.NewTCPTransport), libp2p.ListenAddrStrings(p2ptest.TCP))
	noUDP := &swarm.BlackHoleSuccessCounter{N: 100, MinSuccesses: 5, Name: "UDP"}
	for range 100 {
		noUDP.RecordResult(false)
	}
	for _, c := range []struct {
		severity Severity
		words    string
		lacking  libp2p.Option
	}{
		{Problem, "refuses to dial over QUIC", libp2p.UDPBlackHoleSuccessCounter(noUDP)},
		{Problem, "no QUIC transport", onTCP},
		{Warning, "no TCP transport", onQUIC},
		{Warning, "doesn't listen on TCP", libp2p.ListenAddrStrings(p2ptest.QUIC)},
		{Warning, "doesn't listen on QUIC", libp2p.ListenAddrStrings(p2ptest.TCP)},
		{Warning, "listens nowhere", libp2p.NoListenAddrs},
		{Problem, "no relay transport", libp2p.DisableRelay()},
		{Note, "no resource limits", libp2p.ResourceManager(&network.NullResourceManager{})},
		{Problem, "allows 20 connections in all", limited(t, func(p *rcmgr.PartialLimitConfig) { p.System.Conns = 20 })},
		{Problem, "allows 100 streams each way in all", limited(t, func(p *rcmgr.PartialLimitConfig) { p.System.StreamsInbound = 100 })},
		{Problem, "allows 99 streams each way of " + ProtocolID, limited(t, func(p *rcmgr.PartialLimitConfig) { p.ProtocolDefault.StreamsOutbound = 99 })},
		{Problem, "allows 9 streams each way with one peer", limited(t, func(p *rcmgr.PartialLimitConfig) { p.PeerDefault.StreamsInbound = 9 })},
		{Problem, "allows 1 connections with one peer", limited(t, func(p *rcmgr.PartialLimitConfig) { p.PeerDefault.Conns = 1 })},
		{Warning, "allows 8 connections with one peer", limited(t, func(*rcmgr.PartialLimitConfig) {})},
		{Problem, "allows 8 connections with one IP address: no more than 7 peers", limited(t, func(*rcmgr.PartialLimitConfig) {})},
		{Problem, "allows 3 connections with one IP address", limited(t, func(*rcmgr.PartialLimitConfig) {},
			rcmgr.WithLimitPerSubnet([]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 3}}, nil))},
		{Warning, "when there are more than 20, down to 10", libp2p.ConnectionManager(watermarks)},
	} {
		good := newHost(t, nil, hostOptions(t, HostConfig{}))
		if found(good, c.severity, c.words) {
			t.Errorf("a good host has %q", c.words)
		}
		if h := newHost(t, []libp2p.Option{c.lacking}, hostOptions(t, HostConfig{})); !found(h, c.severity, c.words) {
			t.Errorf("%s %q isn't found: %+v", c.severity, c.words, CheckHost(h))
		}
	}
	if !found(nil, Problem, "no host") {
		t.Error("a nil host is no problem")
	}
}

// Whoever has one public address as far as it knows punches holes.
func TestCheckHostSeesHolePunching(t *testing.T) {
	const words = "hole punching is off"
	if h := newHost(t, []libp2p.Option{libp2p.ListenAddrStrings(p2ptest.QUIC)}, hostOptions(t, HostConfig{})); !found(h, Note, words) {
		t.Error("nothing is said about a host that knows no public address")
	}
	h := newHost(t, []libp2p.Option{libp2p.ListenAddrStrings(p2ptest.QUIC), libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr {
		return []ma.Multiaddr{ma.StringCast("/ip4/11.0.0.1/udp/4001/quic-v1")}
	})}, hostOptions(t, HostConfig{}))
	waitFor(t, 20*time.Second, "hole punching", func() bool { return !found(h, Note, words) })
}

func TestCheckHostLeavesNothingTaken(t *testing.T) {
	h := newHost(t, nil, nil)
	for range 30 { // more often than the limits would allow
		if !found(h, Problem, "allows 8 connections with one IP address") {
			t.Fatalf("found %+v", CheckHost(h))
		}
	}
	s := h.Network().ResourceManager().(rcmgr.ResourceManagerState).Stat()
	if s.System.NumConnsInbound != 0 || s.Transient.NumConnsInbound != 0 {
		t.Errorf("left: %+v and %+v", s.System, s.Transient)
	}
}

// foreign is a host whose parts offer what the interfaces say and no more.
type foreign struct{ host.Host }

func (h foreign) Network() network.Network { return foreignNetwork{h.Host.Network()} }

func (h foreign) ConnManager() connectionmgr.ConnManager {
	return struct{ connectionmgr.ConnManager }{h.Host.ConnManager()}
}

type foreignNetwork struct{ network.Network }

func (n foreignNetwork) ResourceManager() network.ResourceManager {
	return struct{ network.ResourceManager }{n.Network.ResourceManager()}
}

func TestCheckHostReportsOnlyWhatItSees(t *testing.T) {
	watermarks, err := connmgr.NewConnManager(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, []libp2p.Option{
		libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableRelay(), libp2p.ConnectionManager(watermarks),
		libp2p.ListenAddrStrings(p2ptest.TCP), limited(t, func(*rcmgr.PartialLimitConfig) {}),
	}, nil)
	if !found(h, Problem, "transport") || !found(h, Warning, "connection manager") {
		t.Errorf("found %+v", CheckHost(h))
	}
	if f := (foreign{h}); found(f, Problem, "transport") || found(f, Warning, "connection manager") ||
		!found(f, Problem, "allows 8 connections with one IP address") || !found(f, Warning, "doesn't listen on QUIC") {
		t.Errorf("found %+v", CheckHost(f))
	}
}
