package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
)

// A relay that answers, one that isn't there, and a peer that isn't either.
func TestDoctorSaysWhatWorksAndWhatDoesNot(t *testing.T) {
	public, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	r, err := relay.New(public, relay.WithResources(p2p.RelayResources()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	nobody, err := parseInfos([]string{"/ip4/127.0.0.1/udp/9/quic-v1/p2p/12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s"})
	if err != nil {
		t.Fatal(err)
	}
	opt := &options{
		key:    filepath.Join(t.TempDir(), "key"),
		listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
		relays: append(nobody, peer.AddrInfo{ID: public.ID(), Addrs: public.Addrs()}),
		peers:  []identity.Peer{{ID: public.ID()}},
	}
	var said strings.Builder
	if err = diagnose(t.Context(), opt, 2*time.Second, &said); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Relay " + public.ID().String() + " answers over UDP and takes us in (1048576 KiB and 12h0m0s a connection)",
		"Relay " + nobody[0].ID.String() + " doesn't serve us: ",
		"A call to " + public.ID().String() + " isn't possible now. There is no way to it: peer does not speak this protocol",
		"own network settings are in order",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %s", want)
		}
	}
	if t.Failed() {
		t.Log(said.String())
	}
}
