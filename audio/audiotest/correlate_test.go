//go:build !race

// Nothing here is concurrent, and the race detector makes arithmetic slow.

package audiotest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
)

// noise is n samples of white noise.
func noise(n int, seed uint64, peak float64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 9))
	pcm := make([]float32, n)
	for i := range pcm {
		pcm[i] = float32((rng.Float64()*2 - 1) * peak)
	}
	return pcm
}

// plus is a + b over the length of a.
func plus(a, b []float32) []float32 {
	out := append([]float32(nil), a...)
	for i := range out {
		if i < len(b) {
			out[i] += b[i]
		}
	}
	return out
}

func scaled(pcm []float32, gain float32) []float32 {
	out := make([]float32, len(pcm))
	for i, x := range pcm {
		out[i] = gain * x
	}
	return out
}

func TestCorrelateIsTheSumOfProducts(t *testing.T) {
	for _, size := range []int{1, 7, 500, 3000} {
		ref, rec := noise(size, 1, 1), noise(6000, 2, 1)
		lo, count := -size, 6000+2*size
		got := correlate(ref, rec, lo, count)
		for i := 0; i < count; i += 97 {
			want := 0.0
			for k := range ref {
				want += float64(ref[k]) * sampleAt(rec, lo+i+k)
			}
			if math.Abs(got[i]-want) > 1e-8 {
				t.Fatalf("reference of %d at %d: %v, want %v", size, lo+i, got[i], want)
			}
		}
	}
}

func TestFFTRoundTrip(t *testing.T) {
	f := newFFT(256)
	x := make([]complex128, 256)
	for i, v := range noise(256, 1, 1) {
		x[i] = complex(float64(v), float64(i)/100)
	}
	y := append([]complex128(nil), x...)
	f.forward(y)
	var sum complex128
	for _, v := range x {
		sum += v
	}
	if d := y[0] - sum; math.Hypot(real(d), imag(d)) > 1e-9 {
		t.Errorf("bin 0 is %v, want %v", y[0], sum)
	}
	f.inverse(y)
	for i := range x {
		if d := y[i] - x[i]; math.Hypot(real(d), imag(d)) > 1e-12 {
			t.Fatalf("element %d is %v, want %v", i, y[i], x[i])
		}
	}
}

func TestFindAChirp(t *testing.T) {
	tests := []struct {
		name   string
		chirp  ChirpConfig
		gain   float32
		noise  float64
		offset int
	}{
		{"as it is", ChirpConfig{}, 1, 0, 48000},
		{"20 ms", ChirpConfig{Duration: 20 * time.Millisecond}, 1, 0, 4801},
		{"100 ms, quiet", ChirpConfig{Duration: 100 * time.Millisecond}, 0.01, 0, 12345},
		{"in noise of its own level", ChirpConfig{Duration: 100 * time.Millisecond}, 1, 0.3, 100003},
		{"at the beginning", ChirpConfig{}, 1, 0.01, 0},
		{"a little cut off", ChirpConfig{}, 1, 0, -300},
		{"at the end", ChirpConfig{}, 1, 0, 144000 - 2400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := Chirp(tt.chirp)
			rec := make([]float32, 3*audio.SampleRate)
			placed := Delayed(scaled(ref, tt.gain), tt.offset)
			rec = plus(plus(rec, placed), noise(len(rec), 4, tt.noise))
			m := Find(ref, rec)
			if d := m.Offset - Duration(float64(tt.offset)); d.Abs() > 50*time.Microsecond {
				t.Errorf("off by %v: %+v", d, m)
			}
			if m.Confidence < 0.6 || m.Confidence > 1.0001 || m.Second > m.Confidence/1.5 {
				t.Errorf("confidence %.3f, second %.3f", m.Confidence, m.Second)
			}
		})
	}
}

func TestFindBetweenSamples(t *testing.T) {
	ref := Chirp(ChirpConfig{})
	for shift := 0.0; shift < 1; shift += 0.125 {
		// A chirp that is made anew, later by a fraction of a sample.
		rec := make([]float32, 9600)
		n, seconds := float64(len(ref)), float64(len(ref))/audio.SampleRate
		for i := range rec {
			u := float64(i) - 4800 - shift
			if u < 0 || u > n-1 {
				continue
			}
			s := u / audio.SampleRate
			w := math.Sin(math.Pi * (u + 0.5) / n)
			rec[i] = float32(0.5 * w * w * math.Sin(2*math.Pi*(400*s+3200*s*s/(2*seconds))))
		}
		m := Find(ref, rec)
		if got := m.Offset.Seconds()*audio.SampleRate - 4800; math.Abs(got-shift) > 0.05 {
			t.Errorf("shift of %.3f samples measured as %.3f", shift, got)
		}
	}
}

