package audiotest

import (
	"math"
	"time"

	"github.com/parley-voice/parley/audio"
)

// Match is where a reference was found in a recording.
type Match struct {
	// Offset is the place of the reference's first sample in the recording;
	// negative if the recording begins later.
	Offset time.Duration

	// Confidence is the normalised correlation there: 1 for an exact copy at
	// any loudness, about 0 for something else. A copy through a speech codec
	// has 0.8 and more. A reference of T seconds and B Hz of bandwidth reaches
	// some 4/√(2BT) by chance, so a longer one is surer.
	Confidence float64

	// Second is the highest correlation more than 10 ms away. If it is near
	// Confidence the place is ambiguous: the recording repeats itself.
	Second float64
}

// longReference is where Find begins to search at a quarter of the rate first.
const longReference = 1 << 19

// Find looks for ref in all of rec. It is exact to a fraction of a sample if rec
// holds a copy of ref, and to 0.3 ms through a speech codec. The audio may be
// minutes long. No recording or no reference gives Confidence 0.
func Find(ref, rec []float32) Match {
	return FindWithin(ref, rec, Duration(float64(-len(ref))), Duration(float64(len(rec))))
}

// FindWithin is Find for offsets between from and to only.
func FindWithin(ref, rec []float32, from, to time.Duration) Match {
	lo, hi, ok := places(ref, rec, from, to)
	if !ok {
		return Match{}
	}
	if len(ref) < longReference {
		return search(ref, rec, lo, hi)
	}
	return searchTwice(ref, rec, decimate(ref), decimate(rec), lo, hi)
}

// places are the offsets between from and to, in samples, at which ref lies on some of
// rec, or beside it; false if there are none.
func places(ref, rec []float32, from, to time.Duration) (lo, hi int, ok bool) {
	lo, hi = max(Samples(from), -len(ref)), min(Samples(to), len(rec))
	return lo, hi, len(ref) > 0 && len(rec) > 0 && lo <= hi
}

// coarse is how many samples searchTwice first takes for one.
const coarse = 4

// searchTwice is search at a fraction of the rate first, where the caller has both
// ready (coarseRef may begin up to a coarse sample beside ref), and then around
// what was found there.
func searchTwice(ref, rec, coarseRef, coarseRec []float32, lo, hi int) Match {
	rough := search(coarseRef, coarseRec, lo/coarse-1, hi/coarse+1)
	at := Samples(rough.Offset) * coarse
	fine := search(ref, rec, min(hi, max(lo, at-2*coarse)), max(lo, min(hi, at+2*coarse)))
	fine.Second = rough.Second
	return fine
}

// search correlates at all offsets from lo to hi samples.
func search(ref, rec []float32, lo, hi int) Match {
	c := correlate(ref, rec, lo, hi-lo+1)
	normalise(c, ref, rec, lo)
	best := 0
	for i, x := range c {
		if x > c[best] {
			best = i
		}
	}
	const apart = audio.SampleRate / 100
	second := 0.0
	for i, x := range c {
		if (i < best-apart || i > best+apart) && x > second {
			second = x
		}
	}
	at := float64(lo+best) + vertex(c, best)
	return Match{Offset: Duration(at), Confidence: max(0, c[best]), Second: second}
}

// vertex is how far the top of the parabola through c[i] and its neighbours is
// from i.
func vertex(c []float64, i int) float64 {
	if i == 0 || i == len(c)-1 {
		return 0
	}
	bend := c[i-1] - 2*c[i] + c[i+1]
	if bend >= 0 {
		return 0
	}
	return math.Max(-0.5, math.Min(0.5, (c[i-1]-c[i+1])/(2*bend)))
}

// decimate keeps one sample of coarse after a low-pass.
func decimate(pcm []float32) []float32 {
	return resample(pcm, audio.SampleRate/coarse)
}

// resample converts from 48 kHz to a rate that a Resampler takes.
func resample(pcm []float32, rate int) []float32 {
	r, err := audio.NewResampler(audio.SampleRate, rate)
	if err != nil {
		return nil
	}
	out := make([]float32, len(pcm)*rate/audio.SampleRate+1)
	_, n := r.Process(out, pcm)
	n += r.Flush(out[n:])
	return out[:n]
}
