package audio

// MaxSample bounds what a broken float file, processor or source can put into
// the mix: 18 dB above full scale, more than any voice with any gain.
const MaxSample = 8

// finite tells whether x is neither infinite nor NaN.
func finite(x float32) bool { return x-x == 0 }

// repaired is x as the mix may have it: 0 if it isn't finite, else limited to
// -MaxSample..MaxSample.
func repaired(x float32) float32 {
	if !finite(x) {
		return 0
	}
	return min(max(x, -MaxSample), MaxSample)
}

// Repair sets samples that are NaN or infinite to 0, limits the others to
// -MaxSample..MaxSample, and returns how many it changed. Who takes PCM from
// code that isn't its own calls it before anything with a memory sees the PCM.
func Repair(pcm []float32) int {
	changed := 0
	for i, x := range pcm {
		if !(x >= -MaxSample && x <= MaxSample) {
			pcm[i] = repaired(x)
			changed++
		}
	}
	return changed
}
