package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Times of keeping a reservation.
const (
	relayConnect   = 3 * time.Second        // one attempt to connect
	relayAnswer    = 5 * time.Second        // for a relay to answer a request
	relayRest      = 250 * time.Millisecond // first rest after a failure; doubled with each, ±20 %
	relayRestMost  = 10 * time.Second
	relayEager     = time.Minute             // after a relay was lost or named
	relayRestEager = 1500 * time.Millisecond // longest rest between attempts to connect in that time
	relaySteady    = 10 * time.Second        // a reservation that lasts less counts as a failure
	renewSoonest   = 5 * time.Second
	renewLatest    = 5 * time.Minute // relays' clocks may be wrong, and they may forget
)

var (
	errRelaySilent  = errors.New("the relay doesn't answer")
	errRelayCircuit = errors.New("the relay is reached through another relay only")
	errNoCircuits   = errors.New("our own host has no relay transport")
)

// keptRelay is one relay and the reservation there.
type keptRelay struct {
	rs     *relays
	id     peer.ID
	ctx    context.Context
	cancel context.CancelFunc
	kick   chan struct{} // something changed

	// The mu of relays guards these.
	addrs   []ma.Multiaddr // configured
	renamed bool           // addrs changed since the last attempt
	up      bool           // reserved and connected
	state   relayState
	reason  string // why it isn't up

	// These belong to run.
	failures int
	down     time.Time // since when it isn't up
	heard    time.Time // last sign of life
	renewAt  time.Time
}

func newKeptRelay(rs *relays, id peer.ID) *keptRelay {
	k := &keptRelay{rs: rs, id: id, kick: make(chan struct{}, 1), reason: "not asked yet"}
	k.ctx, k.cancel = context.WithCancel(rs.ctx)
	return k
}

func (k *keptRelay) host() host.Host { return k.rs.node.host }

// stateLocked returns the state of a live relay.
func (k *keptRelay) stateLocked(now time.Time) (relayState, bool) {
	if !k.up || !now.Before(k.state.Expiry) {
		return relayState{}, false
	}
	s := k.state
	s.Addrs = slices.Clone(s.Addrs)
	return s, true
}

// run connects, reserves and renews until the relay is no longer kept.
func (k *keptRelay) run() {
	defer k.cancel()
	defer k.lost("closed")
	k.down = time.Now()
	for k.ctx.Err() == nil {
		held, err := k.reserve()
		if k.ctx.Err() != nil {
			return
		}
		if err != nil {
			k.failed(err)
			k.rest(k.restAfter(err))
			continue
		}
		since := time.Now()
		k.hold(held)
		if len(k.conns()) == 0 {
			k.lost("not connected")
		}
		if time.Since(since) >= relaySteady {
			k.failures = 0
			continue
		}
		k.failures++
		k.rest(k.restAfter(nil))
	}
}

// reserve connects if need be and asks for a reservation. It returns the
// connections that there were then: as long as they last the relay knows us.
func (k *keptRelay) reserve() ([]network.Conn, error) {
	k.rs.mu.Lock()
	k.renamed = false
	k.rs.mu.Unlock()
	held := k.conns()
	switch {
	case !slices.Contains(k.host().Mux().Protocols(), proto.ProtoIDv2Stop):
		return nil, errNoCircuits
	case len(held) == 0:
		var err error
		if held, err = k.connect(); err != nil {
			return nil, err
		}
	case time.Since(k.heard) > relayProbeFast:
		if held = k.probe(held); len(held) == 0 {
			return nil, errRelaySilent
		}
	}
	ctx, cancel := context.WithTimeout(k.ctx, relayAnswer)
	defer cancel()
	r, err := client.Reserve(ctx, boundedHost{k.host(), k.rs.node}, peer.AddrInfo{ID: k.id})
	var refused client.ReservationError
	if err == nil || errors.As(err, &refused) && refused.Status != circuitpb.Status_CONNECTION_FAILED {
		k.heard = time.Now()
	}
	if err != nil {
		return nil, err
	}
	k.reserved(r)
	return held, nil
}

// connect makes a direct connection. WithForceDirectDial passes over the
// swarm's back-off, which refuses for 5 s and more.
func (k *keptRelay) connect() ([]network.Conn, error) {
	k.rs.mu.Lock()
	addrs := k.addrs
	k.rs.mu.Unlock()
	ctx, cancel := context.WithTimeout(k.ctx, relayConnect)
	defer cancel()
	ctx = network.WithForceDirectDial(ctx, "relay")
	if err := k.host().Connect(ctx, peer.AddrInfo{ID: k.id, Addrs: addrs}); err != nil {
		return nil, err
	}
	k.heard = time.Now()
	held := k.conns()
	if len(held) == 0 {
		return nil, errRelayCircuit
	}
	return held, nil
}

// conns are the open direct connections with the relay.
func (k *keptRelay) conns() []network.Conn {
	return slices.DeleteFunc(slices.Clone(k.host().Network().ConnsToPeer(k.id)), func(c network.Conn) bool {
		return c.IsClosed() || isCircuit(c.RemoteMultiaddr())
	})
}

