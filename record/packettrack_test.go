package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// reel is a packetTrack, and what was given to it.
type reel struct {
	*packetTrack
	file  *memory
	freed int
	given int
}

func newReel(t *testing.T, limit int) *reel {
	t.Helper()
	r := &reel{file: &memory{limit: limit}}
	var err error
	if r.packetTrack, err = newPacketTrack(r.file, 1, nil, func(*packet) { r.freed++ }); err != nil {
		t.Fatal(err)
	}
	return r
}

// say gives the track packet n of a spurt that began at 1 s, at its time and
// some samples later.
func (r *reel) say(n int, spurt int64, later int64) error {
	r.given++
	p := &packet{stream: 7, seq: int64(n), timestamp: 1<<40 + int64(n)*960, samples: 960, spurt: spurt, at: second + int64(n+1)*960 + later}
	p.size = copy(p.payload[:], opusPacket(n))
	return r.push(p, p.at)
}

func (r *reel) end(t *testing.T, at int64) []piece {
	t.Helper()
	if err := r.close(at); err != nil {
		t.Fatal(err)
	}
	if r.freed != r.given {
		t.Errorf("%d packets given, %d given back", r.given, r.freed)
	}
	return pieces(t, r.file.Bytes())
}

func TestPacketsAreWrittenInOrderAndWhatIsMissingIsConcealed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order []int
		want  []piece
		out   uint64
	}{
		{"in order", []int{0, 1, 2, 3}, []piece{{'s', 48000}, {'p', 4 * 960}, {'s', 20160}}, 0},
		{"swapped", []int{0, 2, 1, 3}, []piece{{'s', 48000}, {'p', 4 * 960}, {'s', 20160}}, 0},
		{"twice", []int{0, 2, 2, 1, 1, 3, 0}, []piece{{'s', 48000}, {'p', 4 * 960}, {'s', 20160}}, 3},
		{"one lost", []int{0, 2, 3}, []piece{{'s', 48000}, {'p', 960}, {'l', 960}, {'p', 2 * 960}, {'s', 20160}}, 0},
		{"many lost", []int{0, 20}, []piece{{'s', 48000}, {'p', 960}, {'s', 19 * 960}, {'p', 960}, {'s', 3840}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReel(t, 0)
			for _, n := range tt.order {
				if err := r.say(n, 1, 0); err != nil {
					t.Fatal(err)
				}
			}
			if got := r.end(t, 72000); !slices.Equal(got, tt.want) || r.out != tt.out {
				t.Errorf("%c, %d left out; want %c, %d", got, r.out, tt.want, tt.out)
			}
		})
	}
}

func TestAMissingPacketIsWaitedForAndNotLonger(t *testing.T) {
	r := newReel(t, 0)
	for _, n := range []int{0, 2, 3} {
		if err := r.say(n, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	now := int64(second + 3*960)
	for ; r.position() == second+960; now += 10 * millisecond {
		if err := r.tick(now); err != nil {
			t.Fatal(err)
		}
	}
	if waited := now - second - 3*960; waited < packetPatience || waited > packetPatience+30*millisecond || len(r.held) != 0 {
		t.Errorf("waited for %d samples, %d wait on", waited, len(r.held))
	}
	if err := r.say(1, 1, second); err != nil {
		t.Fatal(err)
	}
	if r.end(t, now); r.out != 1 {
		t.Errorf("%d left out", r.out)
	}
}

func TestSilenceGoesOnWithoutPackets(t *testing.T) {
	r := newReel(t, 0)
	if err := errors.Join(r.say(0, 1, 0), r.say(1, 1, 0)); err != nil {
		t.Fatal(err)
	}
	within := r.position()
	if err := r.tick(within + 2*second); err != nil || r.position() != within {
		t.Errorf("silence within a spurt after 2 s: %v", err)
	}
	r.given++
	if err := r.push(&packet{stream: 7, seq: 2, spurt: 1, at: second + 2*960}, second+2*960); err != nil {
		t.Fatal(err)
	}
	for now := within; now < 60*second; now += second / 4 {
		if err := r.tick(now); err != nil {
			t.Fatal(err)
		}
		if late := now - r.position(); now > within+second && (late < silenceAfter || late > silenceAfter+silenceStep) {
			t.Fatalf("after %d samples %d are written", now, r.position())
		}
	}
	r.end(t, 60*second)
}

// Whatever arrives in whatever order, all is given back, few wait, and what is
// written is in order and in its time.
func TestATrackIsBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := newReel(t, 0)
	at := int64(0)
	for range 20000 {
		at += int64(random.IntN(192))
		p := &packet{
			stream: random.Uint64N(1000) / 999, seq: at/96 + int64(random.IntN(400)), timestamp: int64(random.IntN(1<<20)) * 480,
			samples: 960 * random.IntN(2), spurt: int64(random.IntN(3)), at: at,
		}
		p.size = copy(p.payload[:], opusPacket(1))
		if random.IntN(50) == 0 {
			p.payload[0], p.size = 3, 1 // no Opus
		}
		r.given++
		if err := r.push(p, at); err != nil {
			t.Fatal(err)
		}
		if err := r.tick(at); err != nil {
			t.Fatal(err)
		}
		if len(r.held) > mostHeld || r.position() > at+2*second {
			t.Fatalf("%d wait, %d are written at %d", len(r.held), r.position(), at)
		}
	}
	r.end(t, at)
}

func TestAFullDiskIsReported(t *testing.T) {
	r := newReel(t, 5000)
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		err = r.say(n, 1, 0)
	}
	if !errors.Is(err, errFull) {
		t.Fatalf("%v", err)
	}
	r.discard()
	if r.freed != r.given || !bytes.HasPrefix(r.file.Bytes(), []byte("OggS")) {
		t.Errorf("%d packets given, %d given back", r.given, r.freed)
	}
}
