package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
)

// newHost is what an application that uses libp2p has already.
func newHost(opt *options) (host.Host, error) {
	key, err := identity.LoadOrCreateKey(opt.key)
	if err != nil {
		return nil, err
	}
	own := []libp2p.Option{libp2p.Identity(key), libp2p.UserAgent("parley-chat")}
	if len(opt.listen) > 0 {
		own = append(own, libp2p.ListenAddrStrings(opt.listen...))
	}
	// What voice needs of it: QUIC and TCP, hole punching, relays, and limits
	// that don't stand in the way.
	voice, err := p2p.HostOptions(p2p.HostConfig{RelayOnly: opt.relaying == p2p.OnlyRelayed})
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(append(own, voice...)...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	return h, nil
}

func peerIDOf(key crypto.PrivKey) (identity.PeerID, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("peer ID: %w", err)
	}
	return id, nil
}

// remember notes where a peer lives. Parley has the host connect to peers that
// joined, with what the host knows.
func remember(h host.Host, p identity.Peer) {
	h.Peerstore().AddAddrs(p.ID, p.Addrs, peerstore.PermanentAddrTTL)
}

// relayPatience is how long one who is reached through relays only waits for a
// place at one.
const relayPatience = 5 * time.Second

// printAddresses says how others reach us, and returns the invite.
func printAddresses(ctx context.Context, opt *options, h host.Host, voice *parley.Voice) (string, error) {
	self := identity.Peer{ID: h.ID(), Addrs: h.Addrs()}
	if opt.relaying == p2p.OnlyRelayed {
		self.Addrs = waitForRelay(ctx, voice.Node())
	}
	for _, a := range self.Addrs {
		fmt.Printf("listening %s/p2p/%s\n", a, self.ID)
	}
	if len(self.Addrs) == 0 {
		opt.notes.say("nobody reaches us yet: " + whyNoRelay(voice.Node()))
	}
	invite, err := identity.NewInvite(self)
	if err != nil {
		return "", err
	}
	fmt.Println("invite", invite)
	return invite, nil
}

// waitForRelay waits for a place at a relay and returns our addresses there.
func waitForRelay(ctx context.Context, node *p2p.Node) []ma.Multiaddr {
	ctx, cancel := context.WithTimeout(ctx, relayPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if addrs := node.Addrs(); len(addrs) > 0 || len(node.Relays()) == 0 {
			return addrs
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func whyNoRelay(node *p2p.Node) string {
	relays := node.Relays()
	if len(relays) == 0 {
		return "--relay-policy only needs a --relay, or a --lobby that is one"
	}
	why := make([]string, 0, len(relays))
	for _, r := range relays {
		why = append(why, fmt.Sprintf("%s: %s", r.ID, r.Reason))
	}
	return "no relay has a place for us (" + strings.Join(why, "; ") + ")"
}
