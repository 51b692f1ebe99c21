package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// codeRefused resets streams that the lobby opens on the client's own
// connection.
const codeRefused network.StreamErrorCode = 0x10000

// connect comes into the room: it opens a stream to the lobby, joins, and reads
// the welcome and the list. Errors wrap ErrLobby or are a *refusal.
func (c *Client) connect(ctx context.Context) (*link, error) {
	l, err := c.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLobby, err)
	}
	if err := c.settle(ctx, l); err != nil {
		return nil, err
	}
	return l, nil
}

// settle joins on a link and starts it, or closes it.
func (c *Client) settle(ctx context.Context, l *link) error {
	stop := context.AfterFunc(ctx, func() { _ = l.stream.SetDeadline(time.Now()) })
	err := c.join(l)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.close()
		return err
	}
	l.start()
	return nil
}

// open opens a stream to the lobby: on a TCP connection of its own, or on the
// host's, which is dialled too if the former fails or takes long.
func (c *Client) open(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	hostCtx, cancelHost := context.WithCancel(ctx)
	start, begin := context.WithTimeout(hostCtx, headStart)
	defer begin()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancelHost()
	var errHost error
	wg.Go(func() {
		<-start.Done()
		if errHost = hostCtx.Err(); errHost == nil {
			errHost = c.connectHost(hostCtx)
		}
	})
	l, errTCP := c.openTCP(ctx)
	if errTCP == nil {
		return l, nil
	}
	begin()
	wg.Wait()
	if errHost != nil {
		return nil, errors.Join(errTCP, errHost)
	}
	// The host knows all of the lobby's addresses now, or the lobby was just
	// starting.
	if !errors.Is(errTCP, context.DeadlineExceeded) {
		if l, errTCP = c.openTCP(ctx); errTCP == nil {
			return l, nil
		}
	}
	s, err := c.host.NewStream(network.WithAllowLimitedConn(ctx, "lobby"), c.lobby, lobbywire.ProtocolID)
	if err != nil {
		return nil, errors.Join(errTCP, err)
	}
	return newLink(s, nil), nil
}

var errNoTCP = errors.New("no TCP address of it")

// openTCP dials the lobby by itself, since the host's swarm keeps one
// connection to a peer, and that may be QUIC.
func (c *Client) openTCP(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, tcpTimeout)
	defer cancel()
	conn, err := c.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	s, err := conn.OpenStream(ctx)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l := newLink(s, conn)
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Now()) })
	err = multistream.SelectProtoOrFail(lobbywire.ProtocolID, s)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// dialTCP dials all of the lobby's TCP addresses at once; the first connection
// wins.
func (c *Client) dialTCP(ctx context.Context) (transport.CapableConn, error) {
	sw, ok := c.host.Network().(*swarm.Swarm)
	if !ok {
		return nil, errNoTCP
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn transport.CapableConn
		err  error
	}
	addrs := tcpAddrs(ctx, withSiblings(c.lobbyAddrs()))
	results := make(chan result, len(addrs))
	var wg sync.WaitGroup
	for _, a := range addrs {
		t := sw.TransportForDialing(a)
		if t == nil {
			continue
		}
		wg.Go(func() {
			conn, err := t.Dial(ctx, a, c.lobby)
			if err == nil {
				cancel()
			}
			results <- result{conn, err}
		})
	}
	wg.Wait()
	close(results)
	err := errNoTCP
	var won transport.CapableConn
	for r := range results {
		switch {
		case r.err != nil:
			err = r.err
		case won == nil:
			won = r.conn
		default:
			_ = r.conn.Close()
		}
	}
	if won == nil {
		return nil, err
	}
	return won, nil
}

// connectHost has the host connect to the lobby: from it the host learns how it
// looks from outside, and there is its relay.
func (c *Client) connectHost(ctx context.Context) error {
	if sw, ok := c.host.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(c.lobby) // ours is shorter
	}
	c.host.Peerstore().AddAddrs(c.lobby, withSiblings(c.cfg.Lobby.Addrs), peerstore.RecentlyConnectedAddrTTL)
	return c.host.Connect(ctx, peer.AddrInfo{ID: c.lobby})
}

// lobbyAddrs are all known addresses of the lobby.
func (c *Client) lobbyAddrs() []ma.Multiaddr {
	return append(c.cfg.Lobby.Addrs[:len(c.cfg.Lobby.Addrs):len(c.cfg.Lobby.Addrs)], c.host.Peerstore().Addrs(c.lobby)...)
}

// join writes the join and reads the answer into the link.
func (c *Client) join(l *link) error {
	_ = l.stream.SetDeadline(time.Now().Add(joinTimeout))
	l.told = c.addrs()
	record, err := c.seal(l.told)
	if err != nil {
		return err
	}
	message := &lobbywire.Message{Kind: &lobbywire.Message_Join{Join: &lobbywire.Join{
		Room: c.cfg.Room, Name: c.cfg.Name, Record: record, OwnConnection: l.conn != nil,
	}}}
	// A refusal may be there to be read though writing failed.
	errWrite := l.write(message)
	first, err := l.read()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrLobby, errors.Join(errWrite, err))
	case first.GetBye() != nil:
		return &refusal{first.GetBye()}
	case first.GetWelcome() == nil:
		return fmt.Errorf("%w: it doesn't speak its protocol", ErrLobby)
	}
	l.welcome = first.GetWelcome()
	for {
		m, err := l.read()
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrLobby, err)
		case m.GetBye() != nil:
			return &refusal{m.GetBye()}
		case m.GetMembers() == nil:
			continue // of a later version
		}
		l.list = append(l.list, m.GetMembers().GetMembers()...)
		switch {
		case m.GetMembers().GetLast():
			return nil
		case len(l.list) > maxMembers:
			return fmt.Errorf("%w: more than %d members", ErrLobby, maxMembers)
		}
	}
}

// refusal is why the lobby ends a stream.
type refusal struct{ bye *lobbywire.Bye }

// Error says why. It is for people: a text of the lobby's is made printable.
func (r *refusal) Error() string {
	return fmt.Sprintf("%v: %q (%v)", ErrRefused, r.bye.GetText(), r.bye.GetCode())
}

// Unwrap is ErrRefused.
func (r *refusal) Unwrap() error { return ErrRefused }
