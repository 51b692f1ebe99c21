package parley_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/session"
)

// A bot has no devices. It says Opus packets that it has, from a file for example,
// by a Source that decodes them, and is given those of others as they arrive. PCM
// it would say by a Source, and take with session.Taps.Peer, in the same way.
func Example_bot() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	source, err := newPackets(jingle())
	if err != nil {
		fmt.Println(err)
		return
	}
	bot, err := newApp("bot", source, &audio.Null{})
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

// packets is an audio.Source of Opus packets. Parley encodes what it gives once
// more, since what a listener is sent depends on its losses and on what its link
// carries.
type packets struct {
	dec   codec.Decoder
	left  [][]byte
	frame [codec.MaxPacketSamples]float32
	pcm   []float32 // of frame, not yet given
}

func newPackets(list [][]byte) (*packets, error) {
	dec, err := opus.Codec{}.NewDecoder()
	return &packets{dec: dec, left: list}, err
}

func (p *packets) ReadBlock(b *audio.Block) error {
	for n := 0; n < len(b); {
		if len(p.pcm) == 0 {
			if len(p.left) == 0 {
				return io.EOF
			}
			samples, err := p.dec.Decode(p.frame[:], p.left[0])
			if err != nil {
				return err
			}
			p.left, p.pcm = p.left[1:], p.frame[:samples]
		}
		taken := copy(b[n:], p.pcm)
		n, p.pcm = n+taken, p.pcm[taken:]
	}
	return nil
}

func (*packets) Close() error { return nil }

// jingle stands for a file: ten seconds of a tone in packets of 20 ms.
func jingle() (list [][]byte) {
	enc, err := opus.Codec{}.NewEncoder(codec.Config{})
	if err != nil {
		return nil
	}
	tone, frame := audio.NewTone(660, -20), make([]float32, enc.FrameSamples())
	for range 500 {
		var b audio.Block
		for at := 0; at < len(frame); at += len(b) {
			if err := tone.ReadBlock(&b); err != nil {
				return nil
			}
			copy(frame[at:], b[:])
		}
		p, err := enc.Encode(make([]byte, codec.MaxPacketBytes), frame)
		if err != nil {
			return nil
		}
		list = append(list, p)
	}
	return list
}
