package oggopus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parley-voice/parley/codec"
)

// DefaultPreSkip is the delay of libopus in samples, 6.5 ms, by which the first
// sound comes out of a decoder later than its packet says.
const DefaultPreSkip = 312

// Limits of a stream.
const (
	// PageSamples is how much audio a page holds, in samples: a second.
	PageSamples = codec.SampleRate

	// MaxTags is how many bytes vendor and comments may take together.
	MaxTags = 32 << 10

	maxPacket = 61440 // RFC 7845 section 6: more no player needs to take
)

// Errors of a Writer. They are wrapped, so compare with errors.Is. A packet that
// is none is codec.ErrPacket.
var (
	ErrConfig = errors.New("oggopus: setting out of range")
	ErrGap    = errors.New("oggopus: gap that is no multiple of 2.5 ms")
	ErrClosed = errors.New("oggopus: writer is closed")
)

// Config says what a stream is. The zero value is the default.
type Config struct {
	Serial   uint32   // tells streams of one file apart; a file of one stream may have any
	PreSkip  int      // samples that a player leaves out at the beginning, 1 to 65535; 0 means DefaultPreSkip
	Vendor   string   // who made it; default "parley"
	Comments []string // NAME=value as in Vorbis comments, "TITLE=..." for example
}

// Writer writes one Ogg Opus stream, mono. What is given to it is one time line
// without gaps: Position says how far it is. It writes to its io.Writer whole
// pages only, each in one call, at the latest when what is in the page lasts a
// second; it holds back no more than that, and less than 64 KiB. It is not safe
// for concurrent use. After warm-up it allocates nothing.
type Writer struct {
	w        io.Writer
	config   Config
	page     page
	out      []byte
	filler   []byte
	number   uint32 // of the next page
	position int64  // samples given
	toc      byte   // of the last packet that held sound
	err      error  // the first failure
	closed   bool
}

// NewWriter writes the two headers of RFC 7845 section 5 to w, and returns a
// Writer that is at position 0.
func NewWriter(w io.Writer, config Config) (*Writer, error) {
	if config.PreSkip == 0 {
		config.PreSkip = DefaultPreSkip
	}
	if config.PreSkip < 0 || config.PreSkip > 0xffff {
		return nil, fmt.Errorf("%w: pre-skip of %d samples", ErrConfig, config.PreSkip)
	}
	if config.Vendor == "" {
		config.Vendor = "parley"
	}
	s := &Writer{w: w, config: config, toc: silences[0].toc}
	tags := s.tags()
	if len(tags) > MaxTags {
		return nil, fmt.Errorf("%w: %d bytes of comments, at most %d", ErrConfig, len(tags), MaxTags)
	}
	s.page.add(s.head(), 0)
	s.flush(flagFirst)
	s.page.add(tags, 0)
	s.flush(0)
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// head is the identification header: RFC 7845 section 5.1.
func (s *Writer) head() []byte {
	le := binary.LittleEndian
	b := append([]byte("OpusHead"), 1, 1) // version, channels
	b = le.AppendUint16(b, uint16(s.config.PreSkip))
	b = le.AppendUint32(b, codec.SampleRate)
	return append(b, 0, 0, 0) // gain, channel mapping family
}

// tags is the comment header: RFC 7845 section 5.2.
func (s *Writer) tags() []byte {
	le := binary.LittleEndian
	b := []byte("OpusTags")
	b = le.AppendUint32(b, uint32(len(s.config.Vendor)))
	b = append(b, s.config.Vendor...)
	b = le.AppendUint32(b, uint32(len(s.config.Comments)))
	for _, c := range s.config.Comments {
		b = le.AppendUint32(b, uint32(len(c)))
		b = append(b, c...)
	}
	return b
}

// Position is how long what was written lasts, in samples: what is written next
// will be heard at that time from the beginning of the file.
func (s *Writer) Position() int64 { return s.position }

// WritePacket appends an Opus packet. It fails with codec.ErrPacket, and then has
// written nothing and can go on; with ErrClosed; or, for good, with the error of
// the io.Writer. It doesn't keep the packet.
func (s *Writer) WritePacket(packet []byte) error {
	info, err := codec.Parse(packet)
	if err != nil {
		return fmt.Errorf("oggopus: %w", err)
	}
	if len(packet) > maxPacket {
		return fmt.Errorf("%w: %d bytes", codec.ErrPacket, len(packet))
	}
	s.toc = packet[0]
	return s.add(packet, int64(info.Samples))
}

// WriteSilence appends silence of so many samples, a multiple of Grain. An hour
// of it takes about 600 kB. It fails with ErrGap, with ErrClosed or, for good,
// with the error of the io.Writer.
func (s *Writer) WriteSilence(samples int64) error {
	if samples < 0 || samples%Grain != 0 {
		return fmt.Errorf("%w: %d samples", ErrGap, samples)
	}
	for samples > 0 {
		var n int64
		s.filler, n = appendSilence(s.filler[:0], samples)
		if err := s.add(s.filler, n); err != nil {
			return err
		}
		samples -= n
	}
	return nil
}

// WriteLoss appends packets in place of such that were lost, so that a player
// conceals them, and silence for what frames as long as those before can't make
// up. The rest is as in WriteSilence.
func (s *Writer) WriteLoss(samples int64) error {
	if samples < 0 || samples%Grain != 0 {
		return fmt.Errorf("%w: %d samples", ErrGap, samples)
	}
	for samples > 0 {
		var n int64
		if s.filler, n = appendLoss(s.filler[:0], s.toc, samples); n == 0 {
			return s.WriteSilence(samples)
		}
		if err := s.add(s.filler, n); err != nil {
			return err
		}
		samples -= n
	}
	return nil
}

// add puts a packet into the page. A page is written when another packet comes,
// not when it is full: so there is always a packet for the last one.
func (s *Writer) add(packet []byte, samples int64) error {
	if s.closed {
		return ErrClosed
	}
	if s.page.samples+samples > PageSamples || !s.page.fits(len(packet)) {
		s.flush(0)
	}
	if s.err != nil {
		return s.err
	}
	s.page.add(packet, samples)
	s.position += samples
	return nil
}

// flush writes the page. A page of headers has granule position 0.
func (s *Writer) flush(flags byte) {
	if s.err != nil {
		return
	}
	s.out = s.page.appendTo(s.out[:0], flags, s.position, s.config.Serial, s.number)
	s.number++
	s.page.clear()
	n, err := s.w.Write(s.out)
	if err == nil && n < len(s.out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		s.err = fmt.Errorf("oggopus: write page: %w", err)
	}
}

// Close writes the last page; it doesn't close the io.Writer. It returns the
// first failure since the Writer was made. Later calls return nil.
func (s *Writer) Close() error {
	if s.closed {
		return nil
	}
	if s.position == 0 {
		// RFC 7845 section 4: a stream has at least one page of audio.
		_ = s.WriteSilence(Grain) // kept in s.err
	}
	s.closed = true
	s.flush(flagLast)
	return s.err
}
