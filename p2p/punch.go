package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Two peers behind NATs open a direct way by sending to each other at the same
// moment. libp2p tries it when a connection through a relay is made, and not
// again; here it can be tried at any time, over the control stream, in the same
// three steps (libp2p's DCUtR specification): the one with the smaller peer ID
// says where it can be reached, the other answers, which tells the round-trip
// time; then it says when, and both dial.

// Steps of a punch.
const (
	punchConnect = 1
	punchAnswer  = 2
	punchSync    = 3
)

const (
	punchWait = 3 * time.Second // for an answer
	punchDial = 5 * time.Second // for the dial: the far end's packets may come late
)

var errPunch = errors.New("p2p: the peer did not answer about hole punching")

// punchMessage is the body of a frame of type framePunch.
type punchMessage struct {
	step  byte
	id    uint64 // of the attempt
	addrs []ma.Multiaddr
}

func encodePunch(m punchMessage) []byte {
	return appendAddrs(binary.AppendUvarint([]byte{m.step}, m.id), m.addrs)
}

func parsePunch(b []byte) (m punchMessage, err error) {
	if len(b) < 2 {
		return m, errMalformed
	}
	m.step = b[0]
	id, k, err := uvarint(b[1:])
	if err != nil || m.step < punchConnect || m.step > punchSync {
		return m, errMalformed
	}
	m.id = id
	m.addrs, err = parseAddrs(b[1+k:])
	return m, err
}

// punching is the state of hole punching with a peer. The pair's mu guards it.
type punching struct {
	id     uint64            // of the attempt that we began, 0 if none
	answer chan punchMessage // for it
	theirs punchMessage      // the attempt that the peer began
	limit  bucket            // of attempts that the peer may begin
}

// punch makes one attempt.
func (p *pair) punch(ctx context.Context) error {
	ours := publicAddrs(p.t.node.ownAddrs())
	if len(ours) == 0 {
		return errors.New("p2p: no public address of ours is known")
	}
	answer := make(chan punchMessage, 1)
	id := rand.Uint64()>>1 | 1
	p.mu.Lock()
	p.holes.id, p.holes.answer = id, answer
	p.mu.Unlock()
	p.sendPunch(punchMessage{punchConnect, id, ours})
	began := time.Now()
	timer := time.NewTimer(punchWait)
	defer timer.Stop()
	var m punchMessage
	select {
	case m = <-answer:
	case <-timer.C:
		return errPunch
	case <-ctx.Done():
		return ctx.Err()
	}
	rtt := time.Since(began)
	p.sendPunch(punchMessage{step: punchSync, id: id})
	timer.Reset(rtt / 2)
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.punchDial(ctx, m.addrs, false)
}

func (p *pair) sendPunch(m punchMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.best != nil {
		p.best.cur.punches = append(p.best.cur.punches, encodePunch(m))
		poke(p.best.cur.kick)
	}
}

// punchedLocked takes a message about hole punching; false if it breaks the
// protocol.
func (p *pair) punchedLocked(c *control, b []byte, at time.Time) bool {
	m, err := parsePunch(b)
	if err != nil {
		return false
	}
	h := &p.holes
	switch m.step {
	case punchAnswer:
		if m.id == h.id && h.answer != nil {
			h.answer <- m // has room for the one answer
			h.answer = nil
		}
	case punchConnect:
		if h.limit.rate == 0 {
			h.limit = newBucket(0.5, 3)
		}
		if p.t.node.cfg.mayGoDirect() && len(c.punches) < 4 && h.limit.take(at) {
			h.theirs = m
			c.punches = append(c.punches, encodePunch(punchMessage{punchAnswer, m.id, publicAddrs(p.t.node.where().addrs)}))
			poke(c.kick)
		}
	case punchSync:
		if m.id == h.theirs.id {
			addrs, ctx := h.theirs.addrs, p.place.ctx
			h.theirs = punchMessage{}
			p.wg.Go(func() { _ = p.punchDial(ctx, addrs, true) }) // who began it tries again
		}
	}
	return true
}

// punchDial dials while the peer does. One of the two is the client.
func (p *pair) punchDial(ctx context.Context, addrs []ma.Multiaddr, client bool) error {
	ctx, cancel := context.WithTimeout(ctx, punchDial)
	defer cancel()
	ctx = network.WithForceDirectDial(ctx, "hole-punching")
	ctx = network.WithSimultaneousConnect(ctx, client, "hole-punching")
	p.log.Debug("punching", "addrs", publicAddrs(addrs), "client", client)
	return p.t.node.host.Connect(ctx, peer.AddrInfo{ID: p.id, Addrs: publicAddrs(addrs)})
}

func publicAddrs(addrs []ma.Multiaddr) []ma.Multiaddr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		return isCircuit(a) || !manet.IsPublicAddr(a)
	})
}
