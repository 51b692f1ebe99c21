package server

import (
	"bufio"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// codeBase is added to a lobbywire.Code to reset a stream with it: below are
// libp2p's own codes.
const codeBase network.StreamErrorCode = 0x10000

// stream is one member's stream: the goroutine that libp2p's handler runs in
// reads it, and one that this starts, and waits for, writes.
type stream struct {
	network.Stream
	counters *counters

	frames chan []byte   // bounded; what waits to be written
	queued atomic.Int64  // bytes of that
	ended  chan struct{} // closed by end

	once sync.Once // guards what follows, which is read after ended
	code lobbywire.Code
	how  ending
}

func newStream(s network.Stream, c *counters) *stream {
	return &stream{Stream: s, counters: c, frames: make(chan []byte, queueFrames), ended: make(chan struct{})}
}

// send implements outbox.
func (s *stream) send(frames ...[]byte) {
	for _, f := range frames {
		select {
		case <-s.ended:
			return
		default:
		}
		if s.queued.Add(int64(len(f))) > queueBytes {
			s.slow()
			return
		}
		select {
		case s.frames <- f:
		default:
			s.slow()
			return
		}
	}
}

func (s *stream) slow() {
	if s.finish(lobbywire.Code_SLOW, atOnce) {
		s.counters.refused(Slow)
	}
}

// end implements outbox.
func (s *stream) end(code lobbywire.Code, how ending) { s.finish(code, how) }

// finish ends the stream and reports whether it was the first to do so. It sets
// deadlines, which doesn't block; the stream's goroutines do the rest.
func (s *stream) finish(code lobbywire.Code, how ending) (first bool) {
	s.once.Do(func() {
		first = true
		s.code, s.how = code, how
		close(s.ended)
		wait := byeTimeout
		if how == atOnce {
			wait = 0
		}
		_ = s.SetDeadline(time.Now().Add(wait))
	})
	return first
}

// runWriter writes what is queued until the stream ends, then the last word.
func (s *stream) runWriter() {
	for {
		select {
		case f := <-s.frames:
			if !s.write(f) {
				return
			}
		case <-s.ended:
			s.lastWord()
			return
		}
	}
}

// write writes one frame. Unless the stream is ending already, not to be able
// to is slowness of the member, or the end of its connection, which the reader
// sees too.
func (s *stream) write(f []byte) bool {
	select {
	case <-s.ended:
	default:
		_ = s.SetWriteDeadline(time.Now().Add(writeTimeout))
		select {
		case <-s.ended: // whose deadline holds
			_ = s.SetWriteDeadline(time.Now().Add(byeTimeout))
		default:
		}
	}
	_, err := s.Write(f)
	s.queued.Add(-int64(len(f)))
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			s.slow()
		}
		s.finish(lobbywire.Code_UNKNOWN, atOnce)
		return false
	}
	s.counters.add(func(st *Stats) { st.MessagesOut++; st.BytesOut += uint64(len(f)) })
	return true
}

// lastWord writes what is queued still and a bye, and closes our side.
func (s *stream) lastWord() {
	if s.how == atOnce {
		return
	}
	for {
		select {
		case f := <-s.frames:
			if !s.write(f) {
				return
			}
			continue
		default:
		}
		break
	}
	if s.code != lobbywire.Code_UNKNOWN {
		if f, err := byeFrame(s.code); err == nil && !s.write(f) {
			return
		}
	}
	_ = s.CloseWrite()
}

// close frees the stream when both goroutines are done with it.
func (s *stream) close() {
	if s.how == atOnce {
		_ = s.ResetWithError(codeBase + network.StreamErrorCode(s.code))
		return
	}
	_ = s.Close()
}

func byeFrame(code lobbywire.Code) ([]byte, error) {
	return lobbywire.AppendFrame(nil, &lobbywire.Message{Kind: &lobbywire.Message_Bye{Bye: &lobbywire.Bye{Code: code, Text: byeTexts[code]}}})
}

var byeTexts = map[lobbywire.Code]string{
	lobbywire.Code_SHUTDOWN:   "the lobby is shutting down",
	lobbywire.Code_REPLACED:   "the same identity joined this room from elsewhere",
	lobbywire.Code_FLOOD:      "too many messages",
	lobbywire.Code_MALFORMED:  "a message that the lobby doesn't understand",
	lobbywire.Code_BAD_RECORD: "the addresses aren't signed by whom they are of",
	lobbywire.Code_FULL:       "the room or the lobby is full",
	lobbywire.Code_TOO_MANY:   "too many rooms, or too many tried; wait a minute",
}

// runReader reads messages until the stream ends, and reports whether the
// member said that it leaves.
func (s *Server) runReader(st *stream, r *bufio.Reader, a arrival) (left bool) {
	for {
		m, reason, code := s.read(r, a.origin)
		if m == nil {
			if reason != "" && st.finish(code, gently) {
				s.refuse(reason, a.origin)
			}
			return false
		}
		switch k := m.GetKind().(type) {
		case *lobbywire.Message_Beat, nil: // nil: of a later version
			s.hub.heard(a.code, a.origin.peer, st)
		case *lobbywire.Message_Leave:
			return true
		case *lobbywire.Message_Update:
			reason, code := s.update(a, k.Update.GetRecord(), st)
			if reason != "" && st.finish(code, gently) {
				s.refuse(reason, a.origin)
			}
		default:
			if st.finish(lobbywire.Code_MALFORMED, gently) {
				s.refuse(Unexpected, a.origin)
			}
		}
	}
}

// read reads one message and charges it. Without a message the reason says what
// is to be refused; none if the stream just ended.
func (s *Server) read(r *bufio.Reader, o origin) (*lobbywire.Message, Reason, lobbywire.Code) {
	m, n, err := lobbywire.ReadFrame(r)
	s.counters.add(func(c *Stats) { c.MessagesIn++; c.BytesIn += uint64(n) })
	switch {
	case errors.Is(err, lobbywire.ErrFormat), errors.Is(err, lobbywire.ErrLimit):
		return nil, Malformed, lobbywire.Code_MALFORMED
	case err != nil:
		return nil, "", lobbywire.Code_UNKNOWN
	}
	if reason, ok := s.quota.message(o, n, time.Now()); !ok {
		return nil, reason, lobbywire.Code_FLOOD
	}
	return m, "", lobbywire.Code_UNKNOWN
}

// update judges a member's new record.
func (s *Server) update(a arrival, record []byte, st *stream) (Reason, lobbywire.Code) {
	if !s.quota.update(a.origin, time.Now()) {
		return Updates, lobbywire.Code_FLOOD
	}
	if !s.open(&a, record) || !s.hub.update(a, st) {
		return BadRecord, lobbywire.Code_BAD_RECORD
	}
	return "", lobbywire.Code_UNKNOWN
}

// open reads a record into an arrival, if it is signed by the peer at the other
// end.
func (s *Server) open(a *arrival, record []byte) bool {
	rec, err := lobbywire.OpenRecord(a.origin.peer, record)
	if err != nil {
		return false
	}
	a.record, a.addrs, a.seq = record, rec.Addrs, rec.Seq
	return true
}

// own notes that a connection serves a member's stream alone, and its end.
func (s *Server) own(conn string, id peer.ID, add int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := ownKey{id, conn}
	s.ownConns[key] += add
	if s.ownConns[key] == 0 {
		delete(s.ownConns, key)
	}
}
