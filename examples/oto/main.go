// oto plays each peer's voice through a player of Oto's own, as a program does that
// plays its other sounds through Oto too.
//
//	oto [MULTIADDR/p2p/ID]...
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ebitengine/oto/v3"

	"github.com/parley-voice/parley/examples/engine"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const (
	rate     = 48000
	channels = 2
	// What a player holds is heard so much later. Oto fills it by halves.
	buffer = 40 * time.Millisecond
)

func main() {
	ctx, ready, err := oto.NewContext(&oto.NewContextOptions{
		SampleRate:   rate,
		ChannelCount: channels,
		Format:       oto.FormatFloat32LE,
		BufferSize:   buffer,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-ready
	cfg := session.PCMConfig{Format: session.Float32, Channels: channels, SampleRate: rate, Exclusive: true}
	var players []*oto.Player // what isn't referred to any more is silent
	engine.Main(cfg, func(_ identity.PeerID, voice *session.PeerPCM) error {
		p := ctx.NewPlayer(voice)
		p.SetBufferSize(int(buffer.Seconds()*rate) * channels * 4)
		p.Play()
		players = append(players, p)
		return p.Err()
	})
}
