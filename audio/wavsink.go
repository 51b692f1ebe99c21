package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
)

// WAVConfig says how a WAVSink writes. The zero value is 16 bit stereo.
type WAVConfig struct {
	Float bool // 32 bit float samples, not clipped, instead of 16 bit integers clipped at ±1
	Mono  bool // the mean of left and right instead of both
}

// WAVSink is a Sink that writes 48 kHz WAV. The header is corrected once per
// second of audio and at Close, and nothing is held back in memory, so that a
// process that is killed leaves a file that plays. A file past 4 GiB (6 hours of
// 16 bit stereo) becomes RF64 (EBU Tech 3306), for which room is kept from the
// beginning. It is unpaced.
type WAVSink struct {
	config WAVConfig
	name   string
	file   io.Closer // nil if the writer isn't ours

	mu     sync.Mutex // guards what follows
	w      io.WriteSeeker
	base   int64 // position of the header in w
	data   int64 // bytes of audio written
	stale  int   // blocks since the header was right
	err    error // the first failure
	closed bool
	buf    []byte
}

const (
	headerBlocks = SampleRate / BlockSamples // blocks between two corrections of the header
	ds64Bytes    = 28
	wavHeader    = 12 + 8 + ds64Bytes + 8 + 18 + 12 + 8 // RIFF, JUNK or ds64, fmt, fact, data
)

// CreateWAV makes a WAV file, or empties the one that is there. Close closes it.
func CreateWAV(path string, config WAVConfig) (*WAVSink, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("audio: create WAV: %w", err)
	}
	s, err := newWAVSink(f, config, path)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s.file = f
	return s, nil
}

// NewWAVSink writes WAV to w, starting where w is. Close corrects the header and
// doesn't close w.
func NewWAVSink(w io.WriteSeeker, config WAVConfig) (*WAVSink, error) {
	return newWAVSink(w, config, "WAV")
}

func newWAVSink(w io.WriteSeeker, config WAVConfig, name string) (*WAVSink, error) {
	s := &WAVSink{config: config, name: name, w: w}
	s.buf = make([]byte, 0, max(wavHeader, BlockSamples*s.frameBytes()))
	base, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("audio: write %s: %w", name, err)
	}
	s.base = base
	if _, err := w.Write(s.header()); err != nil {
		return nil, fmt.Errorf("audio: write %s: %w", name, err)
	}
	return s, nil
}

// WriteBlock appends 10 ms. The first failure, a full disk for example, is
// returned wrapped, and again by every later WriteBlock; what was written before
// it stays playable. After Close it returns ErrClosed.
func (s *WAVSink) WriteBlock(b *StereoBlock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.append(b)
}

func (s *WAVSink) append(b *StereoBlock) error {
	if s.err != nil {
		return s.err
	}
	n, err := s.w.Write(s.encode(b))
	s.data += int64(n)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		s.err = fmt.Errorf("audio: write %s: %w", s.name, err)
		return s.err
	}
	if s.stale++; s.stale >= headerBlocks {
		s.err = s.correct()
	}
	return s.err
}

// WriteSilence appends so many blocks of silence. In a file it leaves a hole that
// takes no room on most disks, so an hour of it costs nothing. It fails like
// WriteBlock.
func (s *WAVSink) WriteSilence(blocks int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	size := int64(BlockSamples * s.frameBytes())
	if _, ok := s.w.(*os.File); ok && blocks > 1 && s.err == nil {
		if _, err := s.w.Seek((blocks-1)*size, io.SeekCurrent); err != nil {
			s.err = fmt.Errorf("audio: write %s: %w", s.name, err)
			return s.err
		}
		s.data += (blocks - 1) * size
		s.stale += headerBlocks // the header is corrected with the block that ends the hole
		blocks = 1
	}
	for range blocks {
		if err := s.append(&StereoBlock{}); err != nil {
			return err
		}
	}
	return s.err
}

// Close corrects the header and closes a file of CreateWAV. It returns the first
// failure since the sink was made, if WriteBlock met one too. Later calls return
// nil.
func (s *WAVSink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.correct(); s.err == nil {
		s.err = err
	}
	if s.file != nil {
		if err := s.file.Close(); err != nil && s.err == nil {
			s.err = fmt.Errorf("audio: write %s: %w", s.name, err)
		}
	}
	return s.err
}

// correct writes the header anew and returns to the end of the audio.
func (s *WAVSink) correct() error {
	s.stale = 0
	_, err := s.w.Seek(s.base, io.SeekStart)
	if err == nil {
		_, err = s.w.Write(s.header())
	}
	if err == nil {
		_, err = s.w.Seek(s.base+wavHeader+s.data, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("audio: write %s: %w", s.name, err)
	}
	return nil
}

func (s *WAVSink) channels() int {
	if s.config.Mono {
		return 1
	}
	return 2
}

func (s *WAVSink) frameBytes() int {
	if s.config.Float {
		return 4 * s.channels()
	}
	return 2 * s.channels()
}

// header is the header for what is written so far.
func (s *WAVSink) header() []byte {
	le := binary.LittleEndian
	frames := s.data / int64(s.frameBytes())
	data := frames * int64(s.frameBytes())
	riff := data + wavHeader - 8
	id, size64 := "RIFF", "JUNK"
	riff32, data32, frames32 := uint32(riff), uint32(data), uint32(frames)
	if riff >= wavUnknown {
		id, size64 = "RF64", "ds64"
		riff32, data32, frames32 = wavUnknown, wavUnknown, uint32(min(frames, math.MaxUint32))
	}
	b := append(s.buf[:0], id...)
	b = le.AppendUint32(b, riff32)
	b = append(b, "WAVE"...)
	b = append(b, size64...)
	b = le.AppendUint32(b, ds64Bytes)
	b = le.AppendUint64(b, uint64(riff))
	b = le.AppendUint64(b, uint64(data))
	b = le.AppendUint64(b, uint64(frames))
	b = le.AppendUint32(b, 0) // no table of other chunks
	tag, bits := uint16(tagPCM), uint16(16)
	if s.config.Float {
		tag, bits = tagFloat, 32
	}
	b = append(b, "fmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, uint16(s.channels()))
	b = le.AppendUint32(b, SampleRate)
	b = le.AppendUint32(b, uint32(SampleRate*s.frameBytes()))
	b = le.AppendUint16(b, uint16(s.frameBytes()))
	b = le.AppendUint16(b, bits)
	b = le.AppendUint16(b, 0)
	b = append(b, "fact"...)
	b = le.AppendUint32(b, 4)
	b = le.AppendUint32(b, frames32)
	b = append(b, "data"...)
	return le.AppendUint32(b, data32)
}

// encode is a block as the file has it. Samples that aren't finite become 0.
func (s *WAVSink) encode(b *StereoBlock) []byte {
	s.buf = s.buf[:0]
	if s.config.Mono {
		var mono Block
		Downmix(&mono, b)
		return s.encodeSamples(mono[:])
	}
	return s.encodeSamples(b[:])
}

func (s *WAVSink) encodeSamples(pcm []float32) []byte {
	le := binary.LittleEndian
	for _, x := range pcm {
		x = repaired(x)
		if s.config.Float {
			s.buf = le.AppendUint32(s.buf, math.Float32bits(x))
			continue
		}
		v := math.RoundToEven(float64(x) * (1 << 15))
		s.buf = le.AppendUint16(s.buf, uint16(int16(min(max(v, math.MinInt16), math.MaxInt16))))
	}
	return s.buf
}
