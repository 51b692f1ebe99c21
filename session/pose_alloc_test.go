package session

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/spatial"
)

// hearsAll moves a still conversation by 20 ms, in which all its peers speak.
type hearsAll struct {
	c       *conversation
	packets [][]byte
	next    int
	now     time.Time
	mixer   audio.Mixer
	out     audio.StereoBlock
}

func (h *hearsAll) step() {
	for _, p := range h.c.roster.list() {
		h.c.Voice(p.id, h.packets[h.next%len(h.packets)], h.now)
	}
	h.next++
	for range 2 {
		h.c.mixPeers(&h.mixer, h.now)
		h.mixer.Mix(&h.out)
		h.now = h.now.Add(audio.BlockDuration)
	}
}

// circle puts all peers on a circle around the listener.
func (h *hearsAll) circle(tb testing.TB, turn float64) {
	tb.Helper()
	if err := h.c.s.SetPose(spatial.Pose{}); err != nil {
		tb.Fatal(err)
	}
	for i, p := range h.c.roster.list() {
		sin, cos := math.Sincos(turn + float64(i))
		if err := h.c.s.SetPeerPose(p.id, spatial.Pose{Position: spatial.Vec{X: 3 * sin, Z: 3 * cos}}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestPlacingVoicesAllocatesNothing(t *testing.T) {
	const warm, runs = 100, 300
	h := &hearsAll{c: still(t, &loop{}, 3), packets: replay(t, warm+runs+10), now: time.Unix(1000, 0)}
	turn := 0.0
	step := func() {
		turn += 0.1
		h.circle(t, turn)
		h.step()
	}
	for range warm {
		step()
	}
	if n := testing.AllocsPerRun(runs, step); n != 0 {
		t.Errorf("%v allocations per 20 ms with voices that move, want 0", n)
	}
	for _, p := range h.c.roster.list() {
		if at := p.hearing.motion.At(); at.Gain > 0.4 || at.Gain < 0.3 {
			t.Errorf("a voice at %+v: nothing was placed", at)
		}
	}
}

// What 20 ms cost from link to mix with 15 peers who speak, quietly enough for the
// limiter to rest: without poses, with poses that stay, and with poses that change
// each time. The few bytes are those of decoders, which are new every ten seconds.
func BenchmarkMixOf15Voices(b *testing.B) {
	packets := replay(b, 500)
	for _, bb := range []struct {
		name          string
		placed, moves bool
	}{
		{name: "no poses"},
		{name: "poses that stay", placed: true},
		{name: "poses that move", placed: true, moves: true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := &hearsAll{c: still(b, &loop{}, 15), packets: packets, now: time.Unix(1000, 0)}
			for _, p := range h.c.roster.list() {
				h.c.s.SetPeerVolume(p.id, 0.01)
			}
			if bb.placed {
				h.circle(b, 0)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(packets) == 0 { // the same ten seconds again
					for _, p := range h.c.roster.list() {
						p.player.reset()
					}
				}
				if bb.moves {
					h.circle(b, float64(i)/50)
				}
				h.step()
			}
		})
	}
}

// Who reads a peer's voice costs no allocation either, on our side or the reader's.
func TestReadingPCMAllocatesNothing(t *testing.T) {
	const warm, runs = 100, 300
	h := &hearsAll{c: still(t, &loop{}, 1), packets: replay(t, warm+runs+10), now: time.Unix(1000, 0)}
	id := h.c.roster.list()[0].id
	var readers []*PeerPCM
	for _, cfg := range []PCMConfig{{}, {Format: Int16, SampleRate: 44100, Volume: true}} {
		r, err := h.c.s.OpenPeerPCM(id, cfg)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	ducker, err := h.c.s.NewDucker(DuckerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	music := make([]float32, 960)
	p, loud := make([]byte, 3528), false
	step := func() {
		h.step()
		for _, r := range readers {
			if _, err := r.Read(p); err != nil {
				t.Error(err)
			}
			loud = loud || p[1] != 0
		}
		h.c.duckOthers()
		ducker.Apply(music, 2)
	}
	for range warm {
		step()
	}
	if n := testing.AllocsPerRun(runs, step); n != 0 {
		t.Errorf("%v allocations per 20 ms with readers, want 0", n)
	}
	if !loud {
		t.Error("silence was read")
	}
}

// What placing costs for one voice and 10 ms, apart from all the rest.
func BenchmarkPlaceOfAVoice(b *testing.B) {
	for _, bb := range []struct {
		name  string
		wish  playWish
		moves float64
	}{
		{name: "no pose"},
		{name: "a pose that stays", wish: playWish{placed: true, position: spatial.Vec{X: 3, Z: 4}}},
		{name: "a pose that moves", wish: playWish{placed: true, position: spatial.Vec{X: 3, Z: 4}}, moves: 0.01},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var h hearing
			view, wish, sum := viewpoint{known: bb.wish.placed}, bb.wish, float32(0)
			b.ReportAllocs()
			for b.Loop() {
				wish.position.X += bb.moves
				sum += h.move(h.place(&view, &wish), true).Gain
			}
			if sum <= 0 {
				b.Error("nothing is heard")
			}
		})
	}
}
