package session

import (
	"testing"

	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/identity"
)

// A channel that reaches only so far costs who is near one byte a packet, two while it
// fades or if it is positional, and who is far nothing.
func TestWhatProximityCosts(t *testing.T) {
	var packets, bytes int
	c := still(t, &loop{voice: func(_ identity.PeerID, b []byte) { packets++; bytes += len(b) }}, 1)
	p := c.roster.list()[0]
	p.listener.plan.Store(0)
	p.rooms.heard, p.greeting.sent, p.greeting.received = true, true, true
	p.path.Kind = 1
	c.s.conv = c // as Start does: channels act on it
	if err := c.s.SetPose(spatial.Pose{}); err != nil {
		t.Fatal(err)
	}
	b := loudBlock()
	cost := func(at float64) (size float64) {
		t.Helper()
		if err := c.s.SetPeerPose(p.id, spatial.Pose{Position: spatial.Vec{X: at}}); err != nil {
			t.Fatal(err)
		}
		c.lookAround()
		for range 20 { // the end of a spurt is over
			mic := *b
			c.speak(&mic)
		}
		packets, bytes = 0, 0
		for range 100 {
			mic := *b
			c.speak(&mic)
		}
		if packets == 0 {
			return 0
		}
		if packets != 50 {
			t.Errorf("%d packets a second", packets)
		}
		return float64(bytes) / float64(packets)
	}
	plain := cost(0)
	ch, err := c.s.Speak(Everyone().Within(20))
	if err != nil {
		t.Fatal(err)
	}
	near, fading, far := cost(5), cost(18), cost(30)
	ch.SetPositional(true)
	positional := cost(5)
	t.Logf("bytes a packet: %.1f without a channel, %.1f near, %.1f fading, %.1f positional, %.1f far away", plain, near, fading, positional, far)
	if plain < 10 || near != plain+1 || fading != plain+2 || positional != plain+2 || far != 0 {
		t.Error("it costs more or less than docs/positional.md says")
	}
}
