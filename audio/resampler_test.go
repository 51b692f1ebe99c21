package audio

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

// convert resamples pcm in pieces of the given size and returns all output.
func convert(t testing.TB, from, to int, pcm []float32, piece int) []float32 {
	t.Helper()
	r, err := NewResampler(from, to)
	if err != nil {
		t.Fatal(err)
	}
	var out []float32
	dst := make([]float32, piece)
	for len(pcm) > 0 {
		taken, written := r.Process(dst, pcm[:min(piece, len(pcm))])
		if written < len(dst) && taken < min(piece, len(pcm)) {
			t.Fatalf("took %d and wrote %d: neither is all", taken, written)
		}
		pcm = pcm[taken:]
		out = append(out, dst[:written]...)
	}
	for {
		n := r.Flush(dst)
		out = append(out, dst[:n]...)
		if n < len(dst) {
			return out
		}
	}
}

var ratePairs = [][2]int{
	{44100, 48000},
	{48000, 44100},
	{8000, 48000},
	{16000, 48000},
	{22050, 48000},
	{11025, 48000},
	{96000, 48000},
	{192000, 48000},
	{88200, 48000},
	{48000, 10000},
	{48000, 16000},
	{4000, 48000},
	{384000, 48000},
	{44101, 48000},
	{47999, 48000},
	{48001, 48000},
	{383999, 48000},
}

func TestResamplerPassesTonesAndStopsAliases(t *testing.T) {
	for _, rates := range ratePairs {
		from, to := float64(rates[0]), float64(rates[1])
		t.Run(fmt.Sprintf("%d to %d", rates[0], rates[1]), func(t *testing.T) {
			nyquist := min(from, to) / 2
			for _, share := range []float64{0.01, 0.1, 0.33, 0.5, 0.7, 0.85, 0.9} {
				f := nyquist * share
				out := convert(t, rates[0], rates[1], sine(int(from/4), from, f, 0.5), 480)
				middle := out[len(out)/4 : len(out)*3/4]
				a := partial(middle, to, f)
				if gain := 20 * math.Log10(a/0.5); math.Abs(gain) > 0.02 {
					t.Errorf("gain of %.3f dB at %.2f of Nyquist", gain, share)
				}
				if rest := residue(middle, to, f); rest > -90 {
					t.Errorf("%.1f dB of other sounds from a tone at %.2f of Nyquist", rest, share)
				}
			}
			for _, share := range []float64{1.0, 1.05, 1.3, 0.99 * from / to} {
				if share < 1 || nyquist*share >= from/2 {
					continue
				}
				out := convert(t, rates[0], rates[1], sine(int(from/4), from, nyquist*share, 0.5), 480)
				middle := out[len(out)/4 : len(out)*3/4]
				if left := 20 * math.Log10(rmsOf(middle)/(0.5/math.Sqrt2)); left > -90 {
					t.Errorf("%.1f dB of a tone at %.2f of Nyquist is left", left, share)
				}
			}
		})
	}
}

// residue is the power of pcm without the sine of a frequency, in dB relative to
// that sine: mirrors, aliases and noise together.
func residue(pcm []float32, rate, frequency float64) float64 {
	// Least squares for a·cos + b·sin over the piece.
	var cc, ss, cs, xc, xs float64
	for i, x := range pcm {
		s, c := math.Sincos(2 * math.Pi * frequency * float64(i) / rate)
		cc, ss, cs = cc+c*c, ss+s*s, cs+c*s
		xc, xs = xc+float64(x)*c, xs+float64(x)*s
	}
	det := cc*ss - cs*cs
	a, b := (xc*ss-xs*cs)/det, (xs*cc-xc*cs)/det
	var rest, tone float64
	for i, x := range pcm {
		s, c := math.Sincos(2 * math.Pi * frequency * float64(i) / rate)
		y := a*c + b*s
		rest += (float64(x) - y) * (float64(x) - y)
		tone += y * y
	}
	return 10 * math.Log10(rest/tone)
}

func TestResamplerSampleZeroIsSampleZero(t *testing.T) {
	for _, rates := range ratePairs {
		from, to := float64(rates[0]), float64(rates[1])
		f := min(from, to) / 40
		in := sine(int(from/10), from, f, 0.5)
		out := convert(t, rates[0], rates[1], in, 300)
		if want := int(math.Ceil(float64(len(in)) * to / from)); len(out) != want {
			t.Errorf("%v: %d samples out of %d, want %d", rates, len(out), len(in), want)
		}
		// Away from the edges every output is the sine at its own time.
		for i := len(out) / 4; i < len(out)*3/4; i++ {
			want := 0.5 * math.Sin(2*math.Pi*f*float64(i)/to)
			if math.Abs(float64(out[i])-want) > 5e-5 {
				t.Fatalf("%v: sample %d is %v, want %v", rates, i, out[i], want)
			}
		}
	}
}

func TestResamplerGivesTheSameWhateverThePieces(t *testing.T) {
	in := noise(10000, 1, 0.5)
	for _, rates := range [][2]int{{44100, 48000}, {96000, 48000}, {44101, 48000}} {
		want := convert(t, rates[0], rates[1], in, 10000)
		for _, piece := range []int{1, 7, 480, 4096} {
			got := convert(t, rates[0], rates[1], in, piece)
			if len(got) != len(want) {
				t.Fatalf("%v in pieces of %d: %d samples, want %d", rates, piece, len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%v in pieces of %d: sample %d differs", rates, piece, i)
				}
			}
		}
	}
}

func TestResamplerLookahead(t *testing.T) {
	r, err := NewResampler(44100, 48000)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 10)
	if _, n := r.Process(dst, make([]float32, r.Lookahead())); n != 0 {
		t.Errorf("%d outputs before the look-ahead is full", n)
	}
	if _, n := r.Process(dst, make([]float32, 1)); n == 0 {
		t.Error("no output when it is full")
	}
}

func TestResamplerForgetsAtReset(t *testing.T) {
	r, err := NewResampler(44100, 48000)
	if err != nil {
		t.Fatal(err)
	}
	in := noise(1000, 1, 0.5)
	first, second := make([]float32, 500), make([]float32, 500)
	r.Process(first, in)
	r.Reset()
	r.Process(second, in)
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("sample %d differs after Reset", i)
		}
	}
}

func TestResamplerRefusesRates(t *testing.T) {
	for _, rates := range [][2]int{{0, 48000}, {48000, 0}, {-1, 48000}, {3999, 48000}, {48000, 384001}} {
		if _, err := NewResampler(rates[0], rates[1]); !errors.Is(err, ErrFormat) {
			t.Errorf("%v: %v, want ErrFormat", rates, err)
		}
	}
}

func TestResamplerAllocatesNothing(t *testing.T) {
	r, err := NewResampler(44100, 48000)
	if err != nil {
		t.Fatal(err)
	}
	in, out := noise(441, 1, 0.5), make([]float32, 500)
	assertNoAllocs(t, "resampling", func() { r.Process(out, in) })
}

func BenchmarkResampler(b *testing.B) {
	for _, rates := range [][2]int{{44100, 48000}, {16000, 48000}, {96000, 48000}, {44101, 48000}} {
		b.Run(fmt.Sprintf("%d to %d, 10 ms", rates[0], rates[1]), func(b *testing.B) {
			b.ReportAllocs()
			r, err := NewResampler(rates[0], rates[1])
			if err != nil {
				b.Fatal(err)
			}
			in, out := noise(rates[0]/100, 1, 0.5), make([]float32, 500)
			for b.Loop() {
				r.Process(out, in)
			}
		})
	}
}
