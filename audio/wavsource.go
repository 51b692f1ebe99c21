package audio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// wavBufferBytes is how much of a file is read at a time, in frames that fit.
const wavBufferBytes = 8192

// maxStuck is how often in a row a reader may give nothing, as in package bufio.
const maxStuck = 100

// WAVSource is a Source that plays a WAV file, converted to 48 kHz mono: integer
// PCM of 8 to 32 bits or float of 32 or 64, 4 to 384 kHz, RIFF or RF64, any
// number of channels (their mean), chunks in any order. A file that was cut off
// or never finished plays to its end. Sample 0 of the file is sample 0 of the
// first block, at every rate. It reads as it plays and needs the same small
// memory for every file. It is unpaced.
//
// The parser is our own: go-audio/wav knows integer samples only and reads
// chunks whole into memory.
type WAVSource struct {
	file   io.Closer // nil if the reader isn't ours
	wav    wavReader
	left   int64 // bytes of audio not yet read in this round
	loop   bool
	played bool // this round had a frame
	stuck  int  // reads in a row that gave nothing

	raw       []byte // bytes of frames, kept of them is not yet a whole frame
	kept      int
	mono      []float32
	pending   []float32 // part of mono that isn't converted yet
	resampler *Resampler
	ended     bool // no more input
	closed    atomic.Bool
}

// OpenWAV opens a WAV file. A file that isn't one, or has samples of a kind that
// WAVSource doesn't know, is ErrFormat. Close closes the file.
func OpenWAV(path string) (*WAVSource, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("audio: open WAV: %w", err)
	}
	s, err := NewWAVSource(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.file = f
	return s, nil
}

// NewWAVSource plays WAV from r, starting where r is. If r is an io.Seeker that
// can seek, its chunks may be in any order and it may be looped; from a pipe it
// plays too. Close doesn't close r. ReadBlock waits for r as long as r takes.
func NewWAVSource(r io.Reader) (*WAVSource, error) {
	s := &WAVSource{wav: wavReader{r: r}}
	if seeker, ok := r.(io.Seeker); ok {
		if _, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			s.wav.seek = seeker
		}
	}
	if err := s.wav.open(); err != nil {
		return nil, err
	}
	format := s.wav.format
	if format.Rate != SampleRate {
		resampler, err := NewResampler(format.Rate, SampleRate)
		if err != nil {
			return nil, err
		}
		s.resampler = resampler
	}
	frames := max(1, wavBufferBytes/format.frameBytes())
	s.raw = make([]byte, frames*format.frameBytes())
	s.mono = make([]float32, frames)
	s.left = s.wav.dataSize
	return s, nil
}

// Format says how the file holds its samples.
func (s *WAVSource) Format() WAVFormat { return s.wav.format }

// Duration is how long the file plays according to its header; false if the
// header doesn't say.
func (s *WAVSource) Duration() (time.Duration, bool) {
	size := s.wav.dataSize
	frames := size / int64(s.wav.format.frameBytes())
	seconds := float64(frames) / float64(s.wav.format.Rate)
	if size > 1<<50 || seconds > (1<<62)/float64(time.Second) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// SetLoop makes the source start again at the end, without a gap and without
// end; off lets it end after the round it is in. It fails with ErrFormat if the
// source can't seek. It must not be called while ReadBlock runs.
func (s *WAVSource) SetLoop(on bool) error {
	if on && s.wav.seek == nil {
		return fmt.Errorf("%w: a WAV stream that can't seek can't loop", ErrFormat)
	}
	s.loop = on
	return nil
}

// ReadBlock fills dst with the next 10 ms. What follows the last sample in its
// block is silence; after it comes io.EOF.
func (s *WAVSource) ReadBlock(dst *Block) error {
	written := 0
	for written < len(dst) {
		if s.closed.Load() {
			return ErrClosed
		}
		if len(s.pending) == 0 && !s.ended {
			if err := s.read(); err != nil {
				return err
			}
		}
		n := s.convert(dst[written:])
		written += n
		if n == 0 && s.ended && len(s.pending) == 0 {
			break
		}
	}
	if written == 0 {
		return io.EOF
	}
	clear(dst[written:])
	return nil
}

// convert moves pending samples to dst and returns how many it wrote.
func (s *WAVSource) convert(dst []float32) int {
	if s.resampler == nil {
		n := copy(dst, s.pending)
		s.pending = s.pending[n:]
		return n
	}
	if len(s.pending) == 0 && s.ended {
		return s.resampler.Flush(dst)
	}
	taken, written := s.resampler.Process(dst, s.pending)
	s.pending = s.pending[taken:]
	return written
}

// read decodes the next frames of the file into pending, starting again at the
// end if it loops.
func (s *WAVSource) read() error {
	room := int64(len(s.raw) - s.kept)
	n, err := s.wav.r.Read(s.raw[s.kept : s.kept+int(min(room, s.left))])
	s.left -= int64(n)
	s.wav.pos += int64(n)
	s.kept += n
	whole := s.kept - s.kept%s.wav.format.frameBytes()
	s.pending = s.mono[:s.wav.format.decode(s.mono, s.raw[:whole])]
	s.kept = copy(s.raw, s.raw[whole:s.kept])
	s.played = s.played || whole > 0
	if s.stuck++; n > 0 {
		s.stuck = 0
	}
	if s.stuck > maxStuck && err == nil && s.left > 0 {
		err = io.ErrNoProgress
	}
	switch {
	case s.closed.Load():
		return ErrClosed
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("audio: read WAV: %w", err)
	case err != nil || s.left == 0:
		return s.endRound()
	}
	return nil
}

// endRound comes after the last frame of the file.
func (s *WAVSource) endRound() error {
	if !s.loop || !s.played {
		s.ended = true
		return nil
	}
	s.left, s.kept, s.played = s.wav.dataSize, 0, false
	return s.wav.seekTo(s.wav.dataPos)
}

// Close ends the source, and a ReadBlock that waits for a file of OpenWAV. It is
// idempotent.
func (s *WAVSource) Close() error {
	if s.closed.Swap(true) || s.file == nil {
		return nil
	}
	return s.file.Close()
}
