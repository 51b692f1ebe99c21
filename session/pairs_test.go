package session

import (
	"bytes"
	"testing"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// Whatever a listener's plan is, and however often it changes, each frame reaches
// it once by itself, alone or beside the next, to the last one before the pause.
func TestEachFrameIsSentOnceInPairsToo(t *testing.T) {
	for name, plans := range map[string][]plan{
		"alone":         {{}},
		"in pairs":      {{twins: 1}},
		"with copies":   {{twins: 1, copies: back(2, 3)}},
		"lean in pairs": {{twins: 1, encoding: lean}},
		"in threes":     {{twins: 2, encoding: thin}},
		"in fours":      {{twins: 3, encoding: thin}},
		"back and forth": {
			{twins: 1},
			{},
			{},
			{twins: 1, encoding: lean, copies: back(2, 3)},
			{copies: back(1)},
			{twins: 1},
			{encoding: lean},
			{twins: 2, encoding: thin},
			{twins: 2, encoding: lean},
			{twins: 1, copies: back(2, 3)},
			{twins: 3, encoding: thin},
			{copies: back(4)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			own, ends, last := map[uint16]int{}, 0, uint16(0)
			c := still(t, &loop{voice: func(_ identity.PeerID, b []byte) {
				var v wire.Voice
				if err := v.Parse(bytes.Clone(b)); err != nil {
					t.Fatal(err)
				}
				own[v.Sequence]++
				last = max(last, v.Sequence)
				for _, c := range v.Copies[:v.Twins] {
					own[v.Sequence-uint16(c.Offset)]++
				}
				if v.End {
					ends++
				}
			}}, 1)
			p := c.roster.list()[0]
			for spurt := range 4 {
				for i := range 2 * (20 + spurt) { // an odd and an even number of frames
					p.listener.plan.Store(plans[i/2%len(plans)].pack())
					mic := *loudBlock()
					c.speak(&mic)
				}
				for range 20 {
					c.speak(&audio.Block{})
				}
			}
			if ends < 4 || last < 80 {
				t.Fatalf("%d ends of spurts in %d packets", ends, last)
			}
			for n := uint16(1); n <= last; n++ {
				if own[n] != 1 {
					t.Errorf("packet %d of %d was sent %d times", n, last, own[n])
				}
			}
		})
	}
}
