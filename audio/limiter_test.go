package audio

import (
	"math"
	"testing"
	"time"
)

// limit runs mono pcm through both sides of a limiter and removes its delay.
func limit(t *testing.T, l *limiter, pcm []float32) []float32 {
	t.Helper()
	padded := append(append([]float32(nil), pcm...), make([]float32, BlockSamples)...)
	var out []float32
	for _, b := range blocks(padded) {
		var s StereoBlock
		Upmix(&s, &b)
		l.Process(&s)
		for i := range b {
			if s[2*i] != s[2*i+1] {
				t.Fatal("the sides differ")
			}
			out = append(out, s[2*i])
		}
	}
	return out[limiterDelay:][:min(len(pcm), len(out)-limiterDelay)]
}

func TestLimiterNeverExceedsOne(t *testing.T) {
	voices := make([]float32, 96000)
	for v := range 16 {
		for i, x := range sine(len(voices), SampleRate, 110*float64(v+1), 1) {
			voices[i] += x
		}
	}
	square := make([]float32, 48000)
	for i := range square {
		square[i] = float32(1-2*(i/240%2)) * float32(i/4800) / 3
	}
	bursts := make([]float32, 96000)
	for i, x := range noise(len(bursts), 3, 20) {
		if i/997%3 == 0 {
			bursts[i] = x
		}
	}
	impulse := make([]float32, 48000)
	impulse[479], impulse[480], impulse[24000] = 5, -8, 1e30
	tests := map[string][]float32{
		"16 loud voices":         voices,
		"squares that grow":      square,
		"bursts":                 bursts,
		"impulses":               impulse,
		"one voice at its limit": sine(48000, SampleRate, 997, 1),
	}
	for name, pcm := range tests {
		t.Run(name, func(t *testing.T) {
			out := limit(t, &limiter{}, pcm)
			peak, _ := measure(out)
			if peak > 1 {
				t.Errorf("peak of %v", peak)
			}
			if peak < LimiterThreshold*0.9 {
				t.Errorf("peak of %v: turned down too far", peak)
			}
			// The gain is low enough for every sample by itself: none is cut.
			for i, x := range out {
				in := float64(pcm[i])
				if most := math.Abs(in) * requiredGain(pcm[i], 0); math.Abs(float64(x)) > most+1e-6 {
					t.Fatalf("sample %d of %v is %v, want at most %v", i, in, x, most)
				}
			}
		})
	}
}

func TestLimiterKneeIsSmooth(t *testing.T) {
	last, lastSlope := 0.0, 1.0
	for p := float32(0.5); p < 12; p += 0.001 {
		y := float64(p) * requiredGain(p, 0)
		if y > 1 {
			t.Fatalf("a peak of %v is brought to %v", p, y)
		}
		if last > 0 {
			slope := (y - last) / 0.001
			if slope < 0 || math.Abs(slope-lastSlope) > 0.02 {
				t.Fatalf("slope goes from %v to %v at %v", lastSlope, slope, p)
			}
			lastSlope = slope
		}
		last = y
	}
}

func TestLimiterAttackHasNoClick(t *testing.T) {
	// A quiet tone of 100 Hz that becomes loud at a zero crossing: what is above
	// 3 kHz in the output comes from the limiter.
	pcm := sine(48000, SampleRate, 100, 1)
	for i := range pcm {
		if i < 24000 {
			pcm[i] *= 0.5
		} else {
			pcm[i] *= 3
		}
	}
	out := limit(t, &limiter{}, pcm)
	allowed := 3 * 2 * math.Pi * 100 / SampleRate // the steepest step of the input
	for i := 1; i < len(out); i++ {
		if step := math.Abs(float64(out[i] - out[i-1])); step > allowed*1.05 {
			t.Fatalf("step of %.4f at sample %d, the input's steepest is %.4f", step, i, allowed)
		}
	}
	hard := make([]float32, len(pcm))
	for i, x := range pcm {
		hard[i] = min(max(x, -1), 1)
	}
	if soft, cut := buzz(out[26000:46000]), buzz(hard[26000:46000]); soft > cut/30 || soft > Amplitude(-60) {
		t.Errorf("%.1f dBFS of harmonics from 3 kHz on, %.1f dBFS by clipping", DBFS(soft), DBFS(cut))
	}
}

