package stretch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

const rate = 48000

// vowel is a synthetic voice: a pulse train of the pitch through two formants,
// swelling slowly.
func vowel(n int, pitch float64) []float32 {
	x := make([]float32, n)
	for h := 1; float64(h)*pitch < 4000; h++ {
		f := float64(h) * pitch
		first, second := (f-600)/200, (f-1700)/300
		a := 1/(1+first*first) + 0.5/(1+second*second) + 0.05
		for i := range x {
			x[i] += float32(0.1 * a * math.Sin(2*math.Pi*f*float64(i)/rate+float64(h*h)))
		}
	}
	for i := range x {
		x[i] *= float32(0.8 + 0.2*math.Sin(2*math.Pi*3*float64(i)/rate))
	}
	return x
}

func tone(n int, f float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(0.5 * math.Sin(2*math.Pi*f*float64(i)/rate))
	}
	return x
}

func noise(n int, level float32) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = level * float32(r.NormFloat64())
	}
	return x
}

func constant(n int, v float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return x
}

func maxStep(x []float32) float64 {
	m := 0.0
	for i := 1; i < len(x); i++ {
		m = max(m, math.Abs(float64(x[i]-x[i-1])))
	}
	return m
}

// pitchOf finds the pitch, within a third of what it should be, by
// autocorrelation over the whole of x, independent of the code under test.
func pitchOf(x []float32, about float64) float64 {
	best, most := 0, 0.0
	for lag := int(rate / about / 1.33); lag <= int(rate/about*1.33); lag++ {
		sum, energy := 0.0, 0.0
		for i := 0; i+lag < len(x); i++ {
			sum += float64(x[i]) * float64(x[i+lag])
			energy += float64(x[i+lag]) * float64(x[i+lag])
		}
		if c := sum / math.Sqrt(energy+1e-12); c > most {
			best, most = lag, c
		}
	}
	return rate / float64(best)
}

// stretchAll stretches a long signal block by block, as a queue would be.
func stretchAll(x []float32, block int, f func([]float32) []float32) []float32 {
	var out []float32
	for len(x) >= block {
		b := append(make([]float32, 0, block+MaxChange), x[:block]...)
		out = append(out, f(b)...)
		x = x[block:]
	}
	return out
}

func accelerate(b []float32) []float32 { return b[:Accelerate(b, MaxChange, false)] }
func expand(b []float32) []float32     { return Expand(b, false) }

func TestSpeechKeepsItsPitchAndHasNoClicks(t *testing.T) {
	modes := map[string]struct {
		f       func([]float32) []float32
		longer  bool
		changed float64 // least change of the duration
	}{
		"accelerate": {accelerate, false, 0.05},
		"expand":     {expand, true, 0.05},
	}
	for mode, m := range modes {
		for _, block := range []int{960, 1200, 1440} {
			for _, pitch := range []float64{90, 120, 180, 240, 330} {
				t.Run(fmt.Sprintf("%s %.0f Hz in %d", mode, pitch, block), func(t *testing.T) {
					if pitch < 105 && block < 1200 {
						t.Skip("a period doesn't fit twice")
					}
					in := vowel(rate/2, pitch)
					out := stretchAll(in, block, m.f)
					change := float64(len(out)-len(in)) / float64(len(in))
					if m.longer && change < m.changed || !m.longer && change > -m.changed {
						t.Errorf("duration changed by %.3f", change)
					}
					if got := pitchOf(out, pitch); math.Abs(got/pitch-1) > 0.02 {
						t.Errorf("pitch is %.1f Hz, was %.0f", got, pitch)
					}
					if got, had := maxStep(out), maxStep(in); got > 1.1*had {
						t.Errorf("step of %.4f, had at most %.4f: a click", got, had)
					}
				})
			}
		}
	}
}

