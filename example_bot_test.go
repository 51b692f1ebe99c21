package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/session"
)

// A bot has no devices. It plays an Ogg Opus file to a room, packet by packet as they
// are in the file, and is given those of others as they arrive. PCM it would say by
// an audio.Source, and take with session.Taps.Peer, in the same way.
func Example_bot() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	name, err := record10s()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(name) //nolint:errcheck // of a temporary file
	music, err := openOgg(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	bot, err := newApp("bot", session.Packets(music), &audio.Null{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bot.close()
	heard := &ear{loud: make(chan struct{})}
	ben, err := newApp("Ben", audio.NewTone(440, -20), heard)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ben.close()

	// The bot's copy of each packet: the payload is valid during the call only.
	var once sync.Once
	received := make(chan []byte, 1)
	remove := bot.voice.Tap(session.Taps{Received: func(_ peer.ID, p *session.Packet) {
		if p.Samples > 0 {
			once.Do(func() { received <- append([]byte(nil), p.Payload...) })
		}
	}})
	defer remove()

	// Who doesn't listen to the lobby isn't disturbed by the bot.
	if _, err := bot.voice.Speak(session.Room("lobby")); err != nil {
		fmt.Println(err)
	}
	if err := ben.voice.Listen("lobby"); err != nil {
		fmt.Println(err)
	}

	bot.host.Peerstore().AddAddrs(ben.host.ID(), ben.host.Addrs(), peerstore.PermanentAddrTTL)
	if err := bot.enter(ctx, ben.host.ID()); err != nil {
		fmt.Println(err)
	}
	if err := ben.enter(ctx, bot.host.ID()); err != nil {
		fmt.Println(err)
	}
	select {
	case <-heard.loud:
		fmt.Println("Ben hears the bot")
	case <-ctx.Done():
		fmt.Println("Ben hears nothing:", ben.voice.Why(bot.host.ID()))
	}
	select {
	case p := <-received:
		info, err := codec.Parse(p)
		fmt.Println("The bot has a packet of Ben:", info.Samples, "samples,", err)
	case <-ctx.Done():
		fmt.Println("The bot has nothing:", bot.voice.Why(ben.host.ID()))
	}
	// Output:
	// Ben hears the bot
	// The bot has a packet of Ben: 960 samples, <nil>
}

// oggFile is the packets of a file, which session.Packets closes.
type oggFile struct {
	*oggopus.Reader
	io.Closer
}

func openOgg(name string) (oggFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return oggFile{}, err
	}
	r, err := oggopus.NewReader(f)
	if err != nil {
		return oggFile{}, errors.Join(err, f.Close())
	}
	return oggFile{r, f}, nil
}

// record10s makes such a file: ten seconds of a tone in packets of 20 ms.
func record10s() (name string, err error) {
	f, err := os.CreateTemp("", "*.opus")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := oggopus.NewWriter(f, oggopus.Config{})
	if err != nil {
		return "", err
	}
	enc, err := opus.Codec{}.NewEncoder(codec.Config{})
	if err != nil {
		return "", err
	}
	tone, frame, packet := audio.NewTone(660, -20), make([]float32, enc.FrameSamples()), make([]byte, codec.MaxPacketBytes)
	for range 500 {
		var b audio.Block
		for at := 0; at < len(frame); at += len(b) {
			if err = tone.ReadBlock(&b); err != nil {
				return "", err
			}
			copy(frame[at:], b[:])
		}
		p, err := enc.Encode(packet, frame)
		if err != nil {
			return "", err
		}
		if err = w.WritePacket(p); err != nil {
			return "", err
		}
	}
	return f.Name(), w.Close()
}
