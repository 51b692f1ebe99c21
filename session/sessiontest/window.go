package sessiontest

const windowSize = 1024

// window remembers which of the last 1,024 numbers were seen.
type window struct {
	top  uint64 // the highest number seen
	bits [windowSize / 64]uint64
}

// first reports whether n is new, and remembers it. A number too old to tell
// isn't new.
func (w *window) first(n uint64) bool {
	for w.top < n {
		if n-w.top > windowSize {
			w.top = n - windowSize
			w.bits = [windowSize / 64]uint64{}
		}
		w.top++
		w.bits[w.top%windowSize/64] &^= 1 << (w.top % 64)
	}
	if w.top-n >= windowSize {
		return false
	}
	word, bit := n%windowSize/64, uint64(1)<<(n%64)
	seen := w.bits[word]&bit != 0
	w.bits[word] |= bit
	return !seen
}