func TestFindSaysWhenThereIsNothing(t *testing.T) {
	ref := Chirp(ChirpConfig{Duration: 100 * time.Millisecond})
	for name, rec := range map[string][]float32{
		"silence":         make([]float32, 96000),
		"noise":           noise(480000, 1, 0.5),
		"nothing":         nil,
		"another chirp":   Repeat(Chirp(ChirpConfig{From: 3600, To: 400, Duration: 100 * time.Millisecond}), time.Second, 3*time.Second),
		"somebody's talk": Babble(1, 10*time.Second),
	} {
		if m := Find(ref, rec); m.Confidence > 0.5 {
			t.Errorf("%s: found with %.3f at %v", name, m.Confidence, m.Offset)
		}
	}
	if m := Find(nil, ref); m != (Match{}) {
		t.Errorf("a reference of nothing is found: %+v", m)
	}
}

func TestFindSaysWhenThePlaceIsAmbiguous(t *testing.T) {
	ref := Chirp(ChirpConfig{})
	if m := Find(ref, Repeat(ref, time.Second, 3*time.Second)); m.Second < 0.99 {
		t.Errorf("second best is %.3f of three equals", m.Second)
	}
	if m := FindWithin(ref, Repeat(ref, time.Second, 3*time.Second), 1500*time.Millisecond, 2500*time.Millisecond); (m.Offset-2*time.Second).Abs() > 20*time.Microsecond || m.Second > 0.5 {
		t.Errorf("between 1.5 and 2.5 s: %+v", m)
	}
}

func TestFindLongSpeechInALongRecording(t *testing.T) {
	ref := Babble(3, 40*time.Second)
	rec := plus(Delayed(scaled(ref, 0.3), 56789), noise(len(ref), 8, 0.02))
	m := Find(ref, rec)
	if d := m.Offset - Duration(56789); d.Abs() > 20*time.Microsecond || m.Confidence < 0.7 {
		t.Errorf("off by %v: %+v", d, m)
	}
}

func TestOffsetsFollowADelayThatChanges(t *testing.T) {
	ref := Babble(5, 12*time.Second)
	var rec []float32
	rec = append(rec, make([]float32, 1000)...)
	rec = append(rec, ref[:6*audio.SampleRate]...)
	rec = append(rec, make([]float32, 2400)...) // 50 ms later from here on
	rec = append(rec, ref[6*audio.SampleRate:]...)
	lost := Samples(9*time.Second) + 3400
	clear(rec[lost : lost+audio.SampleRate])

	got := Offsets(ref, rec, OffsetsConfig{})
	if len(got) < 12 {
		t.Fatalf("%d segments of 12 s of speech", len(got))
	}
	missed := 0
	for _, o := range got {
		want := Duration(1000)
		if o.At >= 6*time.Second {
			want = Duration(3400)
		}
		if o.At >= 9*time.Second && o.At < 10*time.Second {
			missed++
			if o.Confidence > 0.6 {
				t.Errorf("at %v: confidence %.2f in what was lost", o.At, o.Confidence)
			}
			continue
		}
		if (o.Offset-want).Abs() > 50*time.Microsecond || o.Confidence < 0.9 {
			t.Errorf("at %v: %v with %.2f, want %v", o.At, o.Offset, o.Confidence, want)
		}
	}
	if missed == 0 {
		t.Error("no segment in the part that was lost")
	}
}

func BenchmarkFindChirpInAMinute(b *testing.B) {
	ref := Chirp(ChirpConfig{})
	rec := plus(noise(60*audio.SampleRate, 1, 0.1), Delayed(ref, 1000000))
	for b.Loop() {
		Find(ref, rec)
	}
}

func TestNothingIsFoundWhereNothingWasRecorded(t *testing.T) {
	said := Babble(3, time.Second)
	for what, recorded := range map[string][]float32{"nothing": nil, "one sample": make([]float32, 1), "silence": make([]float32, 48000)} {
		pieces := Offsets(said, recorded, OffsetsConfig{From: 0, To: time.Second})
		if len(pieces) == 0 {
			t.Errorf("%s: not a piece was looked for", what)
		}
		for _, p := range pieces {
			if p.Confidence > 0.01 {
				t.Errorf("%s: found at %v, confidence %.2f", what, p.Offset, p.Confidence)
			}
		}
	}
}
