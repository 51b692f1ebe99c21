package audiotest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/parley-voice/parley/audio"
)

// vowels are the first three formants in Hz of a, e, i, o, u (means of men,
// Peterson and Barney 1952).
var vowels = [][3]float64{
	{730, 1090, 2440}, {530, 1840, 2480}, {270, 2290, 3010}, {570, 840, 2410}, {300, 870, 2240},
}

// Babble makes speech without words, the same for the same seed: syllables of a
// hiss and a vowel at about four per second, in phrases with pauses between, in a
// voice whose pitch belongs to the seed. It has the pitch, formants, rhythm and
// level of speech (RMS about -23 dBFS while it talks), and stands for recordings
// where none are installed.
func Babble(seed uint64, d time.Duration) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0x70617261)) //nolint:gosec // reproducible, not secret
	b := &babbler{rng: rng, pitch: 90 + 130*rng.Float64(), pcm: make([]float32, Samples(d))}
	for b.at < len(b.pcm) {
		for range 3 + rng.IntN(5) {
			b.hiss(30 + rng.IntN(60))
			b.vowel(vowels[rng.IntN(len(vowels))], 90+rng.IntN(140))
			b.at += Samples(time.Duration(rng.IntN(40)) * time.Millisecond)
		}
		b.at += Samples(time.Duration(250+rng.IntN(350)) * time.Millisecond)
	}
	return b.pcm
}

// babbler writes sounds one after the other.
type babbler struct {
	rng   *rand.Rand
	pitch float64 // Hz
	pcm   []float32
	at    int
}

// vowel adds a vowel: a buzz through three formants.
func (b *babbler) vowel(formants [3]float64, milliseconds int) {
	n := milliseconds * audio.SampleRate / 1000
	var tract [3]resonance
	for i, f := range formants {
		tract[i] = newResonance(f*(0.95+0.1*b.rng.Float64()), 60+40*float64(i))
	}
	start := b.pitch * (0.85 + 0.3*b.rng.Float64())
	end := start * (0.85 + 0.25*b.rng.Float64())
	phase, buzz := 0.0, 0.0
	for i := range n {
		along := float64(i) / float64(n)
		phase += (start + (end-start)*along) / audio.SampleRate
		pulse := 0.0
		if phase >= 1 {
			phase--
			pulse = 1
		}
		buzz = 0.96*buzz + pulse // falls by 6 dB per octave, like a voice
		y := tract[0].next(buzz) + 0.5*tract[1].next(buzz) + 0.25*tract[2].next(buzz)
		b.add(i, 0.12*math.Sin(math.Pi*along)*y)
	}
	b.at += n
}

// hiss adds a consonant: noise around a few kHz.
func (b *babbler) hiss(milliseconds int) {
	n := milliseconds * audio.SampleRate / 1000
	r := newResonance(2000+3500*b.rng.Float64(), 1200)
	for i := range n {
		window := math.Sin(math.Pi * float64(i) / float64(n))
		b.add(i, 0.11*window*r.next(b.rng.Float64()*2-1))
	}
	b.at += n
}

// add adds to the sample at the present place plus i.
func (b *babbler) add(i int, x float64) {
	if k := b.at + i; k < len(b.pcm) {
		b.pcm[k] += float32(math.Max(-0.9, math.Min(0.9, x)))
	}
}

// resonance is a second-order resonator with a gain of about 1 at its peak.
type resonance struct {
	a1, a2, gain, y1, y2 float64
}

func newResonance(frequency, bandwidth float64) resonance {
	r := math.Exp(-math.Pi * bandwidth / audio.SampleRate)
	w := 2 * math.Pi * frequency / audio.SampleRate
	return resonance{a1: 2 * r * math.Cos(w), a2: -r * r, gain: (1 - r) * 2}
}

func (r *resonance) next(x float64) float64 {
	y := r.gain*x + r.a1*r.y1 + r.a2*r.y2
	r.y1, r.y2 = y, r.y1
	return y
}
