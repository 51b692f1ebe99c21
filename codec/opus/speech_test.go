package opus

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/cmplx"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/codec"
)

// speech is recorded speech at 48 kHz with short pauses: the phrases of
// alsa-utils, or this repository's where those are not installed.
func speech(tb testing.TB) []float32 {
	tb.Helper()
	pcm, err := recordings()
	if err != nil {
		tb.Fatal(err)
	}
	return append([]float32(nil), pcm...)
}

var recordings = sync.OnceValues(func() ([]float32, error) {
	files, err := filepath.Glob("/usr/share/sounds/alsa/[FRS]*.wav")
	if err != nil {
		return nil, err
	}
	factor := 1
	if len(files) == 0 {
		factor = 2 // the repository's are at 24 kHz
		files = []string{"../../testdata/speech/anna.wav", "../../testdata/speech/ben.wav"}
	}
	var pcm []float32
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		last := float32(0)
		for b = b[44:]; len(b) > 1; b = b[2:] {
			s := float32(int16(binary.LittleEndian.Uint16(b))) / 32768
			for i := range factor {
				pcm = append(pcm, last+(s-last)*float32(i+1)/float32(factor))
			}
			last = s
		}
	}
	return pcm, nil
})

func newEncoder(tb testing.TB, c codec.Config) *encoder {
	tb.Helper()
	e, err := Codec{}.NewEncoder(c)
	if err != nil {
		tb.Fatal(err)
	}
	return e.(*encoder)
}

func newDecoder(tb testing.TB) codec.Decoder {
	tb.Helper()
	d, err := Codec{}.NewDecoder()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// encodeAll codes pcm frame by frame.
func encodeAll(tb testing.TB, e codec.Encoder, pcm []float32) [][]byte {
	tb.Helper()
	n := e.FrameSamples()
	dst := make([]byte, codec.MaxPacketBytes)
	var packets [][]byte
	for ; len(pcm) >= n; pcm = pcm[n:] {
		p, err := e.Encode(dst, pcm[:n])
		if err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, append([]byte{}, p...))
	}
	return packets
}

// decodeAll decodes packets of the given number of samples; empty ones are
// concealed.
func decodeAll(tb testing.TB, d codec.Decoder, packets [][]byte, samples int) []float32 {
	tb.Helper()
	var out []float32
	frame := make([]float32, codec.MaxPacketSamples)
	for i, p := range packets {
		if len(p) == 0 {
			if err := d.Conceal(frame[:samples]); err != nil {
				tb.Fatal(err)
			}
		} else if n, err := d.Decode(frame, p); err != nil || n != samples {
			tb.Fatalf("packet %d: %d samples, %v; want %d", i, n, err, samples)
		}
		out = append(out, frame[:samples]...)
	}
	return out
}

// lag is by how many samples b is later than a: the peak of their
// cross-correlation.
func lag(a, b []float32, most int) int {
	best, at := math.Inf(-1), 0
	for l := range most {
		var sum float64
		for i := range min(len(a), len(b)-l) {
			sum += float64(a[i]) * float64(b[i+l])
		}
		if sum > best {
			best, at = sum, l
		}
	}
	return at
}

// snr is the ratio of signal to error in dB.
func snr(signal, got []float32) float64 {
	var s, e float64
	for i := range min(len(signal), len(got)) {
		d := float64(got[i]) - float64(signal[i])
		s += float64(signal[i]) * float64(signal[i])
		e += d * d
	}
	return 10 * math.Log10(s/e)
}

// power is the mean power of pcm.
func power(pcm []float32) float64 {
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return sum / float64(len(pcm))
}

// spectrum is the power in 18 bands of equal ratio from 200 Hz to 8 kHz, in dB,
// of 1024 samples under a Hann window.
func spectrum(pcm []float32) (bands [18]float64) {
	const n = 1024
	x := make([]complex128, n)
	for i := range x {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/n)
		x[bits.Reverse16(uint16(i))>>6] = complex(w*float64(pcm[i]), 0)
	}
	for size := 2; size <= n; size *= 2 {
		step := cmplx.Rect(1, -2*math.Pi/float64(size))
		for start := 0; start < n; start += size {
			w := complex(1, 0)
			for i := start; i < start+size/2; i++ {
				a, b := x[i], w*x[i+size/2]
				x[i], x[i+size/2], w = a+b, a-b, w*step
			}
		}
	}
	for i := 1; i < n/2; i++ {
		hz := float64(i) * codec.SampleRate / n
		if band := math.Floor(18 * math.Log(hz/200) / math.Log(40)); band >= 0 && band < 18 {
			bands[int(band)] += real(x[i])*real(x[i]) + imag(x[i])*imag(x[i])
		}
	}
	for i := range bands {
		bands[i] = 10 * math.Log10(bands[i]+1e-3)
	}
	return bands
}

// spectralDistance is the mean difference of two signals' spectra in dB where
// the first one is speech. It doesn't mind the phase, which the encoder turns
// by its high-pass and the decoder by its guesses.
func spectralDistance(signal, got []float32) float64 {
	const segment = 1024
	var sum float64
	var n int
	for i := 0; i+segment <= min(len(signal), len(got)); i += segment {
		if power(signal[i:i+segment]) < 1e-5 {
			continue
		}
		a, b := spectrum(signal[i:i+segment]), spectrum(got[i:i+segment])
		for k := range a {
			sum += math.Abs(a[k] - b[k])
			n++
		}
	}
	return sum / float64(n)
}

var durations = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond}
