package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// Client is a member of a room. Its methods are safe for concurrent use.
type Client struct {
	host  host.Host
	cfg   Config
	lobby peer.ID

	ctx    context.Context // ends with the client: by Close, or by itself
	cancel context.CancelFunc
	wg     sync.WaitGroup // runClient, runHostConn, runWatcher

	events     *eventQueue
	pumpCtx    context.Context // ended by Close
	cancelPump context.CancelFunc
	pump       sync.WaitGroup // runPump, which delivers the last word of a client that ended by itself

	changed chan struct{} // holds one if our addresses may have changed
	addrsMu sync.Mutex    // one call of Config.Addresses at a time

	mu     sync.Mutex // guards what follows
	roster *roster
	stats  Stats
}

// Stats is what a client counted since it joined, and how it is connected.
type Stats struct {
	Connected      bool
	OwnConnection  bool   // presence runs over a TCP connection of its own
	Lost           uint64 // times that the lobby was lost
	Updates        uint64 // times that our addresses changed
	BadRecords     uint64 // members that the lobby named and that didn't sign their record
	TooMany        uint64 // members beyond 1024, refused
	StreamsRefused uint64 // streams that the lobby opened on our own connection
	Queued         int    // events that nobody has read yet
	Coalesced      uint64 // events that were needless when nobody had read those before
}

// Join joins a room and returns when the lobby has said who is in it: Members
// holds them, and Events begins with a Joined for each. It fails if the lobby
// can't be reached or refuses; ctx bounds only Join itself. The caller must
// Close the client.
func Join(ctx context.Context, h host.Host, cfg Config) (*Client, error) {
	if err := cfg.complete(h); err != nil {
		return nil, err
	}
	c := &Client{
		host: h, cfg: cfg, lobby: cfg.Lobby.ID,
		events: newEventQueue(), changed: make(chan struct{}, 1), roster: newRoster(h.ID()),
	}
	sub, err := h.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated), eventbus.BufSize(256), eventbus.Name("parley-lobby"))
	if err != nil {
		return nil, fmt.Errorf("client: subscribe to the host's addresses: %w", err)
	}
	l, err := c.connect(ctx)
	if err != nil {
		_ = sub.Close()
		return nil, err
	}
	h.ConnManager().Protect(c.lobby, c.protectTag())
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.pumpCtx, c.cancelPump = context.WithCancel(context.Background())
	c.enter(l)
	c.pump.Go(func() { c.events.runPump(c.pumpCtx) })
	c.wg.Go(func() { c.runWatcher(sub) })
	c.wg.Go(c.runHostConn)
	c.wg.Go(func() {
		defer sub.Close() //nolint:errcheck // never fails
		c.runClient(l)
	})
	return c, nil
}

func (c *Client) protectTag() string { return protectPrefix + c.cfg.Room }

// Events returns the channel on which all events come, in order; it is the same
// one at each call. It is closed after Close, and after a LobbyLost that is
// Final. An application that doesn't read misses nothing of consequence: what
// waits is bounded, since a Left takes away the Joined before it.
func (c *Client) Events() <-chan Event { return c.events.out }

// Members returns who is in the room now, in the order of their peer IDs; Events
// may still be about to say so.
func (c *Client) Members() []Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roster.sorted()
}

// Room returns the room's code, normalised.
func (c *Client) Room() string { return c.cfg.Room }

// Stats returns what was counted.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.BadRecords, s.TooMany = c.roster.badRecords, c.roster.tooMany
	s.Queued, s.Coalesced = c.events.stats()
	return s
}

// Close leaves the room and ends the client. It takes at most a second, and
// nobody is said to have left. Calls after the first only wait.
func (c *Client) Close() error {
	c.cancel()
	c.cancelPump()
	c.wg.Wait()
	c.pump.Wait()
	return nil
}

