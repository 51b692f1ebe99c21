package oggopus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parley-voice/parley/codec"
)

// ErrStream says that what is read is no Ogg Opus stream of one or two channels, or
// is damaged or cut. It is wrapped, so compare with errors.Is.
var ErrStream = errors.New("oggopus: not a stream of Opus")

const (
	headMagic = "OpusHead"
	tagsMagic = "OpusTags"

	// maxTagsRead is how long a comment header may be, in bytes: with a picture of
	// what is heard in it. Nothing of it is kept.
	maxTagsRead = 16 << 20
)

// Head is what a stream says of itself: RFC 7845 section 5.1.
type Head struct {
	Channels int     // 1 or 2
	PreSkip  int     // samples at 48 kHz that a player leaves out at the beginning
	Gain     float64 // dB by which a player makes it louder; a packet as it is isn't
	Rate     int     // Hz, of what was encoded, for information
}

// Reader gives the packets of an Ogg Opus stream (RFC 3533, RFC 7845) in order. It
// is a codec.PacketReader. It takes streams of other kinds that are interleaved with
// the first one of Opus for what they are, and leaves them out. It reads no more than
// 64 KiB ahead and keeps no more than 320 KiB, whatever it is given. It is not safe for
// concurrent use, and allocates nothing after NewReader.
type Reader struct {
	r      *bufio.Reader
	head   Head
	serial uint32
	number uint32 // of the page that comes next
	began  bool   // a page of the stream has been read
	last   bool   // it was the last one

	page   [pageHead + maxSegments + maxSegments*maxSegment]byte
	table  []byte // segments of the page that are left
	body   []byte // what they hold
	packet []byte // begun
	tags   bool   // it is the comment header, of which nothing is kept but its beginning
	size   int    // of the packet so far
	err    error
}

// NewReader reads the two headers of a stream. It fails with ErrStream, or the
// error of r.
func NewReader(r io.Reader) (*Reader, error) {
	s := &Reader{r: bufio.NewReaderSize(r, 64<<10), packet: make([]byte, 0, maxPacket)}
	head, err := s.next()
	if err != nil {
		return nil, whole(err)
	}
	if err = s.parseHead(head); err != nil {
		return nil, err
	}
	s.tags = true
	tags, err := s.next()
	if err != nil {
		return nil, whole(err)
	}
	if string(tags) != tagsMagic {
		return nil, fmt.Errorf("%w: no comment header", ErrStream)
	}
	s.tags = false
	return s, nil
}

// whole makes the end of a file an error, where it may not end.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends before the first packet", ErrStream)
	}
	return err
}

// Head is what the stream says of itself.
func (s *Reader) Head() Head { return s.head }

// ReadPacket copies the next packet to dst, and returns the part of dst that it
// used. io.EOF is the stream's end. A packet that is none, or for which dst is too
// short, is codec.ErrPacket, and reading goes on behind it. ErrStream and the errors
// of the io.Reader are for good.
func (s *Reader) ReadPacket(dst []byte) ([]byte, error) {
	packet, err := s.next()
	if err != nil {
		return nil, err
	}
	if _, err := codec.Parse(packet); err != nil {
		return nil, fmt.Errorf("oggopus: %w", err)
	}
	if len(packet) > len(dst) {
		return nil, fmt.Errorf("%w: %d bytes, and room for %d", codec.ErrPacket, len(packet), len(dst))
	}
	return dst[:copy(dst, packet)], nil
}

// parseHead reads the identification header: RFC 7845 section 5.1. A version with
// the same upper half is one that we understand.
func (s *Reader) parseHead(b []byte) error {
	if len(b) < 19 || string(b[:8]) != headMagic {
		return fmt.Errorf("%w: no identification header", ErrStream)
	}
	le := binary.LittleEndian
	s.head = Head{
		Channels: int(b[9]),
		PreSkip:  int(le.Uint16(b[10:])),
		Rate:     int(le.Uint32(b[12:])),
		Gain:     float64(int16(le.Uint16(b[16:]))) / 256,
	}
	switch {
	case b[8]>>4 != 0:
		return fmt.Errorf("%w: version %d", ErrStream, b[8])
	case b[18] != 0, s.head.Channels < 1, s.head.Channels > 2:
		return fmt.Errorf("%w: %d channels of mapping family %d, want 1 or 2 of family 0", ErrStream, s.head.Channels, b[18])
	}
	return nil
}

