package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// errNoConnection is the error of a stream to a peer whose only connections
// serve the lobby.
var errNoConnection = errors.New("server: no connection but the lobby's own")

// RelayHost is the lobby's host as a relay on it has to see it: streams to
// members aren't opened on connections that serve the lobby alone, for which
// the swarm might choose, and on which members refuse them.
func (s *Server) RelayHost() host.Host { return &relayHost{s.host, s} }

type relayHost struct {
	host.Host
	s *Server
}

// NewStream implements host.Host.
func (h *relayHost) NewStream(ctx context.Context, id peer.ID, ids ...protocol.ID) (network.Stream, error) {
	var other network.Conn
	own := false
	for _, c := range h.Network().ConnsToPeer(id) {
		switch {
		case h.s.isOwn(c):
			own = true
		case !c.IsClosed():
			other = c
		}
	}
	switch {
	case !own:
		return h.Host.NewStream(ctx, id, ids...)
	case other == nil:
		return nil, errNoConnection
	}
	return openOn(ctx, other, ids)
}

func (s *Server) isOwn(c network.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ownConns[ownKey{c.RemotePeer(), c.ID()}] > 0
}

// openOn opens a stream on that connection.
func openOn(ctx context.Context, c network.Conn, ids []protocol.ID) (network.Stream, error) {
	st, err := c.NewStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("server: open a stream: %w", err)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Second)
	}
	_ = st.SetDeadline(deadline)
	chosen, err := multistream.SelectOneOf(ids, st)
	if err == nil {
		err = st.SetProtocol(chosen)
	}
	if err != nil {
		_ = st.Reset()
		return nil, fmt.Errorf("server: choose the protocol: %w", err)
	}
	_ = st.SetDeadline(time.Time{})
	return st, nil
}
