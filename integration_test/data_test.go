package integration_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/linkem"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/session"
)

// Who sends data without a pause is understood all the same, on links that carry
// little beside its voice.
func TestDataLeaveRoomForVoice(t *testing.T) {
	for name, c := range map[string]struct {
		link      linkem.Impairment
		concealed float64 // share of what is played, at most
		messages  uint64  // of 4 KiB, at least
	}{
		"thin": {linkem.Impairment{Delay: 25 * time.Millisecond, Rate: 100_000}, 0.08, 8},
		"far":  {linkem.Impairment{Delay: 150 * time.Millisecond, Loss: 0.1}, 0.06, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lab := newImpaired(c.link, 1)
				net := p2ptest.NewNetwork(t, p2ptest.Config{Fate: lab.fate, Seed: 1, BitsPerSecond: 1e10})
				said, err := audiotest.LoadWAV("../testdata/speech/anna.wav")
				if err != nil {
					t.Fatal(err)
				}
				var who [2]*participant
				for i := range who {
					who[i] = newParticipant(t, net.Host(i), audiotest.NewLoop(said))
					defer who[i].close(t)
					net.Introduce(i, 1-i)
				}
				talker, listener := who[0], who[1]
				for i, p := range who {
					if err := p.PeerJoined(who[1-i].Self()); err != nil {
						t.Fatal(err)
					}
				}
				for range 30 * 20 {
					time.Sleep(50 * time.Millisecond)
					for talker.peer(listener.Self()).Messages.Waiting < 2 {
						if err := talker.SendData(session.Everyone(), "", make([]byte, 4<<10)); err != nil {
							t.Fatal(err)
						}
					}
					for len(listener.Events()) > 0 {
						<-listener.Events()
					}
				}
				p := listener.peer(talker.Self())
				t.Logf("concealed %.1f %%, data of %.1f KB/s", 100*p.ConcealedShare(), float64(p.Messages.Received)*4096/30e3)
				if p.ConcealedShare() > c.concealed || p.Messages.Received < c.messages || p.Jitter.PlayedSamples < 10*48000 {
					t.Errorf("concealed %.3f of %d samples; %d messages came", p.ConcealedShare(), p.Jitter.PlayedSamples, p.Messages.Received)
				}
			})
		})
	}
}
