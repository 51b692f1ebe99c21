package audio

import "math"

// FadeSamples is a good length for an edge that nobody hears as a click and
// nobody notices as a fade: 5 ms.
const FadeSamples = SampleRate / 200

// fadeGain is the raised-cosine edge from 0 to 1 at sample i of n. It never
// reaches either end: sample -1 would be 0, sample n would be 1.
func fadeGain(i, n int) float32 {
	return float32(0.5 - 0.5*math.Cos(math.Pi*float64(i+1)/float64(n+1)))
}

// FadeIn shapes all of pcm with a raised-cosine edge from silence to unity. It
// is for the first few ms of audio that begins; see FadeSamples.
func FadeIn(pcm []float32) {
	for i := range pcm {
		pcm[i] *= fadeGain(i, len(pcm))
	}
}

// FadeOut shapes all of pcm with a raised-cosine edge from unity to silence. It
// is for the last few ms of audio that stops.
func FadeOut(pcm []float32) {
	for i := range pcm {
		pcm[i] *= fadeGain(len(pcm)-1-i, len(pcm))
	}
}

// CrossFade writes to dst an edge that begins as from and ends as to, with
// gains that add up to 1. It uses the length of the shortest; dst may be from
// or to.
func CrossFade(dst, from, to []float32) {
	n := min(len(dst), len(from), len(to))
	for i := range n {
		g := fadeGain(i, n)
		dst[i] = from[i] + g*(to[i]-from[i])
	}
}

// Fader opens and closes a stream of PCM without a click: mute, push to talk, a
// voice that ends. Each edge is a raised cosine of FadeSamples; one that is
// reversed half way turns back from where it is. The zero value is closed. It
// is not safe for concurrent use.
type Fader struct {
	open bool
	at   int // 0 is silence, FadeSamples unity
}

// Set opens or closes the fader; the next samples begin the edge.
func (f *Fader) Set(open bool) { f.open = open }

// Silent tells that the fader is closed and its edge is over: Apply would
// return nothing but zeros.
func (f *Fader) Silent() bool { return !f.open && f.at == 0 }

// Apply shapes the next samples of the stream in place. Samples at unity are
// not touched, those beyond a closing edge are exactly 0.
func (f *Fader) Apply(pcm []float32) { f.apply(pcm, 1) }

// ApplyStereo is Apply for a stream of stereo blocks.
func (f *Fader) ApplyStereo(b *StereoBlock) { f.apply(b[:], 2) }

// apply shapes frames of so many channels.
func (f *Fader) apply(pcm []float32, channels int) {
	for ; len(pcm) >= channels; pcm = pcm[channels:] {
		if f.open && f.at == FadeSamples {
			return
		}
		if f.Silent() {
			clear(pcm)
			return
		}
		if f.open {
			f.at++
		} else {
			f.at--
		}
		if f.at == FadeSamples {
			continue
		}
		gain := float32(0.5 - 0.5*math.Cos(math.Pi*float64(f.at)/FadeSamples))
		for c := range channels {
			pcm[c] *= gain
		}
	}
}
