package audio

// Ring is a queue of samples with a fixed capacity. It is not safe for
// concurrent use, and allocates nothing after NewRing.
type Ring struct {
	buf  []float32
	head int // next sample to read
	used int
}

// NewRing makes a queue for at most capacity samples; less than one is one.
func NewRing(capacity int) *Ring {
	return &Ring{buf: make([]float32, max(1, capacity))}
}

// Len is the number of samples in the queue.
func (r *Ring) Len() int { return r.used }

// Free is the number of samples that may still be written.
func (r *Ring) Free() int { return len(r.buf) - r.used }

// Write appends as much of pcm as there is room for and returns how much that
// is; nothing in the queue is overwritten.
func (r *Ring) Write(pcm []float32) int {
	n := min(len(pcm), r.Free())
	tail := (r.head + r.used) % len(r.buf)
	first := copy(r.buf[tail:], pcm[:n])
	copy(r.buf, pcm[first:n])
	r.used += n
	return n
}

// Read moves the oldest samples to dst and returns how many there were.
func (r *Ring) Read(dst []float32) int {
	n := r.Peek(dst)
	return r.Discard(n)
}

// Peek copies the oldest samples to dst, which stay in the queue, and returns
// how many there were.
func (r *Ring) Peek(dst []float32) int {
	n := min(len(dst), r.used)
	first := copy(dst[:n], r.buf[r.head:])
	copy(dst[first:n], r.buf)
	return n
}

// Discard drops the n oldest samples, or all if there are fewer, and returns
// how many it dropped.
func (r *Ring) Discard(n int) int {
	n = min(max(0, n), r.used)
	r.head = (r.head + n) % len(r.buf)
	r.used -= n
	return n
}

// Reset empties the queue.
func (r *Ring) Reset() { r.head, r.used = 0, 0 }
