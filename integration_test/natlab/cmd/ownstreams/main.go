// Command ownstreams is an application that has libp2p streams of its own on
// the host that Parley uses too, and tells whether they suffer.
//
//	ownstreams --key FILE --relay MULTIADDR --peer PEER-ID
//
// Two of them find each other through a relay. One opens a stream over which it
// writes a record every 100 ms, before there is voice, and the other sends each
// back. Both talk all the while. It prints "open CONNECTION" when the stream
// runs, "path KIND, TRANSPORT" when Parley's path changes, "broken WHY" when the
// stream breaks, and at the end, which SIGTERM brings, one line
// "records N, longest silence D, broken N".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

func main() {
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ownstreams:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("ownstreams", flag.ContinueOnError)
	keyFile := fs.String("key", "", "`file` with the private key")
	relay := fs.String("relay", "", "`multiaddr` of the relay")
	other := fs.String("peer", "", "`ID` of the other")
	if err := fs.Parse(args); err != nil {
		return err
	}
	to, err := identity.ParsePeerID(*other)
	if err != nil {
		return err
	}
	h, err := newHost(*keyFile, *relay, to)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // nothing depends on it

	own := newStream(h, to)
	own.serve()
	if err = own.begin(ctx); err != nil {
		return err
	}
	voice, err := parley.New(h, parley.Config{
		OpenSource: func() (audio.Source, error) {
			return audiotest.NewLoop(audiotest.Babble(1, 10*time.Second)), nil
		},
		OpenSink: func() (audio.Sink, error) { return &audio.Null{}, nil },
	})
	if err != nil {
		return err
	}
	defer voice.Close() //nolint:errcheck // nothing depends on it
	if err = voice.Start(ctx); err != nil {
		return err
	}
	if err = voice.PeerJoined(to); err != nil {
		return err
	}
	for {
		select {
		case e, ok := <-voice.Events():
			if !ok {
				return errors.New("the conversation has ended by itself")
			}
			tell(e)
		case <-ctx.Done():
			own.end()
			return nil
		}
	}
}

func tell(e session.Event) {
	switch e := e.(type) {
	case session.PeerReachable:
		fmt.Printf("path %s, %s\n", e.Path.Kind, e.Path.Transport)
	case session.PathChanged:
		fmt.Printf("path %s, %s\n", e.To.Kind, e.To.Transport)
	default: // a conversation has more to tell than matters here
	}
}

// newHost is a host as applications have it: behind a NAT, with a place at a
// relay, and ready to punch holes.
func newHost(keyFile, relay string, to identity.PeerID) (host.Host, error) {
	key, err := identity.LoadOrCreateKey(keyFile)
	if err != nil {
		return nil, err
	}
	info, err := peer.AddrInfoFromString(relay)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(
		libp2p.Identity(key),
		libp2p.ListenAddrStrings("/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"),
		libp2p.EnableHolePunching(),
		libp2p.ForceReachabilityPrivate(),
		libp2p.EnableAutoRelayWithStaticRelays([]peer.AddrInfo{*info},
			autorelay.WithBootDelay(0), autorelay.WithBackoff(2*time.Second), autorelay.WithMinInterval(time.Second)),
	)
	if err != nil {
		return nil, err
	}
	through, err := ma.NewMultiaddr(relay + "/p2p-circuit")
	if err != nil {
		return nil, err
	}
	h.Peerstore().AddAddr(to, through, peerstore.PermanentAddrTTL)
	return h, nil
}
