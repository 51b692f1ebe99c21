package p2p

// windowSize is how far behind the newest packet number duplicates are still
// told apart, 20 s of 20 ms packets. Older ones are dropped.
const windowSize = 1024

// window unwraps packet numbers and knows which ones arrived. The zero value
// expects number 0.
type window struct {
	next int64 // one above the largest number that arrived
	bits [windowSize / 64]uint64
}

// unwrap gives the number nearest to the expected one whose lower 16 bits are
// n. It may be negative, which accept refuses.
func (w *window) unwrap(n uint16) int64 {
	return w.next + int64(int16(n-uint16(w.next)))
}

// accept notes that number n arrived and says whether it is the first time.
func (w *window) accept(n int64) bool {
	if n < 0 || n < w.next-windowSize {
		return false
	}
	if n >= w.next {
		if n-w.next >= windowSize {
			clear(w.bits[:])
		} else {
			for i := w.next; i < n; i++ {
				w.bits[i%windowSize/64] &^= 1 << (i % 64)
			}
		}
		w.next = n + 1
	} else if w.has(n) {
		return false
	}
	w.bits[n%windowSize/64] |= 1 << (n % 64)
	return true
}

func (w *window) has(n int64) bool {
	return n >= 0 && n < w.next && n >= w.next-windowSize && w.bits[n%windowSize/64]&(1<<(n%64)) != 0
}

// largest is the largest number that arrived, -1 if none did.
func (w *window) largest() int64 { return w.next - 1 }

// bitmap says which of the 32 numbers before the largest arrived, the nearest
// in the lowest bit.
func (w *window) bitmap() (b uint32) {
	for i := range int64(32) {
		if w.has(w.next - 2 - i) {
			b |= 1 << i
		}
	}
	return b
}
