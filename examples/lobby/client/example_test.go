package client_test

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// Two members of a room, on a lobby of their own.
func ExampleJoin() {
	run := func() error {
		here, err := libp2p.New(libp2p.ListenAddrStrings(p2ptest.QUIC, p2ptest.TCP), libp2p.DisableMetrics())
		if err != nil {
			return err
		}
		defer here.Close()
		lobby := server.New(here, server.Config{})
		defer lobby.Close()
		where := peer.AddrInfo{ID: here.ID(), Addrs: here.Addrs()}
		room := client.NewCode()

		join := func(name string) (*client.Client, func(), error) {
			h, err := libp2p.New(libp2p.ListenAddrStrings(p2ptest.QUIC), libp2p.DisableMetrics())
			if err != nil {
				return nil, nil, err
			}
			c, err := client.Join(context.Background(), h, client.Config{Lobby: where, Room: room, Name: name})
			if err != nil {
				return nil, nil, fmt.Errorf("%w, %w", err, h.Close())
			}
			return c, func() {
				_ = c.Close()
				_ = h.Close()
			}, nil
		}
		anna, closeAnna, err := join("Anna")
		if err != nil {
			return err
		}
		defer closeAnna()
		_, closeBen, err := join("Ben")
		if err != nil {
			return err
		}
		first := (<-anna.Events()).(client.Joined) // voice.PeerJoined(first.Peer)
		fmt.Println(first.Name, "joined")
		closeBen()
		second := (<-anna.Events()).(client.Left) // voice.PeerLeft(second.Peer)
		fmt.Println(second.Peer == first.Peer, second.Reason)
		return nil
	}
	if err := run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Ben joined
	// true left
}

func ExampleNormalizeCode() {
	code, err := client.NormalizeCode(" LUSAB babad\tGutih")
	fmt.Println(code, err, client.WeakCode(code))
	code, err = client.NormalizeCode("Friday")
	fmt.Println(code, err, client.WeakCode(code))
	// Output:
	// lusab-babad-gutih <nil> false
	// friday <nil> true
}
