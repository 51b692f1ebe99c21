package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// counter is a mix of which each sample says its number, but for the width of a
// float.
type counter int

const counterWidth = 1 << 22

func (c *counter) block() *audio.Block {
	var b audio.Block
	for i := range b {
		*c++
		b[i] = float32(*c % counterWidth)
	}
	return &b
}

// apart is by how much sample a comes after sample b.
func apart(a, b float32) int {
	d := (int(a) - int(b) + counterWidth) % counterWidth
	if d > counterWidth/2 {
		d -= counterWidth
	}
	return d
}

// devices are a speaker and a microphone with some latency, whose clocks differ,
// and which are served late now and then.
type devices struct {
	ppm          float64
	speaker, mic time.Duration
	lead         time.Duration // by which the mix is taken early

	late   *rand.Rand
	played int
	said   counter
}

func (d *devices) period() float64 { return float64(audio.BlockDuration) / (1 + d.ppm*1e-6) }

func (d *devices) lateness() time.Duration {
	if d.late.IntN(100) == 0 {
		return time.Duration(d.late.Int64N(int64(8 * time.Millisecond)))
	}
	return time.Duration(d.late.Int64N(int64(500 * time.Microsecond)))
}

// block plays until the n-th block was recorded, takes the mix for it, and returns
// the sample that was heard when its first one was spoken.
func (d *devices) block(m *mixLine, b *audio.Block, n int) float32 {
	start := time.Unix(1000, 0)
	spoken := time.Duration(n) * audio.BlockDuration
	for now := spoken + audio.BlockDuration + d.mic; ; d.played++ {
		written := time.Duration(float64(d.played) * d.period())
		if written > now {
			break
		}
		m.put(d.said.block(), start.Add(written+d.speaker+d.lateness()))
	}
	m.take(b, start.Add(spoken+d.lead+d.lateness()))
	heard := float64(spoken+d.lead-d.speaker) / d.period() * audio.BlockSamples
	return float32((int(heard) + 1 + counterWidth) % counterWidth)
}

// For ten minutes the chain sees what is heard MixLead later, within 2 ms, without
// a jump and without a hole: it was given to the speaker by then.
func TestMixIsWhatWasHeardWhenTheMicrophoneRecorded(t *testing.T) {
	for _, ppm := range []float64{0, 300, -300} {
		for _, latency := range [][2]time.Duration{{5 * time.Millisecond, 2500 * time.Microsecond}, {15 * time.Millisecond, 5 * time.Millisecond}, {120 * time.Millisecond, 60 * time.Millisecond}} {
			t.Run(fmt.Sprintf("%+.0f ppm, speaker %v, microphone %v", ppm, latency[0], latency[1]), func(t *testing.T) {
				d := devices{ppm: ppm, speaker: latency[0], mic: latency[1], lead: audio.MixLead, late: rand.New(rand.NewPCG(1, 2))}
				var m mixLine
				var b audio.Block
				worst, jumps, holes, last := 0, 0, 0, float32(0)
				for n := range 60000 {
					want := d.block(&m, &b, n)
					if n >= 200 {
						off := apart(b[0], want)
						worst = max(worst, off, -off)
						if step := apart(b[0], last); step < 0 || step > 2 {
							jumps++
						}
						if b[0] == 0 && b[1] == 0 || b[len(b)-2] == 0 && b[len(b)-1] == 0 {
							holes++
						}
					}
					last = b[len(b)-1]
				}
				t.Logf("off by %v at worst, %d jumps, %d holes", sampleTime(int64(worst)), jumps, holes)
				if worst > int(samplesIn(2*time.Millisecond)) || jumps > 0 || holes > 0 {
					t.Errorf("off by %v at worst, %d jumps, %d holes", sampleTime(int64(worst)), jumps, holes)
				}
			})
		}
	}
}

// A device that is replaced has another latency.
func TestMixFollowsAJumpOfADevice(t *testing.T) {
	d := devices{speaker: 15 * time.Millisecond, mic: 5 * time.Millisecond, late: rand.New(rand.NewPCG(1, 2))}
	var m mixLine
	var b audio.Block
	for n := range 900 {
		switch n {
		case 300:
			d.speaker = 95 * time.Millisecond
		case 600:
			d.speaker = 10 * time.Millisecond
		}
		want := d.block(&m, &b, n)
		if off := apart(b[0], want); n%300 > 100 && max(off, -off) > int(samplesIn(2*time.Millisecond)) {
			t.Fatalf("block %d: off by %d samples", n, off)
		}
	}
}

func TestMixIsSilenceWhileNothingWasPlayed(t *testing.T) {
	var m mixLine
	var said counter
	b := audio.Block{1, 2, 3}
	start := time.Unix(1000, 0)
	m.take(&b, start)
	if b != (audio.Block{}) {
		t.Error("there is a mix before anything was played")
	}
	m.put(said.block(), start)
	for n := range 100 { // the speaker stops
		m.take(&b, start.Add(time.Duration(n+1)*audio.BlockDuration))
		if n > 2 && b != (audio.Block{}) {
			t.Fatalf("block %d: a mix of what was played long ago", n)
		}
	}
}
