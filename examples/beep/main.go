// beep plays each peer's voice through Beep's speaker, beside whatever else a program
// plays there, and through its effects.
//
//	beep [MULTIADDR/p2p/ID]...
package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/speaker"

	"github.com/parley-voice/parley/examples/engine"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const (
	rate   = beep.SampleRate(48000)
	buffer = 60 * time.Millisecond // what the speaker holds is heard so much later
)

func main() {
	if err := speaker.Init(rate, rate.N(buffer)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cfg := session.PCMConfig{Format: session.Float32, Channels: 1, SampleRate: int(rate), Exclusive: true}
	engine.Main(cfg, func(_ identity.PeerID, voice *session.PeerPCM) error {
		speaker.Play(&streamer{voice: voice})
		return nil
	})
}

// streamer is a voice as Beep wants it. Beep calls it from one goroutine.
type streamer struct {
	voice *session.PeerPCM
	buf   []byte
}

// Stream fills samples: a voice goes on until it is closed.
func (s *streamer) Stream(samples [][2]float64) (n int, ok bool) {
	if cap(s.buf) < 4*len(samples) {
		s.buf = make([]byte, 4*len(samples))
	}
	buf := s.buf[:4*len(samples)]
	if _, err := s.voice.Read(buf); err != nil {
		return 0, false
	}
	for i := range samples {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:])))
		samples[i] = [2]float64{x, x}
	}
	return len(samples), true
}

// Err is nil for a voice that was closed.
func (s *streamer) Err() error { return nil }
