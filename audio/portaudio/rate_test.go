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

// A tone through a speaker and a microphone of another rate than 48 kHz keeps its
// pitch and its level. The one that is not looked at is asked for 48 kHz, which
// PulseAudio converts for it.
func TestDevicesOfOtherRates(t *testing.T) {
	for _, test := range []struct {
		name   string
		device int     // rate of the devices in Hz
		asked  float64 // that they are opened with
		hz     float64 // of the tone
	}{
		{"44.1 kHz, 48 refused", 44100, refused, 1000},
		{"44.1 kHz, 48 refused, high", 44100, refused, 15000},
		{"16 kHz", 16000, 16000, 1000},
		{"16 kHz, high", 16000, 16000, 4000},
	} {
		for dir, noun := range []string{"microphone", "speaker"} {
			t.Run(test.name+", "+noun, func(t *testing.T) {
				server := pulsetest.Start(t, pulsetest.Config{Rate: test.device})
				server.Setenv()
				rates := [2]float64{audio.SampleRate, audio.SampleRate}
				rates[dir] = test.asked
				machine := server.Machine(0)
				sink, err := openSink(Config{Device: machine.Speaker}, rates[output])
				if err != nil {
					t.Fatal(err)
				}
				source, err := openSource(Config{Device: machine.Ear}, rates[input])
				if err != nil {
					t.Fatal(err)
				}
				e := []*endpoint{&source.endpoint, &sink.endpoint}[dir]
				e.mu.Lock()
				rate := e.current.stream.rate
				e.mu.Unlock()
				if rate != float64(test.device) {
					t.Errorf("the %s was opened at %v Hz", noun, rate)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					playSine(sink, test.hz)
				}()
				defer func() {
					_ = source.Close()
					_ = sink.Close()
					<-ended
				}()
				expectSine(t, source, test.hz)
				if t.Failed() {
					t.Logf("speaker %+v, microphone %+v", sink.Faults(), source.Faults())
				}
			})
		}
	}
}

// playSine plays a tone of amplitude 0.5 until the sink is closed.
func playSine(sink *Sink, hz float64) {
	var b audio.StereoBlock
	for n := 0; ; {
		for i := range audio.BlockSamples {
			x := float32(0.5 * math.Sin(2*math.Pi*hz*float64(n)/audio.SampleRate))
			b[2*i], b[2*i+1] = x, x
			n++
		}
		if sink.WriteBlock(&b) != nil {
			return
		}
	}
}

// expectSine waits for 10 blocks of nothing but that tone, of amplitude 0.5 within
// half a decibel, that keep its phase: within 0.3 radians, which a frequency that is
// 0.5 Hz off loses.
func expectSine(t *testing.T, source *Source, hz float64) {
	t.Helper()
	good, first := 0, 0.0
	deadline := time.Now().Add(8 * time.Second)
	for n := 0; good < 10; n += audio.BlockSamples {
		var b audio.Block
		if err := source.ReadBlock(&b); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Error("no 10 blocks of that sine came back")
			return
		}
		amplitude, phase, residual := fitSine(b[:], hz, n)
		if residual > 0.02 || math.Abs(20*math.Log10(amplitude/0.5)) > 0.5 {
			good = 0
			continue
		}
		if math.Abs(math.Remainder(phase-first, 2*math.Pi)) > 0.3 {
			good = 0
		}
		if good == 0 {
			first = phase
		}
		good++
	}
}

// fitSine finds the sine of that frequency that is nearest to pcm, which begins with
// sample n, and by how much a sample differs from it at most.
func fitSine(pcm []float32, hz float64, n int) (amplitude, phase, residual float64) {
	at := func(i int) (sin, cos float64) {
		return math.Sincos(2 * math.Pi * math.Mod(hz*float64(n+i)/audio.SampleRate, 1))
	}
	var cc, ss, cs, xc, xs float64
	for i, x := range pcm {
		sin, cos := at(i)
		cc, ss, cs = cc+cos*cos, ss+sin*sin, cs+cos*sin
		xc, xs = xc+float64(x)*cos, xs+float64(x)*sin
	}
	det := cc*ss - cs*cs
	re, im := (xc*ss-xs*cs)/det, (xs*cc-xc*cs)/det
	for i, x := range pcm {
		sin, cos := at(i)
		residual = max(residual, math.Abs(float64(x)-re*cos-im*sin))
	}
	return math.Hypot(re, im), math.Atan2(im, re), residual
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
