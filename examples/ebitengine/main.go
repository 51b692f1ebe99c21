// ebitengine plays each peer's voice through a player of Ebitengine's audio package.
// A game has a context of it, which is the only one there may be, and does the same
// with it; this program does without a window, and so without the headers of X11 and
// OpenGL.
//
//	ebitengine [MULTIADDR/p2p/ID]...
package main

import (
	"time"

	"github.com/hajimehoshi/ebiten/v2/audio"

	"github.com/parley-voice/parley/examples/engine"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const (
	rate   = 48000
	buffer = 40 * time.Millisecond // what a player holds is heard so much later
)

func main() {
	ctx := audio.NewContext(rate)
	// NewPlayerF32 takes stereo, NewPlayer the same as Int16.
	cfg := session.PCMConfig{Format: session.Float32, Channels: 2, SampleRate: rate, Exclusive: true}
	var players []*audio.Player // what isn't referred to any more is silent
	engine.Main(cfg, func(_ identity.PeerID, voice *session.PeerPCM) error {
		p, err := ctx.NewPlayerF32(voice)
		if err != nil {
			return err
		}
		p.SetBufferSize(buffer)
		p.Play()
		players = append(players, p)
		return nil
	})
}