// buzz is the sum of the harmonics of 100 Hz from 3 to 6 kHz.
func buzz(pcm []float32) float64 {
	sum := 0.0
	for f := 3000.0; f < 6000; f += 100 {
		a := partial(pcm, SampleRate, f)
		sum += a * a
	}
	return math.Sqrt(sum)
}

func TestLimiterRecoversToExactlyUnity(t *testing.T) {
	quiet := noise(4*48000, 5, 0.5)
	pcm := append(sine(4800, SampleRate, 500, 4), quiet...)
	out := limit(t, &limiter{}, pcm)
	at := 4800 + 2*SampleRate
	for i := at; i < len(out); i++ {
		if out[i] != pcm[i] {
			t.Fatalf("2 s after the peak sample %d is %v, want %v", i, out[i], pcm[i])
		}
	}
	if early := 4800 + SampleRate/20; rmsOf(out[early:early+4800]) > 0.9*rmsOf(pcm[early:early+4800]) {
		t.Error("the gain recovers within 50 ms: it would follow the waveform")
	}
}

func TestLimiterKeepsTheSidesTogether(t *testing.T) {
	for _, side := range [][2]float32{{3, 0.3}, {0.3, 3}} {
		var l limiter
		var b StereoBlock
		for range 20 {
			for i := 0; i < len(b); i += 2 {
				b[i], b[i+1] = side[0], side[1]
			}
			l.Process(&b)
		}
		if ratio, want := b[958]/b[959], side[0]/side[1]; math.Abs(float64(ratio/want)-1) > 1e-5 {
			t.Errorf("left is %v times right, want %v", ratio, want)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	for _, bench := range []struct {
		name string
		peak float64
	}{{"at rest", 0.5}, {"active", 4}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var l limiter
			var in StereoBlock
			copy(in[:], noise(len(in), 1, bench.peak))
			for b.Loop() {
				out := in
				l.Process(&out)
			}
		})
	}
}

// A MixLimiter of one's own does what that of a Mixer does.
func TestLimiterIsThatOfTheMixer(t *testing.T) {
	var own MixLimiter
	var inner limiter
	for _, b := range stereoNoise(50) {
		for i := range b {
			b[i] *= 2
		}
		same := b
		own.Process(&b)
		inner.Process(&same)
		if b != same || peakOf(&b) > 1 {
			t.Fatal("limited otherwise")
		}
	}
}

// In a chain it does what it does in a mixer.
func TestLimiterOfAMicrophone(t *testing.T) {
	pcm := sine(48000, SampleRate, 300, 3)
	pcm[20000] = float32(math.NaN())
	var l Limiter
	var out []float32
	for _, b := range blocks(pcm) {
		l.Process(&b, nil)
		out = append(out, b[:]...)
	}
	if peak, _ := measure(out); !(peak <= 1 && peak > LimiterThreshold) {
		t.Errorf("peak of %v", peak)
	}
	quiet := sine(4800, SampleRate, 300, 0.5)
	l = Limiter{}
	out = out[:0]
	for _, b := range blocks(quiet) {
		l.Process(&b, nil)
		out = append(out, b[:]...)
	}
	delay := int(l.Delay() * SampleRate / time.Second)
	for i := delay; i < len(out); i++ {
		if out[i] != quiet[i-delay] {
			t.Fatalf("sample %d is %v, want %v, %v later", i, out[i], quiet[i-delay], l.Delay())
		}
	}
	b := Block{}
	assertNoAllocs(t, "Limiter.Process", func() { l.Process(&b, nil) })
}
