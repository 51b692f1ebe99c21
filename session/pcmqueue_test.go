package session

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// reading is a voice of 150 Hz that is put at our clock, and a reader whose clock
// differs, and who reads in pieces.
type reading struct {
	q       pcmQueue
	ppm     float64
	piece   int // samples
	blocks  int
	read    int
	got     []float32
	voice   func(n int) float32 // sample n
	longest int                 // most that was queued
}

func newReading(ppm float64, piece int) *reading {
	r := &reading{ppm: ppm, piece: piece, voice: func(n int) float32 {
		return float32(0.3 * math.Sin(2*math.Pi*150*float64(n)/audio.SampleRate))
	}}
	r.q.left, r.q.begins = pcmMost, true
	return r
}

// block puts a block, and reads what is due by then.
func (r *reading) block() {
	r.put()
	for float64(r.read+r.piece) <= float64(r.blocks*audio.BlockSamples)*(1+r.ppm*1e-6) {
		piece := make([]float32, r.piece)
		r.q.take(piece)
		r.read += r.piece
		r.got = append(r.got, piece...)
	}
}

func (r *reading) put() {
	var b audio.Block
	for i := range b {
		b[i] = r.voice(r.blocks*audio.BlockSamples + i)
	}
	r.q.put(&b)
	r.blocks++
	r.longest = max(r.longest, r.q.queued)
}

// For a minute a reader whose clock is off is given all of the voice, hardly
// late, without a step and without a hole.
func TestAReaderWithAClockOfItsOwnIsFollowed(t *testing.T) {
	for _, ppm := range []float64{0, 500, -500, 2000, -2000} {
		for _, piece := range []int{64, 480, 1024, 4800} {
			t.Run(fmt.Sprintf("%+.0f ppm, pieces of %d", ppm, piece), func(t *testing.T) {
				r := newReading(ppm, piece)
				for range 300 {
					r.block()
				}
				missing, skipped := r.q.stats.Missing, r.q.stats.Skipped
				r.longest, r.got = 0, nil
				for range 6000 {
					r.block()
				}
				st := r.q.stats
				t.Logf("at most %v waited, %d samples stretched, %d missing, %d skipped", sampleTime(int64(r.longest)), st.Stretched, st.Missing-missing, st.Skipped-skipped)
				if st.Missing > missing || st.Skipped > skipped {
					t.Errorf("%d samples are missing, %d were skipped", st.Missing-missing, st.Skipped-skipped)
				}
				if most := piece + pcmSpare + 3*audio.BlockSamples; r.longest > most {
					t.Errorf("%d samples waited, want %d at most", r.longest, most)
				}
				if least := uint64(math.Abs(ppm)*1e-6*60*audio.SampleRate) / 2; st.Stretched < least {
					t.Errorf("only %d samples were stretched", st.Stretched)
				}
				checkTone(t, r.got, 0.3*2*math.Pi*150/audio.SampleRate)
			})
		}
	}
}

// checkTone checks that no sample is farther from the one before than the tone's
// steepest, but for what a stretch does.
func checkTone(t *testing.T, pcm []float32, steepest float64) {
	t.Helper()
	for i := 1; i < len(pcm); i++ {
		if step := math.Abs(float64(pcm[i] - pcm[i-1])); step > 1.5*steepest {
			t.Fatalf("a step of %.4f at sample %d, the tone's steepest is %.4f", step, i, steepest)
		}
	}
}

// What nobody reads doesn't pile up, and is dropped for what is live when somebody
// reads again.
func TestWhatNobodyReadsIsDropped(t *testing.T) {
	r := newReading(0, 480)
	r.voice = func(n int) float32 { return float32(0.3 * math.Sin(float64(n)/50)) } // no whole periods in a block
	for range 203 {
		r.block()
	}
	r.got = r.got[len(r.got)-1:]
	for range 1000 { // ten seconds
		r.put()
		if r.q.queued > pcmMost {
			t.Fatalf("%d samples wait", r.q.queued)
		}
	}
	if wait := sampleTime(int64(r.q.queued)); wait > 100*time.Millisecond {
		t.Errorf("%v wait when nobody has read for ten seconds", wait)
	}
	if r.q.stats.Skipped < 9*audio.SampleRate {
		t.Errorf("only %d samples were skipped", r.q.stats.Skipped)
	}
	r.read = r.blocks * audio.BlockSamples
	for range 150 {
		r.block()
	}
	if r.q.queued > pcmSpare+audio.BlockSamples {
		t.Errorf("%d samples wait a second and a half later", r.q.queued)
	}
	checkTone(t, r.got, 0.01) // it goes over to what is live within 2.5 ms
}

// A player that fills a large buffer at once, before there is anything and later on,
// gets silence, and has no more delay for it a moment later.
func TestAGreedyReadIsSilenceAndNoDelay(t *testing.T) {
	r := newReading(0, 480)
	greedy := make([]float32, audio.SampleRate)
	greedy[7] = 1
	r.q.take(greedy)
	if *(*[audio.SampleRate]float32)(greedy) != [audio.SampleRate]float32{} || r.q.stats.Missing != 0 {
		t.Errorf("before there is anything: not silence, or %d samples counted as missing", r.q.stats.Missing)
	}
	for range 300 {
		r.block()
	}
	missing := r.q.stats.Missing
	r.q.take(greedy)
	if r.q.stats.Missing < missing+audio.SampleRate*9/10 {
		t.Errorf("%d samples are counted as missing", r.q.stats.Missing-missing)
	}
	r.got = nil
	for range 300 {
		r.block()
	}
	if r.q.queued > pcmSpare+audio.BlockSamples {
		t.Errorf("%d samples wait", r.q.queued)
	}
	checkTone(t, append([]float32{0}, r.got...), 0.3*2*math.Pi*150/audio.SampleRate*2) // with a fade at its beginning
}

func TestTheQueueAllocatesNothing(t *testing.T) {
	r := newReading(1000, 333)
	var b audio.Block
	for i := range b {
		b[i] = r.voice(i)
	}
	piece := make([]float32, 333)
	due := 0.0
	if n := testing.AllocsPerRun(2000, func() {
		r.q.put(&b)
		for due += 480.5; due >= 333; due -= 333 {
			r.q.take(piece)
		}
	}); n != 0 {
		t.Errorf("%v allocations a block", n)
	}
	if r.q.stats.Stretched == 0 {
		t.Error("nothing was stretched")
	}
}
