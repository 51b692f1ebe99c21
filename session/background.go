package session

import (
	"math"

	"github.com/parley-voice/parley/audio"
)

// What is guessed becomes quieter, but not than what is heard behind the voice:
// a codec's guess is good for a few tens of milliseconds, an artefact after that,
// and in the end the background (Opus's is at its level within 80 ms).
const (
	fadeAfter  = 2 * audio.BlockSamples // guessed samples after which a guess becomes quieter
	fadeLength = 8 * audio.BlockSamples // and for how long

	// When nothing follows, the background goes on as it was, then fades out. So
	// it doesn't come and go with each word, and nobody is kept awake by a room
	// in which nobody talks.
	backgroundHold = audio.SampleRate
	backgroundFade = audio.SampleRate
)

const (
	backgroundPiece = 6 * audio.BlockSamples // whose power is looked at
	backgroundSpan  = audio.SampleRate       // the quietest of this much and of as much before is the background

	// The quietest piece is some 3 dB below the mean of what rooms and fans make.
	quietestShare = 0.5

	// What is below silence, -75 dBFS, needs nothing to go on, and what is above
	// -38 dBFS is a voice, or music, that made no pause.
	leastBackground = 3.2e-8
	mostBackground  = 1.6e-4
)

// background follows how loud it is behind somebody's voice, by its minimum: in
// speech there is a pause of 100 ms within a second or two. The zero value knows
// of none.
type background struct {
	sum     float64 // of the squares of the present piece
	filled  int     // samples of it
	age     int     // samples of the present span
	quiet   float64 // mean square of its quietest piece; 0 before there is one
	quieter float64 // of the span before; 0 if there was none
}

// push takes decoded speech.
func (b *background) push(pcm []float32) {
	for _, x := range pcm {
		b.sum += float64(x) * float64(x)
	}
	b.filled += len(pcm)
	if b.filled < backgroundPiece {
		return
	}
	power := b.sum/float64(b.filled) + math.SmallestNonzeroFloat64
	if b.quiet == 0 || power < b.quiet {
		b.quiet = power
	}
	b.age += b.filled
	b.sum, b.filled = 0, 0
	if b.age >= backgroundSpan {
		b.quieter, b.quiet, b.age = b.quiet, 0, 0
	}
}

// cut says that what comes next doesn't follow what came last.
func (b *background) cut() { b.sum, b.filled = 0, 0 }

// power is the background's mean square, 0 if there is none to be heard.
func (b *background) power() float64 {
	p := b.quiet
	if p == 0 || b.quieter > 0 && b.quieter < p {
		p = b.quieter
	}
	if p < leastBackground || p > mostBackground {
		return 0
	}
	return p / quietestShare
}

// share is by how much a guess must be made quieter to be as loud as the
// background; 0 if there is none.
func (b *background) share(guess []float32) float32 {
	power := b.power()
	if power == 0 || len(guess) == 0 {
		return 0
	}
	sum := 0.0
	for _, x := range guess {
		sum += float64(x) * float64(x)
	}
	if sum <= power*float64(len(guess)) {
		return 1
	}
	return float32(math.Sqrt(power * float64(len(guess)) / sum))
}

// guessGain is that of a guess so many samples after it began, and backgroundGain
// that of the background so many after the last word.
func guessGain(since int) float32 { return falling(since-fadeAfter, fadeLength) }

func backgroundGain(since int) float32 { return falling(since-backgroundHold, backgroundFade) }

func falling(over, length int) float32 {
	return max(0, min(1, 1-float32(over)/float32(length)))
}

// ramp gives pcm a gain that goes from one value to another.
func ramp(pcm []float32, from, to float32) {
	if from == 1 && to == 1 {
		return
	}
	step := (to - from) / float32(len(pcm))
	for i := range pcm {
		pcm[i] *= from + float32(i+1)*step
	}
}

// goOnBehind has the decoder guess how the background goes on, until a block is
// full or it has faded out.
func (p *player) goOnBehind() {
	for p.queued < audio.BlockSamples && !p.ending {
		n := (audio.BlockSamples - p.queued + guessSamples - 1) / guessSamples * guessSamples
		if p.pause == 0 {
			n = max(n, edgeSamples)
		}
		pcm := p.scratch[:n:n]
		if p.dec.Conceal(pcm) != nil {
			p.ending = true
			return
		}
		p.pause += n
		gain := p.behind.share(pcm) * backgroundGain(p.pause)
		ramp(pcm, p.gain, gain)
		p.gain = gain
		p.queued += copy(p.pcm[p.queued:], pcm)
		p.ending = gain == 0
	}
}
