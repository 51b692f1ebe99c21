package ownsession_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/follow"
)

// guest is an application with a libp2p host, whose voice follows its connections.
type guest struct {
	host    host.Host
	voice   *parley.Voice
	friends *follow.ConnectedSource
	done    chan error
}

func newGuest(ctx context.Context, name string, source audio.Source, sink audio.Sink) (*guest, error) {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"))
	if err != nil {
		return nil, err
	}
	voice, err := parley.New(h, parley.Config{
		Name:       name,
		OpenSource: func() (audio.Source, error) { return source, nil },
		OpenSink:   func() (audio.Sink, error) { return sink, nil },
	})
	if err != nil {
		return nil, err
	}

	// Whoever is among the friends and connected is talked to.
	friends, err := follow.Connected(h)
	if err != nil {
		return nil, err
	}
	g := &guest{host: h, voice: voice, friends: friends, done: make(chan error, 1)}
	go func() { g.done <- follow.Follow(ctx, voice, friends, follow.Config{}) }()
	return g, nil
}

// close waits for the end of the following.
func (g *guest) close() error {
	return errors.Join(<-g.done, g.friends.Close(), g.voice.Close(), g.host.Close())
}

// Voice follows the connections of libp2p hosts.
func Example_voiceFollowsConnections() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	heard := &listener{loud: make(chan struct{})}
	anna, err := newGuest(ctx, "Anna", audio.NewTone(440, -20), &audio.Null{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ben, err := newGuest(ctx, "Ben", &audio.Silence{}, heard)
	if err != nil {
		fmt.Println(err)
		return
	}

	anna.friends.Add(ben.host.ID())
	ben.friends.Add(anna.host.ID())
	if err := anna.host.Connect(ctx, peer.AddrInfo{ID: ben.host.ID(), Addrs: ben.host.Addrs()}); err != nil {
		fmt.Println(err)
	}
	select {
	case <-heard.loud:
		fmt.Println("they are connected, so they talk")
	case <-ctx.Done():
		fmt.Println("nothing is heard:", ben.voice.Why(anna.host.ID()))
	}

	cancel()
	fmt.Println("the end:", errors.Join(anna.close(), ben.close()))
	// Output:
	// they are connected, so they talk
	// the end: <nil>
}