// runClient lives as long as the client: in the lobby, or on the way back to
// it.
func (c *Client) runClient(l *link) {
	defer c.host.ConnManager().Unprotect(c.lobby, c.protectTag())
	for {
		better, reason := c.attend(l)
		l.close()
		if better != nil {
			l = better
			c.enter(l)
			continue
		}
		if errors.Is(reason, errSilent) {
			l.drop()
		}
		lost := c.noteLost(l, reason)
		if c.ctx.Err() != nil {
			return
		}
		c.cfg.Logger.Info("lobby lost", "reason", lost.Reason, "final", lost.Final)
		c.events.push(lost)
		if lost.Final {
			c.events.end()
			c.cancel()
			return
		}
		if l = c.comeBack(reason); l == nil {
			return
		}
		c.enter(l)
		c.events.push(LobbyBack{})
		c.cfg.Logger.Info("lobby back", "own connection", l.conn != nil)
	}
}

// noteLost counts, and says what the application is to be told.
func (c *Client) noteLost(l *link, reason error) LobbyLost {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Connected, c.stats.OwnConnection = false, false
	c.stats.StreamsRefused += l.refused
	if c.ctx.Err() == nil {
		c.stats.Lost++
	}
	lost := LobbyLost{Reason: "the connection to the lobby ended"}
	var refused *refusal
	switch {
	case errors.As(reason, &refused):
		lost.Reason = printable(refused.bye.GetText())
		lost.Final = refused.bye.GetCode() == lobbywire.Code_REPLACED
	case errors.Is(reason, errSilent):
		lost.Reason = "the lobby doesn't answer"
	}
	return lost
}

// comeBack tries until the lobby lets the client in again. It returns nil if the
// client is closed before.
func (c *Client) comeBack(reason error) *link {
	wait := minBackoff
	for {
		pause := wait
		if refused := (*refusal)(nil); errors.As(reason, &refused) && refused.bye.GetCode() != lobbywire.Code_SHUTDOWN {
			pause = refusedAgain
		}
		if !c.pause(pause) {
			return nil
		}
		l, err := c.connect(c.ctx)
		if err == nil {
			return l
		}
		c.cfg.Logger.Debug("lobby not back yet", "error", err)
		reason, wait = err, min(2*wait, maxBackoff)
	}
}

// pause waits for about d, or a little if our addresses change meanwhile: that
// may be another network. It reports whether the client still lives.
func (c *Client) pause(d time.Duration) bool {
	end := time.Now().Add(jitter(d))
	changed := c.changed
	for {
		timer := time.NewTimer(time.Until(end))
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-changed:
			timer.Stop()
			changed = nil
			if soon := time.Now().Add(jitter(minBackoff)); soon.Before(end) {
				end = soon
			}
		}
	}
}

// jitter is d, more or less by a quarter.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) }

// enter takes what the lobby said on joining.
func (c *Client) enter(l *link) {
	c.mu.Lock()
	events := c.roster.list(l.welcome, l.list)
	l.list = nil
	c.stats.Connected, c.stats.OwnConnection = true, l.conn != nil
	c.mu.Unlock()
	c.announce(l, events)
}

// announce notes addresses, then has events delivered.
func (c *Client) announce(l *link, events []Event) {
	if !c.cfg.NoPeerstore {
		for _, e := range events {
			c.note(e, l.welcome.GetRelay())
		}
	}
	c.events.push(events...)
}

// runWatcher passes on that the host's addresses changed. It ends with the
// subscription.
func (c *Client) runWatcher(sub event.Subscription) {
	for range sub.Out() {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// runHostConn keeps the host connected to the lobby beside the presence: from
// it the host learns how it looks from outside, and there is its relay.
func (c *Client) runHostConn() {
	wait := time.Second
	for {
		if c.host.Network().Connectedness(c.lobby) != network.Connected {
			ctx, cancel := context.WithTimeout(c.ctx, 2*dialTimeout)
			err := c.connectHost(ctx)
			cancel()
			if wait = min(2*wait, 30*time.Second); err == nil {
				wait = time.Second
			}
		}
		timer := time.NewTimer(wait + rand.N(wait/2))
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
