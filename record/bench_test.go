package record

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// nowhere is a file that keeps nothing.
type nowhere struct{}

func (nowhere) Write(b []byte) (int, error)        { return len(b), nil }
func (nowhere) Seek(n int64, _ int) (int64, error) { return n, nil }
func (nowhere) Close() error                       { return nil }

// A second in which 16 talk at the same time, taps and writer together, without
// the disk.
func BenchmarkSecondOfSixteen(b *testing.B) {
	for _, cfg := range []Config{{}, {Format: WAV}, {Format: WAV, Tracks: Mixed}} {
		b.Run(fmt.Sprint(cfg.Format, ", mixed: ", cfg.Tracks == Mixed), func(b *testing.B) {
			config, err := cfg.withDefaults()
			if err != nil {
				b.Fatal(err)
			}
			r := &Recorder{config: config, dir: b.TempDir()}
			start := time.Unix(1000, 0)
			r.in.init("self", start)
			r.writer = newWriter(r, func(string) (wavFile, error) { return nowhere{}, nil })
			taps := r.in.taps(config)
			var peers []identity.PeerID
			for n := range 16 {
				peers = append(peers, sessiontest.PeerID(n))
			}
			now := start.Add(time.Second)
			p := &session.Packet{Samples: 960, Payload: make([]byte, 65)}
			p.Payload[0] = 9 << 3
			block, mix := &audio.Block{1}, &audio.StereoBlock{1}
			b.ReportAllocs()
			for b.Loop() {
				for n := range 100 {
					now = now.Add(audio.BlockDuration)
					if taps.Received != nil {
						p.At = now
						if n%2 == 0 {
							p.Seq, p.Timestamp = p.Seq+1, p.Timestamp+960
							for _, id := range peers {
								taps.Received(id, p)
							}
						}
					}
					if taps.Peer != nil {
						for _, id := range peers {
							taps.Peer(id, block, true)
						}
					}
					if taps.Mix != nil {
						taps.Mix(mix, now)
					}
					for len(r.in.packets.ready) > 0 {
						r.writer.packet(<-r.in.packets.ready)
					}
					for len(r.in.blocks.ready) > 0 {
						r.writer.block(<-r.in.blocks.ready)
					}
				}
			}
			if st := r.writer.tracks[0].stats(); st.Err != nil || st.Out > 0 || r.in.dropped.Load() > 0 {
				b.Errorf("%+v", st)
			}
		})
	}
}
