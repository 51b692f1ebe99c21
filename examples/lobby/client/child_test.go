package client_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// childEnv holds the lobby's address in a process that is a member and nothing
// else.
const childEnv = "PARLEY_TEST_LOBBY_MEMBER"

// childMember joins the lobby, says who it is, and stays until its standard
// input ends.
func childMember(lobby string) error {
	to, err := peer.AddrInfoFromString(lobby)
	if err != nil {
		return err
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings(p2ptest.QUIC), libp2p.DisableMetrics())
	if err != nil {
		return err
	}
	defer h.Close()
	c, err := client.Join(context.Background(), h, client.Config{Lobby: *to, Room: room})
	if err != nil {
		return err
	}
	fmt.Println(h.ID(), c.Stats().OwnConnection)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return c.Close()
}
