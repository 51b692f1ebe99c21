package lobbywire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// AppendFrame appends a message to b as it goes over a stream: its length as a
// uvarint, then the message.
func AppendFrame(b []byte, m *Message) ([]byte, error) {
	body, err := Marshal(m)
	if err != nil {
		return b, err
	}
	return append(binary.AppendUvarint(b, uint64(len(body))), body...), nil
}

// ByteReader is what frames are read from: a bufio.Reader for example.
type ByteReader interface {
	io.Reader
	io.ByteReader
}

// ReadFrame reads one message and returns it with the number of bytes that it
// took on the stream. A stream that ends before a frame begins is io.EOF, one
// that ends within is io.ErrUnexpectedEOF. A length above MaxMessage is an
// error before anything is allocated; errors of what was read wrap ErrFormat or
// ErrLimit.
func ReadFrame(r ByteReader) (*Message, int, error) {
	length, prefix, err := readLength(r)
	if err != nil {
		return nil, prefix, err
	}
	body := make([]byte, length)
	n, err := io.ReadFull(r, body)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, prefix + n, err
	}
	m, err := Unmarshal(body)
	return m, prefix + n, err
}

// readLength reads a uvarint of at most three bytes in its shortest form: no
// length that is allowed needs more.
func readLength(r io.ByteReader) (length, n int, err error) {
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, n, err
		}
		n++
		length |= int(c&0x7f) << shift
		switch {
		case c < 0x80 && c == 0 && n > 1:
			return 0, n, fmt.Errorf("%w: length in a longer form than need be", ErrFormat)
		case length > MaxMessage, c >= 0x80 && n == 3:
			return 0, n, fmt.Errorf("%w: message of more than %d bytes", ErrLimit, MaxMessage)
		case c < 0x80:
			return length, n, nil
		}
	}
}
