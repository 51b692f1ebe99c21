package main

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

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

// printAddresses says how others reach us.
func printAddresses(h host.Host) error {
	self := identity.Peer{ID: h.ID(), Addrs: h.Addrs()}
	for _, a := range self.Addrs {
		fmt.Printf("listening %s/p2p/%s\n", a, self.ID)
	}
	invite, err := identity.NewInvite(self)
	if err != nil {
		return err
	}
	fmt.Println("invite", invite)
	return nil
}
