package portaudio_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// chirp is 20 ms of a tone that rises from 500 to 4000 Hz, in a sine-squared window.
func chirp() []float32 {
	const n = audio.SampleRate / 50
	pcm := make([]float32, n)
	phase := 0.0
	for i := range pcm {
		x := float64(i) / n
		phase += 2 * math.Pi * (500 + 3500*x) / audio.SampleRate
		window := math.Sin(math.Pi * x)
		pcm[i] = float32(0.5 * math.Sin(phase) * window * window)
	}
	return pcm
}

// correlation is the normalised correlation of a pattern with the start of pcm.
func correlation(pattern, pcm []float32) float64 {
	var ab, aa, bb float64
	for i, a := range pattern {
		b := pcm[i]
		ab += float64(a) * float64(b)
		aa += float64(a) * float64(a)
		bb += float64(b) * float64(b)
	}
	if bb < 1e-9 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// find returns where in pcm the pattern fits best, and how well.
func find(pattern, pcm []float32) (at int, fit float64) {
	for i := 0; i+len(pattern) <= len(pcm); i++ {
		if math.Abs(float64(pcm[i+len(pattern)/2])) < 1e-3 && math.Abs(float64(pcm[i+len(pattern)/2+3])) < 1e-3 {
			continue
		}
		if c := correlation(pattern, pcm[i:]); c > fit {
			at, fit = i, c
		}
	}
	return at, fit
}

// loop measures how long a chirp takes from WriteBlock through a speaker, its
// monitor and a microphone to ReadBlock. The clock starts when WriteBlock is
// called with the chirp's first block, which is made just before, and stops when
// ReadBlock returned the block that holds its first sample, less what came after
// that sample in the block.
//
// It also returns what the two devices said then that it takes, chirp by chirp, and
// whether nothing went wrong meanwhile.
func loop(t *testing.T, latency time.Duration, chirps int) (measured, said []time.Duration, clean bool) {
	t.Helper()
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	machine := server.Machine(0)
	sink, err := portaudio.OpenSink(portaudio.Config{Device: machine.Speaker, Latency: latency})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	source, err := portaudio.OpenSource(portaudio.Config{Device: machine.Ear, Latency: latency})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()

	const every = 30 // blocks between chirps
	blocks := (chirps + 2) * every
	type begun struct {
		at   time.Time
		said time.Duration // by the sink, of the block that was written then
	}
	sent := make(chan begun, chirps+3)
	go func() {
		defer close(sent)
		pattern := chirp()
		var b audio.StereoBlock
		for i := range blocks {
			clear(b[:])
			if at := i % every; at < 2 && i >= every {
				for j, x := range pattern[at*audio.BlockSamples:][:audio.BlockSamples] {
					b[2*j], b[2*j+1] = x, x
				}
			}
			at := time.Now()
			if err := sink.WriteBlock(&b); err != nil {
				t.Error(err)
				return
			}
			if i%every == 0 && i >= every {
				sent <- begun{at, sink.Latency()}
			}
		}
	}()
	heard := make([]float32, 0, blocks*audio.BlockSamples)
	times := make([]time.Time, 0, blocks)
	sourceSaid := make([]time.Duration, 0, blocks)
	for range blocks {
		var b audio.Block
		if err := source.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Now())
		sourceSaid = append(sourceSaid, source.Latency())
		heard = append(heard, b[:]...)
	}
	pattern := chirp()
	from := 0
	for began := range sent {
		for from < len(times) && times[from].Before(began.at) {
			from++
		}
		end := min(len(heard), (from+every/2)*audio.BlockSamples)
		at, fit := find(pattern, heard[from*audio.BlockSamples:end])
		if fit < 0.99 {
			continue // the last one may not have come back
		}
		at += from * audio.BlockSamples
		block := at / audio.BlockSamples
		into := time.Duration(at%audio.BlockSamples) * time.Second / audio.SampleRate
		measured = append(measured, times[block].Sub(began.at)-(audio.BlockDuration-into))
		said = append(said, began.said+sourceSaid[block])
	}
	t.Logf("latency %v: faults %+v %+v", latency, sink.Faults(), source.Faults())
	return measured, said, sink.Faults() == audio.Faults{} && source.Faults() == audio.Faults{}
}

func TestLoopIsShort(t *testing.T) {
	for name, c := range map[string]struct{ ask, most time.Duration }{
		"by default": {0, 45 * time.Millisecond},
		"low delay":  {portaudio.LowDelay, 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			delays, said, clean := loop(t, c.ask, 6)
			t.Logf("write to read: %v, and the devices say %v", delays, said)
			if len(delays) < 4 {
				t.Fatalf("only %d of 6 chirps came back", len(delays))
			}
			wrong := make([]time.Duration, len(delays))
			for i, delay := range delays {
				wrong[i] = (said[i] - delay).Abs()
			}
			slices.Sort(wrong)
			slices.Sort(delays)
			median := delays[len(delays)/2]
			if median > c.most {
				t.Errorf("write to read takes %v, want at most %v", median, c.most)
			}
			if most := wrong[len(wrong)/2]; clean && most > 5*time.Millisecond { // what a busy machine did wrong changed it
				t.Errorf("half of what the devices say is wrong by %v or more", most)
			}
		})
	}
}
