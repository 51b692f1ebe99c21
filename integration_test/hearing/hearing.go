package hearing

import (
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
)

// Frame is the length in which speech is judged.
const Frame = 20 * time.Millisecond

// Track is 48 kHz mono, and when its first sample was said or heard.
type Track struct {
	PCM   []float32
	Start time.Time
}

// Moment is 20 ms of speech.
type Moment struct {
	At    time.Time     // when it was said
	Heard bool          // it is in the recording
	Delay time.Duration // how much later, if it was heard
}

// Report is what became of each spoken moment, in their order. Pauses aren't in
// it.
type Report []Moment

// Compare looks for every spoken moment of said in heard, at delays from 0 to
// most. A delay may change as often as it likes, as long as a second of speech
// here and there has the same. What was said when heard didn't record yet, or
// any more, is left out.
func Compare(said, heard Track, most time.Duration) Report {
	shift := said.Start.Sub(heard.Start)
	pieces := audiotest.Offsets(said.PCM, heard.PCM, audiotest.OffsetsConfig{
		Segment: 400 * time.Millisecond, Step: 200 * time.Millisecond,
		From: shift, To: shift + most,
	})
	m := newMatcher(said.PCM, heard.PCM, pieces)
	var report Report
	for n, spoken := range m.spoken {
		at := said.Start.Add(time.Duration(n) * Frame)
		if !spoken || at.Before(heard.Start) || at.Add(most+Frame).After(heard.Start.Add(audiotest.Duration(float64(len(heard.PCM))))) {
			continue
		}
		moment := Moment{At: at}
		if offset, ok := m.find(n); ok {
			moment.Heard, moment.Delay = true, offset-shift
		}
		report = append(report, moment)
	}
	return report
}

// Between is the part of what was said from one time on and before another.
func (r Report) Between(from, to time.Time) Report {
	var part Report
	for _, m := range r {
		if !m.At.Before(from) && m.At.Before(to) {
			part = append(part, m)
		}
	}
	return part
}

// Lost is the number of moments that weren't heard.
func (r Report) Lost() (n int) {
	for _, m := range r {
		if !m.Heard {
			n++
		}
	}
	return n
}

// Gap is a time of the talker in which nothing of what it said was heard.
type Gap struct{ From, To time.Time }

// Length is how long the gap is.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }

// Gaps are the stretches from the first to the last of moments that weren't
// heard with none between that was. A pause between two of them belongs to the
// gap, one before or after doesn't.
func (r Report) Gaps() (gaps []Gap) {
	open := false
	for _, m := range r {
		switch {
		case m.Heard:
			open = false
		case open:
			gaps[len(gaps)-1].To = m.At.Add(Frame)
		default:
			open = true
			gaps = append(gaps, Gap{m.At, m.At.Add(Frame)})
		}
	}
	return gaps
}

// Longest is the longest of the gaps; the zero Gap if there is none.
func (r Report) Longest() (longest Gap) {
	for _, g := range r.Gaps() {
		if g.Length() > longest.Length() {
			longest = g
		}
	}
	return longest
}

// sure is how many moments in a row make it sure that one was heard.
const sure = 3

// First is when, in the listener's time, speech was first heard that wasn't heard
// before a time: three moments in a row, so that no accident counts. It is false
// if there are none.
func (r Report) First(after time.Time) (time.Time, bool) {
	row := 0
	for n, m := range r {
		if !m.Heard || m.At.Add(m.Delay).Before(after) {
			row = 0
			continue
		}
		if row++; row == sure {
			first := r[n-sure+1]
			return first.At.Add(first.Delay), true
		}
	}
	return time.Time{}, false
}