func TestOneWholePeriodIsChanged(t *testing.T) {
	in := vowel(1440, 150) // a period of 320 samples
	for _, fast := range []bool{false, true} {
		x := append([]float32(nil), in...)
		if removed := len(x) - Accelerate(x, MaxChange, fast); removed%320 > 2 && removed%320 < 318 || removed == 0 {
			t.Errorf("fast %v: removed %d samples, want a multiple of 320", fast, removed)
		}
	}
	y := Expand(append(make([]float32, 0, 4000), in...), false)
	if n := len(y) - len(in); n%320 > 2 && n%320 < 318 || n == 0 {
		t.Errorf("inserted %d samples, want a multiple of 320", n)
	}
}

func TestEndsStay(t *testing.T) {
	in := vowel(1400, 200)
	x := append([]float32(nil), in...)
	n := Accelerate(x, MaxChange, false)
	if n == len(in) || x[0] != in[0] || x[n-1] != in[len(in)-1] {
		t.Errorf("Accelerate to %d: begins %v ends %v, want %v and %v", n, x[0], x[n-1], in[0], in[len(in)-1])
	}
	y := Expand(append(make([]float32, 0, 4000), in...), false)
	if len(y) == len(in) || y[0] != in[0] || y[len(y)-1] != in[len(in)-1] {
		t.Errorf("Expand to %d: begins %v ends %v, want %v and %v", len(y), y[0], y[len(y)-1], in[0], in[len(in)-1])
	}
}

func TestExpandThenAccelerateGivesTheLengthBack(t *testing.T) {
	in := vowel(1440, 210)
	y := Expand(append(make([]float32, 0, 4000), in...), false)
	n := Accelerate(y, MaxChange, false)
	if got := n - len(in); got < -2 || got > 2 {
		t.Errorf("%d samples differ after both", got)
	}
}

func TestAnySignal(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := map[string]struct {
		pcm    []float32
		accept bool // is stretched
		fast   bool
	}{
		"nothing":       {nil, false, false},
		"one sample":    {[]float32{1}, false, false},
		"too short":     {make([]float32, MinSamples-1), false, false},
		"silence":       {make([]float32, 1440), true, false},
		"short silence": {make([]float32, MinSamples), true, false},
		"tone":          {tone(1440, 440), true, false},
		"high tone":     {tone(1440, 3000), true, false},
		"DC":            {constant(1440, 0.5), true, false},
		"loud noise":    {noise(1440, 0.3), false, false},
		"loud, fast":    {noise(1440, 0.3), false, true},
		"faint noise":   {noise(1440, 0.001), true, false},
		"NaN":           {constant(1440, nan), false, false},
		"one NaN":       {append(tone(1439, 440), nan), false, false},
		"infinite":      {constant(1440, inf), false, true},
		"huge":          {constant(1440, math.MaxFloat32), false, true},
		"denormal":      {constant(1440, math.SmallestNonzeroFloat32), true, false},
		"long":          {tone(9600, 200), true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x := append([]float32(nil), tt.pcm...)
			n := Accelerate(x, MaxChange, tt.fast)
			if (n != len(x)) != tt.accept || n < len(x)-MaxChange || n > len(x) {
				t.Errorf("Accelerate of %d samples to %d", len(x), n)
			}
			y := Expand(append([]float32(nil), tt.pcm...), false)
			if (len(y) != len(x)) != tt.accept && !tt.fast || len(y) > len(x)+MaxChange || len(y) < len(x) {
				t.Errorf("Expand of %d samples to %d", len(x), len(y))
			}
			if step := maxStep(x[:n]); tt.accept && step > 1.1*maxStep(tt.pcm)+1e-6 {
				t.Errorf("Accelerate clicks: step %v, had %v", step, maxStep(tt.pcm))
			}
			if step := maxStep(y); tt.accept && step > 1.1*maxStep(tt.pcm)+1e-6 {
				t.Errorf("Expand clicks: step %v, had %v", step, maxStep(tt.pcm))
			}
		})
	}
}

