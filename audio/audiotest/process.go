package audiotest

import "github.com/parley-voice/parley/audio"

// Process runs a microphone through a processor, in whole blocks: what doesn't
// fill one is left out. A mix of nil is silence.
func Process(p audio.Processor, mic, mix []float32) []float32 {
	var out []float32
	for at := 0; at+audio.BlockSamples <= len(mic); at += audio.BlockSamples {
		var a, b audio.Block
		copy(a[:], mic[at:])
		if mix != nil {
			copy(b[:], mix[at:])
		}
		p.Process(&a, &b)
		out = append(out, a[:]...)
	}
	return out
}
