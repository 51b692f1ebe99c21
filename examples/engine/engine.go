// Package engine is what the programs have in common that play voices through an
// audio engine of their own, ../oto, ../ebitengine and ../beep: a libp2p host, a voice
// session without a speaker, and the voice of each peer as PCM.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/follow"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/session"
)

// Main talks with the peers whose addresses are the program's arguments, and with
// whoever connects to it, until it is interrupted. play is called for each peer that
// is reached for the first time, with its voice, which it is to play.
func Main(cfg session.PCMConfig, play func(identity.PeerID, *session.PeerPCM) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], cfg, play); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addresses []string, cfg session.PCMConfig, play func(identity.PeerID, *session.PeerPCM) error) error {
	h, err := newHost(ctx, addresses)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	voice, err := parley.New(h, parley.Config{OpenSink: noSpeaker})
	if err != nil {
		return err
	}
	defer func() { _ = voice.Close() }()
	ctx, end := context.WithCancelCause(ctx)
	go func() { // ends with the session
		for e := range voice.Events() {
			fmt.Printf("%T%+v\n", e, e)
		}
	}()
	err = follow.Follow(ctx, &listener{voice, cfg, play, make(map[identity.PeerID]bool), end},
		follow.List(func() []identity.PeerID { return h.Network().Peers() }), follow.Config{Recheck: time.Second})
	return errors.Join(err, failure(ctx))
}

// failure is why the program ended itself, if it did.
func failure(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listener is a session whose peers are played as they join.
type listener struct {
	*parley.Voice
	cfg    session.PCMConfig
	play   func(identity.PeerID, *session.PeerPCM) error
	played map[identity.PeerID]bool
	end    context.CancelCauseFunc
}

// PeerJoined has a peer played, too.
func (l *listener) PeerJoined(id identity.PeerID) error {
	if !l.played[id] {
		l.played[id] = true
		pcm, err := l.OpenPeerPCM(id, l.cfg)
		if err == nil {
			err = l.play(id, pcm)
		}
		if err != nil {
			l.end(fmt.Errorf("play %s: %w", id, err))
		}
	}
	return l.Voice.PeerJoined(id)
}

// newHost is what an application that uses libp2p has already.
func newHost(ctx context.Context, addresses []string) (host.Host, error) {
	opts, err := p2p.HostOptions(p2p.HostConfig{})
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	for _, a := range h.Addrs() {
		fmt.Printf("listening %s/p2p/%s\n", a, h.ID())
	}
	for _, a := range addresses {
		info, err := peer.AddrInfoFromString(a)
		if err == nil {
			err = h.Connect(ctx, *info)
		}
		if err != nil {
			_ = h.Close() // err is what matters
			return nil, fmt.Errorf("connect to %s: %w", a, err)
		}
	}
	return h, nil
}

// noSpeaker: all is heard through the engine.
func noSpeaker() (audio.Sink, error) { return nil, nil }
