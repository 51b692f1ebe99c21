package parley_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
)

// lobby stands for what an application has already: its way to know who is
// there.
type lobby struct {
	entered, exited func() error
	joined, left    func(peer.ID) error
}

// An application hands each change of its lobby on.
func ExampleNew() {
	var (
		host host.Host // the application's own
		game lobby
		ctx  = context.Background()
	)

	voice, err := parley.New(host, parley.Config{}) // microphone, speakers, Opus, libp2p streams
	if err != nil {
		fmt.Println(err)
		return
	}
	game.entered = func() error { return voice.Start(ctx) } // we are in
	game.joined = voice.PeerJoined                          // someone came
	game.left = voice.PeerLeft                              // someone went
	game.exited = voice.Stop                                // we are out; Start works again
}

// Two applications talk on this machine, without sound devices: what Anna says
// is a tone, and what Ben hears goes to a sink of his own.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	anna, err := newApp("Anna", audio.NewTone(440, -20), &audio.Null{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer anna.close()
	heard := &ear{loud: make(chan struct{})}
	ben, err := newApp("Ben", &audio.Silence{}, heard)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ben.close()

	// Parley asks a host to connect; the host must know an address.
	anna.host.Peerstore().AddAddrs(ben.host.ID(), ben.host.Addrs(), peerstore.PermanentAddrTTL)

	// Each lobby tells of the other peer, in any order and at any time.
	if err := anna.enter(ctx, ben.host.ID()); err != nil {
		fmt.Println(err)
	}
	if err := ben.enter(ctx, anna.host.ID()); err != nil {
		fmt.Println(err)
	}

	there := await[session.PeerReachable](ctx, ben.voice)
	fmt.Printf("Ben reaches %s over %s\n", there.Name, there.Path.Transport)
	select {
	case <-heard.loud:
		fmt.Println("Ben hears something")
	case <-ctx.Done():
		fmt.Println("Ben hears nothing:", ben.voice.Why(anna.host.ID()))
	}

	if err := anna.voice.Stop(); err != nil {
		fmt.Println(err)
	}
	gone := await[session.PeerGone](ctx, ben.voice)
	fmt.Println("Anna took leave:", gone.Reason)
	fmt.Println("Peers of Ben until his lobby says PeerLeft:", len(ben.voice.Peers()))
	// Output:
	// Ben reaches Anna over quic-v1
	// Ben hears something
	// Anna took leave: stopped
	// Peers of Ben until his lobby says PeerLeft: 1
}

// app is an application with its host and its voice.
type app struct {
	host  host.Host
	voice *parley.Voice
}

func newApp(name string, source audio.Source, sink audio.Sink) (*app, error) {
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
		_ = h.Close()
		return nil, err
	}
	return &app{host: h, voice: voice}, nil
}

func (a *app) enter(ctx context.Context, other peer.ID) error {
	if err := a.voice.Start(ctx); err != nil {
		return err
	}
	return a.voice.PeerJoined(other)
}

func (a *app) close() {
	if err := a.voice.Close(); err != nil {
		fmt.Println(err)
	}
	_ = a.host.Close()
}

// await reads events until one of the wanted kind comes.
func await[E session.Event](ctx context.Context, voice *parley.Voice) E {
	for {
		select {
		case e := <-voice.Events():
			if wanted, ok := e.(E); ok {
				return wanted
			}
		case <-ctx.Done():
			fmt.Println(ctx.Err())
			var none E
			return none
		}
	}
}

// ear is a sink that notices when something is to be heard.
type ear struct {
	once sync.Once
	loud chan struct{}
}

func (e *ear) WriteBlock(b *audio.StereoBlock) error {
	if audio.Measure(b[:]).RMS > -30 {
		e.once.Do(func() { close(e.loud) })
	}
	return nil
}

func (e *ear) Close() error { return nil }