func TestCrossFade(t *testing.T) {
	in, out := constant(10, 1), constant(5, 0)
	CrossFade(in, out)
	want := []float32{0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1}
	for i := range want {
		if math.Abs(float64(in[i]-want[i])) > 1e-6 {
			t.Fatalf("got %v, want %v", in, want)
		}
	}
	CrossFade(nil, out)
	CrossFade(in, nil)
}

func TestNothingIsAllocated(t *testing.T) {
	in := vowel(1440, 150)
	buf := make([]float32, 1440, 1440+MaxChange)
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, in)
		Accelerate(buf, MaxChange, false)
		copy(buf, in)
		Expand(buf, false)
		CrossFade(buf, in)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A hoarse voice repeats itself less well: fast is content with that.
func TestFastIsContentWithAPoorerMatch(t *testing.T) {
	hoarse := vowel(1440, 150)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range hoarse {
		hoarse[i] += float32(0.07 * r.NormFloat64())
	}
	pcm := func() []float32 { return append(make([]float32, 0, 1440+MaxChange), hoarse...) }
	if n := len(Expand(pcm(), false)); n != 1440 {
		t.Errorf("lengthened to %d with a match that isn't good", n)
	}
	if n := len(Expand(pcm(), true)); n <= 1440 {
		t.Error("not lengthened, fast")
	}
	if n := Accelerate(pcm(), MaxChange, false); n != 1440 {
		t.Errorf("shortened to %d with a match that isn't good", n)
	}
	if n := Accelerate(pcm(), MaxChange, true); n >= 1440 {
		t.Error("not shortened, fast")
	}
}

func FuzzStretch(f *testing.F) {
	f.Add([]byte("some bytes"), 1440, 0.1)
	f.Add([]byte{0, 255}, 481, 1e30)
	f.Fuzz(func(t *testing.T, b []byte, n int, level float64) {
		x := make([]float32, min(max(n, 0), 5000))
		for i := range x {
			if len(b) > 0 {
				x[i] = float32(level) * float32(int8(b[i%len(b)]))
			}
		}
		y := append([]float32(nil), x...)
		if k := Accelerate(y, MaxChange, n%2 == 0); k > len(x) || k < len(x)-MaxChange {
			t.Fatalf("Accelerate of %d gives %d", len(x), k)
		}
		if k := len(Expand(x, n%2 == 0)); k < len(x) || k > len(x)+MaxChange {
			t.Fatalf("Expand of %d gives %d", len(x), k)
		}
	})
}

func BenchmarkAccelerate(b *testing.B) {
	in := vowel(1440, 150)
	buf := make([]float32, 1440)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		Accelerate(buf, MaxChange, false)
	}
}

func BenchmarkExpand(b *testing.B) {
	in := vowel(1440, 150)
	buf := make([]float32, 1440, 1440+MaxChange)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		Expand(buf[:1440], false)
	}
}

// TestPoorMatch has two tones that never repeat together: too unlike for the
// usual mode, good enough for the fast one, and still without a click.
func TestPoorMatch(t *testing.T) {
	in := tone(1440, 170)
	for i, v := range tone(1440, 291) {
		in[i] = 0.6*in[i] + 0.6*v
	}
	lag := period(in, MaxChange, true)
	if lag == 0 {
		t.Fatal("fast: no period found")
	}
	if c := correlation(in, lag); c > 0.9 || c < 0.5 {
		t.Fatalf("correlation is %.2f: no poor match", c)
	}
	x := append([]float32(nil), in...)
	if n := Accelerate(x, MaxChange, false); n != len(in) {
		t.Errorf("accepted, %d samples removed", len(in)-n)
	}
	if n := Accelerate(x, MaxChange, true); maxStep(x[:n]) > 1.1*maxStep(in) {
		t.Errorf("step of %.4f, had at most %.4f: a click", maxStep(x[:n]), maxStep(in))
	}
}
