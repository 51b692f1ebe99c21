package audiotest

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio"
)

// HeardThreshold is the Similarity from which on speech counts as heard. Half a
// second of talk and more, recorded by one voice, through Opus at 12 and 32 kb/s:
// the same phrase has .97 and more, with 10 % of its packets concealed .89 and
// more; another phrase of the same voice .78 at most, though it shares half of
// its words ("front left", "front right"). The tests measure it again.
const HeardThreshold = 0.84

// Hearing says whether speech is in a recording.
type Hearing struct {
	Heard      bool          // Similarity is at least HeardThreshold
	Similarity float64       // 0 to 1
	Offset     time.Duration // where the reference begins in the recording, to 10 ms
}

const (
	heardFFT   = 1024                   // 21 ms
	heardRange = 30.0                   // dB below the loudest band that count
	heardLeast = -75.0                  // dBFS, a band below it is silent
	heardHop   = audio.BlockSamples     // 10 ms
	heardScale = 4.0 / heardFFT         // amplitude of a sine from its spectrum with a Hann window
	heardPart  = audio.SampleRate * 3   // a longer reference is compared in parts
	heardAside = 100 * time.Millisecond // by how much the delay may change from part to part
)

// Heard looks for the speech ref anywhere in rec and tells whether it is there.
// It compares how the loudness of 15 third-octave bands from 150 Hz to 4.3 kHz
// moves, in decibels, so that it minds neither the waveform that a codec changed,
// nor gain, nor delay, nor a few lost packets, and tells apart sentences of the
// same voice. ref should have one second of speech at least; of what is longer
// than 3 s each part may have its own delay.
func Heard(ref, rec []float32) Hearing {
	x, y := loudnessBands(ref), loudnessBands(rec)
	part := heardPart / heardHop
	if len(x) <= part {
		s, at := bestPlace(x, y, -len(x)/2, len(y)-len(x)/2)
		return hearing(s, at)
	}
	begin := loudest(ref, heardPart) / heardHop
	begin = min(begin, len(x)-part)
	_, at := bestPlace(x[begin:begin+part], y, -part/2, len(y)-part/2)
	offset := at - begin
	aside := Samples(heardAside) / heardHop
	sum, weight := 0.0, 0.0
	for from := 0; from < len(x); from += part {
		piece := x[from:min(len(x), from+part)]
		w := variation(piece)
		if w == 0 {
			continue
		}
		s, _ := bestPlace(piece, y, offset+from-aside, offset+from+aside+1)
		sum, weight = sum+s*w, weight+w
	}
	if weight == 0 {
		return Hearing{}
	}
	return hearing(sum/weight, offset)
}

func hearing(similarity float64, at int) Hearing {
	return Hearing{
		Heard:      similarity >= HeardThreshold,
		Similarity: similarity,
		Offset:     Duration(float64(at * heardHop)),
	}
}

// bands is the loudness of each band in a frame, in dB above the floor.
type bands [stoiBands]float64

// loudnessBands is the loudness of pcm every 10 ms; what is 30 dB below the
// loudest, or nearly silent, is 0.
func loudnessBands(pcm []float32) []bands {
	window := hann(heardFFT)
	edges := bandEdges(audio.SampleRate, heardFFT)
	f := newFFT(heardFFT)
	buf := make([]complex128, heardFFT)
	var out []bands
	loudest := math.Inf(-1)
	const before = (heardFFT - heardHop) / 2
	for at := 0; at+heardHop <= len(pcm); at += 2 * heardHop {
		for i, w := range window {
			k := at + i - before
			buf[i] = complex(w*sampleAt(pcm, k), w*sampleAt(pcm, k+heardHop))
		}
		f.forward(buf)
		first, second := bandAmplitudes(buf, &edges)
		out = append(out, first)
		if at+2*heardHop <= len(pcm) {
			out = append(out, second)
		}
	}
	for i := range out {
		for k, a := range out[i] {
			out[i][k] = 20 * math.Log10(a*heardScale+1e-9)
			loudest = max(loudest, out[i][k])
		}
	}
	floor := max(loudest-heardRange, heardLeast)
	for i := range out {
		for k, v := range out[i] {
			out[i][k] = max(0, v-floor)
		}
	}
	return out
}

// bestPlace lays x on y at all places from lo to hi-1 and returns the highest
// similarity and where that is.
func bestPlace(x, y []bands, lo, hi int) (similarity float64, at int) {
	for place := lo; place < hi; place++ {
		if s := similar(x, y, place); s > similarity {
			similarity, at = s, place
		}
	}
	return similarity, at
}

// similar is the correlation between x and the part of y that begins at place,
// over all bands, each without its mean. y is silent outside.
func similar(x, y []bands, place int) float64 {
	var meanX, meanY bands
	n := float64(len(x))
	for i := range x {
		for b := range meanX {
			meanX[b] += x[i][b] / n
			if k := place + i; k >= 0 && k < len(y) {
				meanY[b] += y[k][b] / n
			}
		}
	}
	var xy, xx, yy float64
	for i := range x {
		for b := range meanX {
			dx, dy := x[i][b]-meanX[b], -meanY[b]
			if k := place + i; k >= 0 && k < len(y) {
				dy += y[k][b]
			}
			xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
		}
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

// variation is how much there is in x to compare.
func variation(x []bands) float64 {
	sum := 0.0
	for i := range x {
		for _, v := range x[i] {
			sum += v
		}
	}
	return sum
}
