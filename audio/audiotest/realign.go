package audiotest

import (
	"math"
	"slices"
	"time"

	"github.com/parley-voice/parley/audio"
)

// How Realign follows a delay that changes within a spurt.
const (
	followRate   = 8000 // Hz at which pieces are compared: the delay is known to 1/8 ms
	followFactor = audio.SampleRate / followRate
	followHop    = followRate / 50        // from one piece to the next, 20 ms
	followPiece  = 3 * followHop          // their length, 60 ms: a few periods of any voice
	followReach  = followRate * 80 / 1000 // a spurt's delay may change by 80 ms either way

	// followPrice is what a change of the delay must gain: the sum of how much
	// better the pieces correlate from there on. A guess at a lost packet or two
	// that isn't where the speech was never gains that, since the delay must
	// change twice for it; speech that goes on 5 ms later gains it in 100 ms or so.
	followPrice = 1.5
)

// Alignment is where a talk spurt was found.
type Alignment struct {
	Span                  // in the reference
	Match                 // of the whole spurt: Offset is how much later it is in the recording than in the reference
	Changes int           // of the delay, within the spurt
	Moved   time.Duration // the most that the delay within the spurt is from Offset
}

// Realign returns rec in the time of clean and as long, for comparison with it by
// STOI. Each talk spurt of clean (see Spurts) is looked for in rec, at offsets
// between c.From and c.To, and from there the delay is followed through the spurt,
// since a listener who adapts to a network stretches speech by some milliseconds
// at a time, which nobody hears and STOI takes for ruin. Pieces of 60 ms are
// compared every 20 ms, at most 80 ms from the spurt's own place; the path
// through them is that of the highest sum of correlations, less a price for each
// change. Pauses are taken at the delay of the spurt that is nearer. Nothing is
// made louder, removed or repaired: rec is cut where the delay changes, joined
// over 2.5 ms.
//
// Only c.From and c.To are used; both 0 means ±500 ms around the offset of the
// whole.
func Realign(clean, rec []float32, c OffsetsConfig) (aligned []float32, spurts []Alignment) {
	if c.From == 0 && c.To == 0 {
		c.From, c.To = around(clean, rec)
	}
	f := follower{clean: averaged(clean), rec: averaged(rec)}
	var track []change
	for _, span := range Spurts(clean) {
		start := Duration(float64(span.From))
		m := FindWithin(clean[span.From:span.To], rec, start+c.From, start+c.To)
		m.Offset -= start
		steps := f.follow(span, Samples(m.Offset))
		a := Alignment{Span: span, Match: m, Changes: len(steps) - 1}
		for _, step := range steps {
			a.Moved = max(a.Moved, Duration(math.Abs(float64(step.offset-Samples(m.Offset)))))
		}
		steps[0].at = 0
		if n := len(spurts); n > 0 {
			steps[0].at = (spurts[n-1].To + span.From) / 2
		}
		track, spurts = append(track, steps...), append(spurts, a)
	}
	return laid(rec, track, len(clean)), spurts
}

// change says that from a sample of the reference on it is so many samples later
// in the recording.
type change struct{ at, offset int }

// follower compares pieces of two recordings, both at followRate.
type follower struct {
	clean, rec []float32
}

// follow returns the delays of a spurt, found around an offset: at least the first.
func (f *follower) follow(span Span, offset int) []change {
	const states = 2*followReach + 1
	from, to := span.From/followFactor, span.To/followFactor
	middle := offset / followFactor
	var (
		sums  [states]float64 // of the best path that ends with each delay
		moved [][]bool        // whether it came from another delay, for each piece
		bests []int           // and from which
	)
	for at := from; at+followHop <= to; at += followHop {
		best := 0
		for s, sum := range sums {
			if sum > sums[best] {
				best = s
			}
		}
		jumps := make([]bool, states)
		score := f.score(at+followHop/2, middle)
		for s := range sums {
			if jump := sums[best] - followPrice; jump > sums[s] && at > from {
				sums[s], jumps[s] = jump, true
			}
			if score != nil {
				sums[s] += score[s]
			}
		}
		moved, bests = append(moved, jumps), append(bests, best)
	}
	return f.path(sums[:], moved, bests, span.From, offset)
}

// path goes back from the best end.
func (f *follower) path(sums []float64, moved [][]bool, bests []int, start, offset int) []change {
	state := followReach
	for s, sum := range sums {
		if sum > sums[state] {
			state = s
		}
	}
	place := func(s int) int { return offset + (s-followReach)*followFactor }
	var back []change
	for n, jumps := range slices.Backward(moved) {
		if jumps[state] {
			back = append(back, change{start + n*followHop*followFactor, place(state)})
			state = bests[n]
		}
	}
	steps := []change{{start, place(state)}}
	slices.Reverse(back)
	return append(steps, back...)
}

// averaged is pcm at followRate: the mean of so many samples each. What that
// leaves of higher frequencies is in both recordings.
func averaged(pcm []float32) []float32 {
	out := make([]float32, len(pcm)/followFactor)
	for i := range out {
		for _, x := range pcm[i*followFactor : (i+1)*followFactor] {
			out[i] += x / followFactor
		}
	}
	return out
}

// score is how well the piece around a place of the reference correlates at each
// delay; nil if it is silent.
func (f *follower) score(at, middle int) []float64 {
	lo := max(0, at-followPiece/2)
	piece := f.clean[lo:min(len(f.clean), lo+followPiece)]
	if audio.Measure(piece).RMS < -55 {
		return nil
	}
	first := lo + middle - followReach
	c := correlate(piece, f.rec, first, 2*followReach+1)
	normalise(c, piece, f.rec, first)
	return c
}

// laid is a recording at the delays of a track, of n samples.
func laid(rec []float32, track []change, n int) []float32 {
	const joint = audio.SampleRate / 400
	out := make([]float32, n)
	for i, step := range track {
		end := n
		if i+1 < len(track) {
			end = track[i+1].at
		}
		for k := step.at; k < end; k++ {
			out[k] = float32(sampleAt(rec, k+step.offset))
		}
		if i == 0 {
			continue
		}
		before := track[i-1].offset
		for k := step.at; k < min(end, step.at+joint); k++ {
			w := float32(k-step.at) / joint
			old := float32(sampleAt(rec, k+before))
			out[k] = old + w*(out[k]-old)
		}
	}
	return out
}
