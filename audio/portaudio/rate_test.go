package portaudio

import (
	"math"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// refused is a rate that no device has.
const refused = 7e6

func TestDeviceThatRefusesTheRateIsConverted(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Rate: 44100})
	server.Setenv()
	machine := server.Machine(0)
	sink, err := openSink(Config{Device: machine.Speaker}, refused)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	source, err := openSource(Config{Device: machine.Ear}, refused)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	sink.mu.Lock()
	rate := sink.current.stream.rate
	sink.mu.Unlock()
	if rate != 44100 {
		t.Fatalf("the speaker was opened at %v Hz", rate)
	}
	go func() { // 1 kHz
		var b audio.StereoBlock
		for n := 0; ; {
			for i := range audio.BlockSamples {
				x := float32(0.5 * math.Sin(2*math.Pi*1000*float64(n)/audio.SampleRate))
				b[2*i], b[2*i+1] = x, x
				n++
			}
			if sink.WriteBlock(&b) != nil {
				return
			}
		}
	}()
	// A sine s keeps to s[n+1] = 2·cos(w)·s[n] - s[n-1]; clicks and a wrong pitch don't.
	w := 2 * math.Cos(2*math.Pi*1000/audio.SampleRate)
	good := 0
	for deadline := time.Now().Add(5 * time.Second); good < 20 && time.Now().Before(deadline); {
		var b audio.Block
		if err := source.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
		worst, peak := 0.0, 0.0
		for i := 1; i+1 < len(b); i++ {
			worst = max(worst, math.Abs(w*float64(b[i])-float64(b[i-1])-float64(b[i+1])))
			peak = max(peak, math.Abs(float64(b[i])))
		}
		if peak > 0.45 && peak < 0.55 && worst < 1e-3 {
			good++
		}
	}
	if good < 20 {
		t.Errorf("no 20 blocks of clean sine came back; speaker %+v, microphone %+v", sink.Faults(), source.Faults())
	}
}

func TestShaperMixesAndConverts(t *testing.T) {
	for name, c := range map[string]struct {
		from, to, fromRate, toRate int
		in                         []float32 // one frame, repeated
		want                       []float32
	}{
		"as it is":            {2, 2, 48000, 48000, []float32{0.5, -0.5}, []float32{0.5, -0.5}},
		"stereo to mono":      {2, 1, 48000, 48000, []float32{0.5, 0.25}, []float32{0.375}},
		"six channels":        {6, 1, 48000, 48000, []float32{1, 0, 0, 0, 0, 0.5}, []float32{0.25}},
		"rate of both sides":  {2, 2, 48000, 44100, []float32{0.5, -0.25}, []float32{0.5, -0.25}},
		"mono of a lower one": {2, 1, 16000, 48000, []float32{0.5, 0.25}, []float32{0.375}},
	} {
		t.Run(name, func(t *testing.T) {
			const frames, pieces = 240, 20
			s, err := newShaper(c.from, c.to, c.fromRate, c.toRate, frames)
			if err != nil {
				t.Fatal(err)
			}
			var piece, out []float32
			for range frames {
				piece = append(piece, c.in...)
			}
			for range pieces {
				out = append(out, s.shape(piece)...)
			}
			want := (frames*pieces - s.delay()) * c.toRate / c.fromRate
			if got := len(out) / c.to; got < want-2 || got > want+2 {
				t.Errorf("%d frames out of %d, want %d", got, frames*pieces, want)
			}
			for i, x := range c.want {
				if got := out[len(out)-c.to+i]; math.Abs(float64(got-x)) > 1e-3 {
					t.Errorf("channel %d is %v, want %v", i, got, x)
				}
			}
			if allocs := testing.AllocsPerRun(20, func() { s.shape(piece) }); allocs > 0 {
				t.Errorf("%v allocations per piece", allocs)
			}
		})
	}
}

func BenchmarkShaper(b *testing.B) {
	for name, rate := range map[string]int{"as it is": 48000, "from 44.1 kHz": 44100} {
		b.Run(name, func(b *testing.B) {
			s, err := newShaper(2, 2, rate, audio.SampleRate, 240)
			if err != nil {
				b.Fatal(err)
			}
			piece := make([]float32, 480)
			b.ReportAllocs()
			for b.Loop() {
				s.shape(piece)
			}
		})
	}
}
