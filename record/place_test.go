package record

import (
	"math/rand/v2"
	"testing"

	"github.com/parley-voice/parley/audio"
)

// What a clock counts lies beside each other whatever the jitter of those who
// bring it, and follows a clock that is wrong, in silence.
func TestBlocksLieBesideEachOther(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ppm    float64 // by which the device is slow
		jitter int     // samples
		speech int     // blocks of every 100 that aren't silent
		most   int64   // blocks that anything may be off by
	}{
		{"steady", 0, 0, 100, 1},
		{"jitter", 0, 960, 100, 2},
		{"slow clock, pauses", 300, 480, 50, 2},
		{"fast clock, pauses", -300, 480, 50, 3},
		{"slow clock, no pauses", 300, 480, 100, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var l blockLine
			last, breaks := int64(-1), 0
			for n := range int64(36000) { // 6 min
				at := int64(float64(n*audio.BlockSamples) * (1 + tt.ppm/1e6))
				if tt.jitter > 0 {
					at += int64(random.IntN(tt.jitter))
				}
				silent := int(n%100) >= tt.speech
				number, ok := l.place(at, silent)
				if !ok {
					if !silent {
						t.Fatalf("block %d of speech is left out", n)
					}
					continue
				}
				if number != last+1 && n > 0 {
					breaks++
					if !silent || number <= last {
						t.Fatalf("block %d of speech is at %d, the one before at %d", n, number, last)
					}
				}
				last = number
				if off := number - at/audio.BlockSamples; off > tt.most || off < -tt.most {
					t.Fatalf("block %d is off by %d", n, off)
				}
			}
			if breaks > 12 {
				t.Errorf("%d breaks", breaks)
			}
		})
	}
}

func TestBlocksFollowAJump(t *testing.T) {
	var l blockLine
	place := func(at int64) (int64, bool) { return l.place(at*audio.BlockSamples, false) }
	for _, tt := range []struct {
		at, want int64
		ok       bool
	}{{100, 100, true}, {101, 101, true}, {5000, 5000, true}, {5001, 5001, true}, {4900, 0, false}, {4990, 5002, true}} {
		if got, ok := place(tt.at); got != tt.want || ok != tt.ok {
			t.Errorf("block of time %d is at %d, %v; want %d, %v", tt.at, got, ok, tt.want, tt.ok)
		}
	}
}

// talk is packets of 20 ms that arrive with a delay.
type talk struct {
	stream    uint64
	timestamp int64
	spurt     int64
	written   int64
}

func (k *talk) say(l *packetLine, at int64) (int64, bool) {
	p := &packet{stream: k.stream, timestamp: k.timestamp, samples: 960, spurt: k.spurt, at: at}
	pos, ok := l.place(p, k.written)
	if ok {
		k.written = pos + 960
	}
	k.timestamp += 960
	return pos, ok
}

func TestPacketsLieAsTheirTalkerSaysNotAsTheyArrive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var l packetLine
	k := talk{timestamp: 1 << 40}
	first := int64(-1)
	for n := range int64(3000) {
		delay := int64(random.IntN(100 * millisecond))
		pos, ok := k.say(&l, 10*second+n*960+960+delay)
		if first < 0 {
			first = pos
		}
		if !ok || pos != first+n*960 {
			t.Fatalf("packet %d is at %d, %v; want %d", n, pos, ok, first+n*960)
		}
	}
}

// A talker's clock is slow or fast, and the way to it becomes longer or shorter:
// its spurts stay where they arrive.
func TestPacketsFollowTheClockBetweenSpurts(t *testing.T) {
	for _, tt := range []struct {
		name string
		ppm  float64
		step int64 // by which the delay changes in the middle
	}{{"slow", 200, 0}, {"fast", -200, 0}, {"longer way", 0, 300 * millisecond}, {"shorter way", 0, -300 * millisecond}} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var l packetLine
			k := talk{timestamp: 1 << 40}
			way := int64(400 * millisecond)
			for spurt := range int64(200) { // of 2 s, every 4 s
				k.spurt = spurt
				if spurt == 100 {
					way += tt.step
				}
				from := k.timestamp - 1<<40
				for n := range int64(100) {
					said := int64(float64(from+n*960) * (1 + tt.ppm/1e6))
					pos, ok := k.say(&l, said+way+960+int64(random.IntN(30*millisecond)))
					off := pos - said - way
					if settled := spurt < 100 || spurt > 103 || tt.step == 0; !ok || settled && (off < -60*millisecond || off > 60*millisecond) {
						t.Fatalf("packet %d of spurt %d is off by %d samples, %v", n, spurt, off, ok)
					}
				}
				k.timestamp += 2 * second
			}
		})
	}
}

// Whatever a hostile participant says of its packets, they lie one after the
// other and not in the future.
func TestPacketsOfHostileTalkersStayInTheirTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var l packetLine
	var written int64
	taken := 0
	for n := range int64(20000) {
		at := 5*second + n*48
		p := &packet{
			stream: random.Uint64N(2), timestamp: (int64(random.Uint64N(1<<40)) - 1<<39) * 480,
			samples: 120 * (1 + random.IntN(24)), spurt: int64(random.IntN(3)), at: at,
		}
		if n%3 > 0 {
			p.timestamp = written + int64(random.IntN(100))*480
		}
		pos, ok := l.place(p, written)
		if !ok {
			continue
		}
		taken++
		if pos < written || pos%120 != 0 || pos > at+second {
			t.Fatalf("packet %d that arrived at %d is at %d, %d are written", n, at, pos, written)
		}
		written = pos + int64(p.samples)
	}
	if taken < 100 {
		t.Errorf("%d packets taken", taken)
	}
}
