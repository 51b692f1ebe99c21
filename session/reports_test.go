package session_test

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// Reports come every half second, and every second once nothing was lost for long: a
// loss is told as soon as ever.
func TestReportsComeSeldomWhereNothingIsLost(t *testing.T) {
	party(t, nearby, func(t *testing.T, net *sessiontest.Network) {
		m := newMember(t, net, 1, nil, func(c *session.Config) { c.Codec = &sessiontest.Codec{} })
		defer closeAll(t, m)
		m.start(t)
		s := &spy{rogue: rogue{Transport: net.Transport(sessiontest.PeerID(3))}}
		must(t, s.Open(s))
		must(t, s.Join(m.id))
		must(t, m.PeerJoined(s.Self()))
		must(t, s.SendControl(m.id, encode(t, &wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"test"}}}})))
		time.Sleep(100 * time.Millisecond)
		payload := testPayload(t, 20*time.Millisecond)
		next := 0
		talk := func(d time.Duration, lost int) {
			next += lost
			for range d / (20 * time.Millisecond) {
				v := wire.Voice{Sequence: uint16(next), Timestamp: uint32(2 * next), Spurt: 1, Payload: payload}
				next++
				b, err := v.AppendTo(nil)
				must(t, err)
				must(t, s.SendVoice(m.id, b))
				time.Sleep(20 * time.Millisecond)
			}
		}
		reports := func() (n int, lost uint32) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, c := range s.control {
				if r := c.GetReport(); r != nil {
					n++
					lost += r.GetNetworkLost()
				}
			}
			s.control = nil
			return n, lost
		}
		for _, c := range []struct {
			talk        time.Duration
			lost        int
			least, most int
		}{
			{10 * time.Second, 0, 18, 20},
			{10 * time.Second, 0, 9, 12},
			{700 * time.Millisecond, 2, 1, 2}, // two packets are missing
			{9 * time.Second, 0, 17, 19},
		} {
			talk(c.talk, c.lost)
			if n, lost := reports(); n < c.least || n > c.most || lost != uint32(c.lost) {
				t.Errorf("%d reports in %v, %d to %d expected; %d lost of %d", n, c.talk, c.least, c.most, lost, c.lost)
			}
		}
	})
}
