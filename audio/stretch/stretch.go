// Package stretch changes the duration of speech without changing its pitch,
// by one pitch period at a time, and joins pieces of PCM. It is the
// pitch-synchronous overlap-add of WebRTC's NetEQ (its Accelerate and
// PreemptiveExpand). All PCM is 48 kHz mono. It allocates nothing but what
// Expand's caller leaves it no room for.
package stretch

import "math"

const (
	// MinSamples is the shortest PCM that is stretched, 10 ms. With less than
	// 30 ms not every pitch is found: the longest period plus the overlap of
	// 5 ms must fit.
	MinSamples = 480

	// MaxChange is the most that Accelerate removes or Expand inserts: 15 ms,
	// the period of a voice of 67 Hz.
	MaxChange = maxLag

	window = 1440 // looked at, 30 ms

	decimation = 12  // to 4 kHz, where the period is searched
	minLag     = 120 // 2.5 ms, 400 Hz
	maxLag     = 720
	minOverlap = 240 // least overlap of the two periods that are compared and joined, 5 ms

	// Least normalised correlation of the two periods, NetEQ's.
	goodMatch = 0.9
	fastMatch = 0.5

	// passive is the mean square below which any match is good, -50 dBFS:
	// pauses and background.
	passive = 1e-5
)

// Accelerate shortens pcm in place by one pitch period of at most that many
// samples, and returns its new length. That is len(pcm) if it found no two
// consecutive periods that are alike enough; fast is content with less. It
// changes the first 30 ms only, or all of pcm if it is shorter: pcm should be
// all that is decoded and not yet played. The first and the last sample stay what they are, so that it joins
// to what was played and to what comes.
func Accelerate(pcm []float32, most int, fast bool) int {
	x := pcm[:min(len(pcm), window)]
	lag := period(x, most, fast)
	if lag == 0 {
		return len(pcm)
	}
	overlap := min(lag, len(x)-lag)
	blend(x[:overlap], x[:overlap], x[lag:lag+overlap])
	n := overlap + copy(pcm[overlap:], pcm[lag+overlap:])
	return n
}

// Expand lengthens pcm by one pitch period, and returns the longer slice: pcm
// itself with the rest of its capacity, or a new one if that is less than
// MaxChange. It returns pcm as it is if it found no two consecutive periods
// that are alike enough; fast is content with less. Like Accelerate it changes
// the first 30 ms only and keeps the first and the last sample.
func Expand(pcm []float32, fast bool) []float32 {
	x := pcm[:min(len(pcm), window)]
	lag := period(x, MaxChange, fast)
	if lag == 0 {
		return pcm
	}
	n := len(pcm)
	if cap(pcm)-n < lag {
		pcm = append(make([]float32, 0, n+MaxChange), pcm...)
	}
	pcm = pcm[:n+lag]
	// The first lag samples are played, then once more: at the place where
	// the second period would begin, the sound fades from it to the first.
	overlap := min(lag, len(x)-lag)
	copy(pcm[lag+overlap:], pcm[overlap:n])
	// pcm[lag:lag+overlap] holds the second period still, except where the
	// copy above has overwritten it, which begins behind it.
	blend(pcm[lag:lag+overlap], pcm[lag:lag+overlap], pcm[:overlap])
	return pcm
}

// blend writes to dst a linear cross-fade from a to b, which may be dst. It
// begins at a and ends at b.
func blend(dst, a, b []float32) {
	n := len(dst)
	if n == 0 {
		return
	}
	step := 1 / float32(n)
	for i := range dst {
		w := float32(i) * step
		dst[i] = a[i] + w*(b[i]-a[i])
	}
}

// CrossFade joins two versions of the same time, for example concealed audio
// that was to go on and real audio that has come: it overwrites the first
// samples of in with a linear fade from out to in, over the length of the
// shorter. The fade is linear since the two are alike, so that their sum keeps
// its level; for sounds that have nothing in common it dips by 3 dB.
func CrossFade(in, out []float32) {
	n := min(len(in), len(out))
	blend(in[:n], out[:n], in[:n])
}

// period returns the number of samples, at most that many, after which x
// repeats itself, or 0 if it doesn't.
func period(x []float32, most int, fast bool) int {
	longest := min(maxLag, most, len(x)-minOverlap)
	if len(x) < MinSamples || longest < minLag {
		return 0
	}
	energy := 0.0
	for _, v := range x {
		energy += float64(v) * float64(v)
	}
	if math.IsNaN(energy) || math.IsInf(energy, 0) {
		return 0
	}
	lag := refine(x, coarse(x, longest), longest)
	if energy < passive*float64(len(x)) {
		return lag
	}
	least := goodMatch
	if fast {
		least = fastMatch
	}
	if correlation(x, lag) >= least { // not if it is NaN
		return lag
	}
	return 0
}

// coarse finds the period to within a few samples, at 4 kHz.
func coarse(x []float32, longest int) int {
	var low [window / decimation]float32
	n := len(x) / decimation
	for i := range n {
		sum := float32(0)
		for _, v := range x[i*decimation : (i+1)*decimation] {
			sum += v
		}
		low[i] = sum
	}
	best, most := minLag/decimation, math.Inf(-1)
	for lag := minLag / decimation; lag <= longest/decimation && n-lag > 0; lag++ {
		if c := correlation(low[:n], lag); c > most {
			best, most = lag, c
		}
	}
	return best * decimation
}

// refine finds the best lag around a coarse one at the full rate, in two steps.
func refine(x []float32, around, longest int) int {
	best := around
	for _, step := range []int{4, 1} {
		from, to := max(best-2*step, minLag), min(best+2*step, longest)
		most := math.Inf(-1)
		for lag := from; lag <= to; lag += step {
			if c := correlation(x, lag); c > most {
				best, most = lag, c
			}
		}
	}
	return best
}

// correlation compares the beginning of x, a period of lag or what of it has a
// counterpart, with what comes lag later: 1 if they are alike but for their
// level, 0 if they have nothing in common or are silent.
func correlation(x []float32, lag int) float64 {
	n := min(lag, len(x)-lag)
	a, b := x[:n], x[lag:lag+n]
	var ab, aa, bb float32
	for i, v := range a {
		w := b[i]
		ab += v * w
		aa += v * v
		bb += w * w
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float64(ab) / math.Sqrt(float64(aa)*float64(bb))
}
