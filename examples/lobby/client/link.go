package client

import (
	"bufio"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// link is a stream to the lobby, and the connection under it if that serves it
// alone. One goroutine uses it; start adds one that reads, and one that refuses
// the lobby's streams on the own connection. close waits for both.
type link struct {
	stream network.MuxedStream
	conn   transport.CapableConn // nil: the host's
	reader *bufio.Reader

	welcome *lobbywire.Welcome
	list    []*lobbywire.Member
	told    []ma.Multiaddr // the addresses that the lobby has of us

	in      chan *lobbywire.Message // closed when the stream ends
	err     error                   // why it ended; read after in is closed
	closing chan struct{}
	wg      sync.WaitGroup
	refused uint64 // streams; read after close
}

func newLink(s network.MuxedStream, conn transport.CapableConn) *link {
	return &link{
		stream: s, conn: conn, reader: bufio.NewReader(s),
		in: make(chan *lobbywire.Message, 16), closing: make(chan struct{}),
	}
}

func (l *link) start() {
	_ = l.stream.SetDeadline(time.Time{})
	l.wg.Go(l.runReader)
	if l.conn != nil {
		l.wg.Go(l.runRefuser)
	}
}

// runReader reads until the stream ends. Back-pressure goes to the lobby, which
// drops who doesn't read.
func (l *link) runReader() {
	defer close(l.in)
	for {
		m, err := l.read()
		if err != nil {
			l.err = err
			return
		}
		select {
		case l.in <- m:
		case <-l.closing:
			return
		}
	}
}

// runRefuser refuses streams until the connection ends: this connection is
// unknown to the host, which could not serve them.
func (l *link) runRefuser() {
	for {
		s, err := l.conn.AcceptStream()
		if err != nil {
			return
		}
		l.refused++
		_ = s.ResetWithError(codeRefused)
	}
}

func (l *link) read() (*lobbywire.Message, error) {
	m, _, err := lobbywire.ReadFrame(l.reader)
	return m, err
}

func (l *link) write(m *lobbywire.Message) error {
	b, err := lobbywire.AppendFrame(nil, m)
	if err != nil {
		return err
	}
	_, err = l.stream.Write(b)
	return err
}

// leave tells the lobby that the member leaves and waits a moment for it to
// answer by closing the stream: what is written just before a connection is
// closed may not arrive.
func (l *link) leave() {
	_ = l.stream.SetWriteDeadline(time.Now().Add(closeTimeout))
	if l.write(&lobbywire.Message{Kind: &lobbywire.Message_Leave{Leave: &lobbywire.Leave{}}}) != nil {
		return
	}
	_ = l.stream.SetReadDeadline(time.Now().Add(closeTimeout))
	for range l.in { //nolint:revive // what still comes doesn't matter
	}
}

// close ends the stream, and the connection if it is the link's own, and waits
// for the link's goroutines.
func (l *link) close() {
	close(l.closing)
	_ = l.stream.Reset()
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.wg.Wait()
}

// drop closes the host's connection to the lobby, after silence on it: the host
// would take it for alive for half a minute, and open streams on it.
func (l *link) drop() {
	if s, ok := l.stream.(network.Stream); ok {
		_ = s.Conn().Close()
	}
}
