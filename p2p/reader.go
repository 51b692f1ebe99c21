package p2p

import (
	"errors"
	"io"
	"time"
)

// readerSize holds any preamble, frame or lane message and what a held stream
// may carry.
const readerSize = 2048

// streamReader collects what arrives on a stream. One goroutine uses it.
type streamReader struct {
	src  io.Reader
	r, w int
	at   time.Time // when the latest bytes arrived
	sum  int       // bytes that were read
	buf  [readerSize]byte
}

func newStreamReader(src io.Reader) *streamReader { return &streamReader{src: src} }

// pending is what was read and not consumed.
func (r *streamReader) pending() []byte { return r.buf[r.r:r.w] }

func (r *streamReader) consume(n int) { r.r += n }

// fill waits for more bytes and returns how many came.
func (r *streamReader) fill() (int, error) {
	if r.r > 0 {
		copy(r.buf[:], r.buf[r.r:r.w])
		r.w -= r.r
		r.r = 0
	}
	if r.w == len(r.buf) {
		return 0, errMalformed
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.at = time.Now()
	r.w += n
	r.sum += n
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

// preamble waits for the stream's preamble.
func (r *streamReader) preamble() (preamble, error) {
	for {
		p, n, err := parsePreamble(r.pending())
		if err == nil {
			r.consume(n)
			return p, nil
		}
		if !errors.Is(err, errIncomplete) {
			return preamble{}, err
		}
		if _, err := r.fill(); err != nil {
			return preamble{}, err
		}
	}
}
