package hearing

import (
	"math"
	"slices"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
)

// Moments are compared at 8 kHz, where speech has its energy and codecs keep
// its waveform.
const (
	down      = 6 // samples of 48 kHz in one of 8 kHz
	frameLen  = 160
	windowLen = 5 * frameLen // what is compared around a moment: 100 ms
	reach     = 12 * 8       // how far a moment's delay may be from that of the speech around, in samples

	// A piece of 400 ms that was found; see audiotest.Match.
	foundPiece = 0.6

	// A window that was heard. Of clean speech through Opus at 12 kb/s and more
	// every moment has more, at 32 kb/s 99 in 100 have .5; against other speech
	// of the same voice half have .16 and less, one in 100 has .6. The tests
	// measure it again.
	alike = 0.2

	quietest  = -50.0 // dBFS: a frame below isn't speech ...
	dynamic   = 30.0  // ... nor is one so many dB below the loudest
	vanishing = 20.0  // dB below what was said that count as silence
)

// matcher finds frames of what was said in what was heard. Places are in
// samples of 8 kHz.
type matcher struct {
	said, heard []float64
	spoken      []bool             // whether each frame of said is speech
	floor       float64            // what is louder is speech, in dBFS
	weight      [windowLen]float64 // of the samples of a window: its middle counts most
	gain        float64            // of heard over said, in dB
	hints       []hint
}

// hint is where a piece of speech was found.
type hint struct {
	at     int // its middle
	offset int
}

func newMatcher(said, heard []float32, pieces []audiotest.SegmentOffset) *matcher {
	m := &matcher{said: decimate(said), heard: decimate(heard)}
	for i := range m.weight {
		m.weight[i] = math.Pow(math.Sin(math.Pi*(float64(i)+0.5)/windowLen), 2)
	}
	var levels []float64
	for n := range len(m.said) / frameLen {
		levels = append(levels, level(m.said[n*frameLen:(n+1)*frameLen]))
	}
	m.floor = max(quietest, slices.Max(append(levels, quietest))-dynamic)
	for _, l := range levels {
		m.spoken = append(m.spoken, l > m.floor)
	}
	for _, p := range pieces {
		if p.Confidence >= foundPiece {
			at := places(p.At)
			m.hints = append(m.hints, hint{at + places(200*time.Millisecond), places(p.Offset)})
		}
	}
	m.gain = m.measureGain()
	return m
}

func places(d time.Duration) int { return int(math.Round(d.Seconds() * 8000)) }

// measureGain is the median of how much louder pieces were heard than said.
func (m *matcher) measureGain() float64 {
	var gains []float64
	for _, h := range m.hints {
		from, to := h.at-5*frameLen, h.at+5*frameLen
		if from < 0 || from+h.offset < 0 || to > len(m.said) || to+h.offset > len(m.heard) {
			continue
		}
		gains = append(gains, level(m.heard[from+h.offset:to+h.offset])-level(m.said[from:to]))
	}
	if len(gains) == 0 {
		return 0
	}
	slices.Sort(gains)
	return gains[len(gains)/2]
}

// find returns how much later frame n is in the recording.
func (m *matcher) find(n int) (time.Duration, bool) {
	from := min(max(0, n*frameLen-(windowLen-frameLen)/2), len(m.said)-windowLen)
	if from < 0 {
		return 0, false // less than a window was said at all
	}
	best, found := 0, alike
	guesses := m.guesses(n*frameLen + frameLen/2)
	for _, guess := range guesses {
		for offset := guess - reach; offset <= guess+reach; offset++ {
			if s := m.similarity(from, offset); s > found {
				best, found = offset, s
			}
		}
	}
	if found <= alike {
		return 0, false
	}
	// Where time was stretched, the halves have different delays.
	offsets := []int{best}
	for _, guess := range guesses {
		if m.similarity(from, guess) > alike {
			offsets = append(offsets, guess)
		}
	}
	if !m.audible(n, offsets) {
		return 0, false
	}
	return time.Duration(best) * time.Second / 8000, true
}

// guesses are the offsets of the pieces nearest to a place, two on either side,
// without those that another includes.
func (m *matcher) guesses(at int) (list []int) {
	next, _ := slices.BinarySearchFunc(m.hints, at, func(h hint, at int) int { return h.at - at })
	for _, h := range m.hints[max(0, next-2):min(len(m.hints), next+2)] {
		near := func(other int) bool { return abs(h.offset-other) <= reach/3 }
		if !slices.ContainsFunc(list, near) {
			list = append(list, h.offset)
		}
	}
	return list
}

// similarity is the normalised correlation of a window of said with heard so much
// later; 0 where nothing was recorded.
func (m *matcher) similarity(from, offset int) float64 {
	if from+offset < 0 || from+windowLen+offset > len(m.heard) {
		return 0
	}
	var xy, xx, yy float64
	heard := m.heard[from+offset:]
	for i, x := range m.said[from : from+windowLen] {
		y := heard[i]
		wx, wy := m.weight[i]*x, m.weight[i]*y
		xy, xx, yy = xy+wx*y, xx+wx*x, yy+wy*y
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

// audible reports whether neither half of frame n is silent in the recording at
// all of some offsets.
func (m *matcher) audible(n int, offsets []int) bool {
	const half = frameLen / 2
	for at := n * frameLen; at < (n+1)*frameLen; at += half {
		said := level(m.said[at : at+half])
		if !slices.ContainsFunc(offsets, func(offset int) bool {
			return at+offset >= 0 && at+offset+half <= len(m.heard) &&
				(said <= m.floor || level(m.heard[at+offset:at+offset+half]) >= said+m.gain-vanishing)
		}) {
			return false
		}
	}
	return true
}

// decimate is pcm at 8 kHz: the mean of six samples each.
func decimate(pcm []float32) []float64 {
	out := make([]float64, len(pcm)/down)
	for i := range out {
		sum := float32(0)
		for _, x := range pcm[i*down : (i+1)*down] {
			sum += x
		}
		out[i] = float64(sum) / down
	}
	return out
}

// level is the RMS in dBFS.
func level(x []float64) float64 {
	sum := 1e-12
	for _, v := range x {
		sum += v * v
	}
	return 10 * math.Log10(sum/float64(len(x)))
}

func abs(n int) int { return max(n, -n) }
