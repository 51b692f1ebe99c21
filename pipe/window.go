package pipe

const (
	windowSize = 1024 // counters that may arrive after a later one; 5 s of voice from a fast talker
	windowWord = 64
)

// window remembers which counters were received, in a ring of bits of which a
// whole word is cleared when the highest counter enters it (RFC 6479). The zero
// value has received none; counters begin with 1.
type window struct {
	top  uint64 // the highest counter received
	bits [windowSize/windowWord + 1]uint64
}

// fresh reports whether n was not received and isn't too old to tell.
func (w *window) fresh(n uint64) bool {
	switch {
	case n == 0:
		return false
	case n > w.top:
		return true
	case w.top-n >= windowSize:
		return false
	}
	word, bit := w.at(n)
	return *word&bit == 0
}

// mark notes that n, which is fresh, was received.
func (w *window) mark(n uint64) {
	if n > w.top {
		steps := min(n/windowWord-w.top/windowWord, uint64(len(w.bits)))
		for i := range steps {
			w.bits[(w.top/windowWord+1+i)%uint64(len(w.bits))] = 0
		}
		w.top = n
	}
	word, bit := w.at(n)
	*word |= bit
}

func (w *window) at(n uint64) (word *uint64, bit uint64) {
	return &w.bits[n/windowWord%uint64(len(w.bits))], 1 << (n % windowWord)
}