// next returns the next packet, valid until the call after it.
func (s *Reader) next() ([]byte, error) {
	s.packet, s.size = s.packet[:0], 0
	for {
		for len(s.table) > 0 {
			n := int(s.table[0])
			if err := s.keep(s.body[:n]); err != nil {
				return nil, s.fail(err)
			}
			s.table, s.body = s.table[1:], s.body[n:]
			if n < maxSegment {
				return s.packet, nil
			}
		}
		switch {
		case s.err != nil:
			return nil, s.err
		case s.last:
			return nil, s.fail(io.EOF)
		}
		if err := s.readPage(); err != nil {
			return nil, s.fail(err)
		}
	}
}

// keep appends a segment to the packet.
func (s *Reader) keep(segment []byte) error {
	most := maxPacket
	if s.tags {
		most = maxTagsRead
	}
	if s.size += len(segment); s.size > most {
		return fmt.Errorf("%w: a packet of more than %d bytes", ErrStream, most)
	}
	if s.tags {
		segment = segment[:min(len(segment), len(tagsMagic)-len(s.packet))]
	}
	s.packet = append(s.packet, segment...)
	return nil
}

// fail makes an error stay.
func (s *Reader) fail(err error) error {
	if errors.Is(err, io.EOF) && s.size > 0 {
		err = fmt.Errorf("%w: its last packet is cut", ErrStream)
	}
	s.err, s.table = err, nil
	return err
}

// readPage reads pages up to the next one of the stream. io.EOF says that there is
// none.
func (s *Reader) readPage() error {
	for {
		page, err := s.readAnyPage()
		if err != nil {
			return err
		}
		flags, serial := page[5], binary.LittleEndian.Uint32(page[serialOffset:])
		segments := int(page[pageHead-1])
		table, body := page[pageHead:pageHead+segments], page[pageHead+segments:]
		switch {
		case !s.began && flags&flagFirst == 0:
			return fmt.Errorf("%w: none of its streams is of Opus", ErrStream)
		case !s.began && !bytes.HasPrefix(body, []byte(headMagic)), s.began && serial != s.serial:
			continue // another stream
		}
		if err := s.checkOrder(flags, binary.LittleEndian.Uint32(page[numberOffset:])); err != nil {
			return err
		}
		s.began, s.serial, s.last = true, serial, flags&flagLast != 0
		s.table, s.body = table, body
		return nil
	}
}

// checkOrder finds out whether a page of the stream is the one that is due.
func (s *Reader) checkOrder(flags byte, number uint32) error {
	continued := flags&flagContinued != 0
	switch {
	case s.began && number != s.number:
		return fmt.Errorf("%w: page %d comes where page %d is due", ErrStream, number, s.number)
	case continued != (s.size > 0):
		return fmt.Errorf("%w: page %d doesn't go on with what the one before began", ErrStream, number)
	}
	s.number = number + 1
	return nil
}

// readAnyPage reads a page of any stream: RFC 3533 section 6.
func (s *Reader) readAnyPage() ([]byte, error) {
	head := s.page[:pageHead]
	if _, err := io.ReadFull(s.r, head); err != nil {
		return nil, cut(err)
	}
	if string(head[:5]) != pageMagic {
		return nil, fmt.Errorf("%w: no page of Ogg begins with %q", ErrStream, head[:5])
	}
	page := s.page[:pageHead+int(head[pageHead-1])]
	if _, err := io.ReadFull(s.r, page[pageHead:]); err != nil {
		return nil, cut(noEOF(err))
	}
	size := len(page)
	for _, n := range page[pageHead:] {
		size += int(n)
	}
	page, rest := s.page[:size], s.page[len(page):size]
	if _, err := io.ReadFull(s.r, rest); err != nil {
		return nil, cut(noEOF(err))
	}
	sum := page[checksumOffset : checksumOffset+4]
	want := binary.LittleEndian.Uint32(sum)
	clear(sum)
	if checksum(page) != want {
		return nil, fmt.Errorf("%w: a page is damaged", ErrStream)
	}
	return page, nil
}

// noEOF is for what io.ReadFull says in the middle of a page.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cut says what an unexpected end means.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: its last page is cut", ErrStream)
	}
	return err
}

var _ codec.PacketReader = (*Reader)(nil)
