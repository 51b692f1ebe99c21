package p2p

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	mss "github.com/multiformats/go-multistream"
)

// Times of probing relays.
const (
	relayProbeFast   = time.Second             // between probes while a conversation depends on the relay
	relayProbeSlow   = 15 * time.Second        // else
	relayProbeAnswer = 1500 * time.Millisecond // until a probe is repeated; after two of them the connection is closed
)

func (k *keptRelay) probeEvery() time.Duration {
	k.rs.mu.Lock()
	defer k.rs.mu.Unlock()
	if k.rs.using[k.id] > 0 {
		return relayProbeFast
	}
	return relayProbeSlow
}

// probe asks for a sign of life on every connection, closes those on which
// nothing came for 3 s, and returns the others.
func (k *keptRelay) probe(conns []network.Conn) (alive []network.Conn) {
	dead := make([]bool, len(conns))
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { dead[i] = k.silent(c) })
	}
	wg.Wait()
	for i, c := range conns {
		switch {
		case k.ctx.Err() != nil:
			return nil
		case dead[i]:
			k.rs.node.cfg.Logger.Info("connection to relay carries nothing", "relay", k.id, "remote", c.RemoteMultiaddr())
			k.closeDead(c)
		case !c.IsClosed():
			alive = append(alive, c)
			k.heard = time.Now()
		}
	}
	return alive
}

// silent sends a probe, and another one if no answer came in time, and says
// whether both were left without. A late answer is one.
func (k *keptRelay) silent(c network.Conn) bool {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithTimeout(k.ctx, 2*relayProbeAnswer)
	defer cancel()
	unanswered := make(chan bool, 2)
	ask := func() { unanswered <- k.unanswered(ctx, c) }
	wg.Go(ask)
	again := time.NewTimer(relayProbeAnswer)
	defer again.Stop()
	for pending := 1; pending > 0; {
		select {
		case <-again.C:
			wg.Go(ask)
			pending++
		case silence := <-unanswered:
			if !silence {
				return false
			}
			pending--
		}
	}
	return k.ctx.Err() == nil
}

// unanswered sends one probe, libp2p's ping, and waits until something comes
// back or the context ends. To be told that there is no such protocol, or too
// many streams, is a sign of life too; a refusal of our own host is no sign of
// death.
func (k *keptRelay) unanswered(ctx context.Context, c network.Conn) bool {
	s, err := c.NewStream(ctx)
	if err != nil {
		return ctx.Err() != nil
	}
	defer k.rs.node.reset(s, 0)
	if s.SetProtocol(ping.ID) != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	lazy := mss.NewMSSelect(s, ping.ID)
	b := make([]byte, ping.PingSize)
	_, _ = rand.Read(b)
	if _, err = lazy.Write(b); err == nil {
		_, err = io.ReadFull(lazy, b)
	}
	return err != nil && ctx.Err() != nil
}

// closeDead closes a connection. The swarm forgets it at once; TLS may wait 5 s
// for a connection that takes no more bytes.
func (k *keptRelay) closeDead(c network.Conn) {
	closed := make(chan struct{})
	go func() { // ends when the transport has let go
		defer close(closed)
		_ = c.Close()
	}()
	timer := time.NewTimer(resetMost)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}
