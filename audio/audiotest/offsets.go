package audiotest

import (
	"time"

	"github.com/parley-voice/parley/audio"
)

// OffsetsConfig says how Offsets cuts and searches. The zero value is good for
// speech over a network whose delay changes.
type OffsetsConfig struct {
	Segment time.Duration // length of the pieces of the reference; 0 means 500 ms
	Step    time.Duration // from one piece to the next; 0 means Segment
	From    time.Duration // lowest offset searched
	To      time.Duration // highest offset searched; From and To both 0 means ±500 ms around the offset of the whole
	Silent  float64       // pieces with an RMS below this level in dBFS are left out; 0 means -50
}

// SegmentOffset is where a piece of the reference was found.
type SegmentOffset struct {
	At time.Duration // the piece's place in the reference
	Match
}

// Offsets follows the delay over time: for each piece of ref that isn't silent,
// how much later it is in rec than it was in ref (the Offset of a piece that is
// in its right place is that of the whole). Pieces with a low Confidence weren't
// heard, or not whole.
func Offsets(ref, rec []float32, c OffsetsConfig) []SegmentOffset {
	size := Samples(c.Segment)
	if size <= 0 {
		size = audio.SampleRate / 2
	}
	step := Samples(c.Step)
	if step <= 0 {
		step = size
	}
	if c.From == 0 && c.To == 0 {
		c.From, c.To = around(ref, rec)
	}
	if c.Silent == 0 {
		c.Silent = -50
	}
	coarseRef, coarseRec := decimate(ref), decimate(rec)
	var out []SegmentOffset
	for at := 0; at+size <= len(ref); at += step {
		piece := ref[at : at+size]
		if audio.Measure(piece).RMS < c.Silent {
			continue
		}
		start := Duration(float64(at))
		m := Match{}
		if lo, hi, ok := places(piece, rec, start+c.From, start+c.To); ok {
			m = searchTwice(piece, rec, coarseRef[at/coarse:(at+size)/coarse], coarseRec, lo, hi)
		}
		m.Offset -= start
		out = append(out, SegmentOffset{At: start, Match: m})
	}
	return out
}

// around is ±500 ms around the place of ref in rec. The loudest 4 s of ref stand
// for it, so that one change of the delay elsewhere does no harm.
func around(ref, rec []float32) (from, to time.Duration) {
	at := loudest(ref, 4*audio.SampleRate)
	probe := ref[at:min(len(ref), at+4*audio.SampleRate)]
	offset := Find(probe, rec).Offset - Duration(float64(at))
	return offset - 500*time.Millisecond, offset + 500*time.Millisecond
}

// loudest is where the piece of the given size with the most energy begins.
func loudest(pcm []float32, size int) int {
	best, most, sum := 0, 0.0, 0.0
	for i, x := range pcm {
		sum += float64(x) * float64(x)
		if i >= size {
			old := float64(pcm[i-size])
			sum -= old * old
		}
		if i >= size-1 && sum > most {
			best, most = i-size+1, sum
		}
	}
	return best
}
