package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	maxWAVChunks = 4096       // a header with more is hostile
	wavUnknown   = 0xFFFFFFFF // a size that isn't known (yet), or is in the ds64 chunk
)

// wavReader reads the chunks of a RIFF, RF64 or BW64 file.
type wavReader struct {
	r    io.Reader
	seek io.Seeker // nil if r can't
	pos  int64     // bytes from the file's beginning

	riffEnd  int64 // where the form ends, 0 if that isn't known
	ds64Data int64 // size of the data chunk from ds64, 0 if there is none
	format   WAVFormat
	dataPos  int64
	dataSize int64 // math.MaxInt64: to the end of the file
}

// open reads chunks until it has both fmt and data, and leaves the reader at
// the first sample.
func (w *wavReader) open() error {
	var h [12]byte
	if err := w.read(h[:]); err != nil {
		return w.cut(err, "header")
	}
	id := string(h[:4])
	if id != "RIFF" && id != "RF64" && id != "BW64" || string(h[8:]) != "WAVE" {
		return fmt.Errorf("%w: not a WAV file", ErrFormat)
	}
	if size := int64(binary.LittleEndian.Uint32(h[4:])); size != 0 && size != wavUnknown {
		w.riffEnd = 8 + size
	}
	for range maxWAVChunks {
		done, err := w.chunk()
		if err != nil {
			return err
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("%w: more than %d chunks before the audio", ErrFormat, maxWAVChunks)
}

// chunk reads one chunk and tells whether the audio can start.
func (w *wavReader) chunk() (done bool, err error) {
	var h [8]byte
	if err := w.read(h[:]); err != nil {
		if w.dataPos > 0 {
			return false, w.cut(err, "fmt chunk")
		}
		return false, w.cut(err, "data chunk")
	}
	size := int64(binary.LittleEndian.Uint32(h[4:]))
	switch string(h[:4]) {
	case "ds64":
		return false, w.ds64(size)
	case "fmt ":
		if err := w.fmt(size); err != nil {
			return false, err
		}
		if w.dataPos > 0 {
			return true, w.seekTo(w.dataPos)
		}
		return false, nil
	case "data":
		w.dataPos, w.dataSize = w.pos, w.resolve(size)
		if w.format.Rate != 0 {
			return true, nil
		}
		if w.seek == nil {
			return false, fmt.Errorf("%w: data chunk before fmt chunk in a stream that can't seek", ErrFormat)
		}
		return false, w.skip(w.dataSize, w.dataSize)
	}
	return false, w.skip(size, size)
}

// resolve is the size of the data chunk. A size of 0xFFFFFFFF is in ds64 or
// unknown. One of 0 is that of a file whose writer never came back, unless the
// form says that more chunks follow: then there really is no audio.
func (w *wavReader) resolve(size int64) int64 {
	switch {
	case size == wavUnknown && w.ds64Data > 0:
		return w.ds64Data
	case size == wavUnknown:
		return math.MaxInt64
	case size == 0 && w.riffEnd <= w.pos:
		return math.MaxInt64
	}
	return size
}

// ds64 reads the 64 bit sizes of EBU Tech 3306.
func (w *wavReader) ds64(size int64) error {
	var b [16]byte
	if size < int64(len(b)) {
		return fmt.Errorf("%w: ds64 chunk of %d bytes", ErrFormat, size)
	}
	if err := w.read(b[:]); err != nil {
		return w.cut(err, "ds64 chunk")
	}
	data := binary.LittleEndian.Uint64(b[8:])
	if data > math.MaxInt64/2 {
		return fmt.Errorf("%w: data of %d bytes", ErrFormat, data)
	}
	w.ds64Data = int64(data)
	return w.skip(size-int64(len(b)), size)
}

// fmt reads the format. Of several fmt chunks the last before the audio counts.
func (w *wavReader) fmt(size int64) error {
	var b [wavFmtBytes]byte
	n := min(size, wavFmtBytes)
	if err := w.read(b[:n]); err != nil {
		return w.cut(err, "fmt chunk")
	}
	f, err := parseWAVFormat(b[:n])
	if err != nil {
		return err
	}
	w.format = f
	return w.skip(size-n, size)
}

// skip passes the rest of a chunk of the given size, of which n bytes are left,
// and the padding that makes its size even.
func (w *wavReader) skip(n, size int64) error {
	if n == math.MaxInt64 {
		return fmt.Errorf("%w: no fmt chunk", ErrFormat)
	}
	n += size & 1
	if w.seek != nil {
		return w.seekTo(w.pos + n)
	}
	m, err := io.CopyN(io.Discard, w.r, n)
	w.pos += m
	if errors.Is(err, io.EOF) {
		return nil // the next read says so
	}
	return err
}

func (w *wavReader) seekTo(pos int64) error {
	if _, err := w.seek.Seek(pos-w.pos, io.SeekCurrent); err != nil {
		return fmt.Errorf("audio: read WAV: %w", err)
	}
	w.pos = pos
	return nil
}

func (w *wavReader) read(b []byte) error {
	n, err := io.ReadFull(w.r, b)
	w.pos += int64(n)
	return err
}

// cut turns the end of the file within its header into ErrFormat.
func (w *wavReader) cut(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: WAV file ends before its %s", ErrFormat, what)
	}
	return fmt.Errorf("audio: read WAV: %w", err)
}