// reserved takes a reservation over.
func (k *keptRelay) reserved(r *client.Reservation) {
	now := time.Now()
	k.renewAt = now.Add(min(max(r.Expiration.Sub(now)/3*2, renewSoonest), renewLatest))
	k.rs.mu.Lock()
	s := relayState{ID: k.id, Expiry: r.Expiration, LimitData: r.LimitData, LimitDuration: r.LimitDuration}
	s.Addrs = slices.Clone(k.addrs)
	for _, a := range r.Addrs {
		if manet.IsPublicAddr(a) {
			s.Addrs = addRelayAddr(s.Addrs, a, k.id)
		}
	}
	before, was := k.stateLocked(now)
	news := !was || !slices.EqualFunc(before.Addrs, s.Addrs, ma.Multiaddr.Equal)
	k.up, k.state, k.reason = true, s, ""
	k.rs.mu.Unlock()
	if !news {
		return
	}
	k.rs.node.cfg.Logger.Info("relay is live", "relay", k.id, "until", r.Expiration, "bytes", r.LimitData, "for", r.LimitDuration)
	k.rs.tell()
}

// lost takes note that the relay isn't live.
func (k *keptRelay) lost(reason string) {
	k.rs.mu.Lock()
	was := k.up
	k.up, k.reason = false, reason
	k.rs.mu.Unlock()
	if !was {
		return
	}
	k.down = time.Now()
	k.rs.node.cfg.Logger.Info("relay is lost", "relay", k.id, "reason", reason)
	k.rs.tell()
}

// failed takes note of an attempt without success. A reservation that we still
// hold, on a connection that still lives, isn't lost by a failed renewal.
func (k *keptRelay) failed(err error) {
	k.failures++
	reason := relayFailure(err)
	k.rs.node.cfg.Logger.Debug("no reservation", "relay", k.id, "reason", reason, "error", err)
	k.rs.mu.Lock()
	_, live := k.stateLocked(time.Now())
	k.rs.mu.Unlock()
	if !live || len(k.conns()) == 0 {
		k.lost(reason)
	}
}

// relayFailure says in words why there is no reservation.
func relayFailure(err error) string {
	var refused client.ReservationError
	switch {
	case errors.Is(err, errRelaySilent), errors.Is(err, errRelayCircuit), errors.Is(err, errNoCircuits):
		return err.Error()
	case errors.Is(err, swarm.ErrDialRefusedBlackHole):
		return "not connected: our own host has stopped dialing over UDP or IPv6, since most of its dials failed"
	case !errors.As(err, &refused):
		return "not connected: " + dialFailure(err)
	case refused.Status == circuitpb.Status_CONNECTION_FAILED:
		return "it is no relay, or doesn't answer"
	case refused.Status == circuitpb.Status_RESERVATION_REFUSED, refused.Status == circuitpb.Status_RESOURCE_LIMIT_EXCEEDED:
		return "refused: the relay has no room"
	case refused.Status == circuitpb.Status_PERMISSION_DENIED:
		return "refused: the relay doesn't serve us"
	}
	return fmt.Sprintf("the relay's answer is of no use: %s", refused.Reason)
}

// restAfter is how long to wait after a failure.
func (k *keptRelay) restAfter(err error) time.Duration {
	d := min(relayRest<<min(max(k.failures-1, 0), 10), relayRestMost)
	var refused client.ReservationError
	if err != nil && !errors.As(err, &refused) && time.Since(k.down) < relayEager {
		d = min(d, relayRestEager)
	}
	return d*4/5 + rand.N(d*2/5)
}

// rest waits, at most until a connection appears that somebody else made, or
// other addresses to dial.
func (k *keptRelay) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	connected := len(k.conns())
	for {
		select {
		case <-timer.C:
			return
		case <-k.ctx.Done():
			return
		case <-k.kick:
			if k.hasNewAddrs() || len(k.conns()) > connected {
				return
			}
		}
	}
}

func (k *keptRelay) hasNewAddrs() bool {
	k.rs.mu.Lock()
	defer k.rs.mu.Unlock()
	return k.renamed
}

// hold keeps the reservation until it is to be renewed or made anew.
func (k *keptRelay) hold(held []network.Conn) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		conns := k.conns()
		for _, c := range held {
			if !slices.Contains(conns, c) {
				return // the relay forgot us with its last connection
			}
		}
		probeAt := k.heard.Add(k.probeEvery())
		switch {
		case !now.Before(k.renewAt), k.hasNewAddrs():
			return
		case !now.Before(probeAt):
			if len(k.probe(conns)) < len(conns) {
				return
			}
			continue
		}
		timer.Reset(earlier(probeAt, k.renewAt).Sub(now))
		select {
		case <-timer.C:
		case <-k.kick:
		case <-k.ctx.Done():
			return
		}
	}
}

// boundedHost opens streams that end with their context: client.Reserve waits
// for a minute otherwise, whatever its context says.
type boundedHost struct {
	host.Host
	node *Node
}

func (h boundedHost) NewStream(ctx context.Context, p peer.ID, pids ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(network.WithNoDial(ctx, "relay"), p, pids...)
	if err != nil {
		return nil, err
	}
	b := &boundedStream{Stream: s, node: h.node}
	b.stop = context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	return b, nil
}

type boundedStream struct {
	network.Stream
	node *Node
	stop func() bool
}

// SetDeadline does nothing: the context is the deadline.
func (s *boundedStream) SetDeadline(time.Time) error { return nil }

// Close ends a stream that is done with, without waiting.
func (s *boundedStream) Close() error { return s.Reset() }

func (s *boundedStream) Reset() error {
	s.stop()
	s.node.reset(s.Stream, 0)
	return nil
}
