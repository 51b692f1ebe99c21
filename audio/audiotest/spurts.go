package audiotest

import "github.com/parley-voice/parley/audio"

// Span is a part of a recording, in samples from its beginning: From is in it,
// To isn't.
type Span struct {
	From, To int
}

const (
	spurtHop  = audio.BlockSamples // step of the level, in samples
	spurtGap  = 20                 // steps of silence that end a spurt
	spurtMin  = 10                 // steps that a spurt has at least
	spurtEdge = 2                  // steps that are added at both ends
)

// Spurts finds the talk spurts of clean speech: stretches of at least 100 ms
// whose level stays within 35 dB of the loudest 10 ms and above -60 dBFS, joined
// over gaps shorter than 200 ms, with 20 ms around them.
func Spurts(pcm []float32) []Span {
	steps := len(pcm) / spurtHop
	levels := make([]float64, steps)
	loudest := audio.FloorDBFS
	for i := range levels {
		levels[i] = audio.Measure(pcm[i*spurtHop : (i+1)*spurtHop]).RMS
		loudest = max(loudest, levels[i])
	}
	threshold := max(loudest-35, -60)
	var spans []Span
	start, last := -1, 0
	for i := 0; i <= steps; i++ {
		if i < steps && levels[i] > threshold {
			if start < 0 {
				start = i
			}
			last = i
			continue
		}
		if start >= 0 && (i == steps || i-last >= spurtGap) {
			if last-start+1 >= spurtMin {
				from, to := max(0, start-spurtEdge), min(steps, last+1+spurtEdge)
				spans = append(spans, Span{from * spurtHop, to * spurtHop})
			}
			start = -1
		}
	}
	return spans
}
