package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/parley-voice/parley/identity"
)

const (
	ownProtocol protocol.ID = "/ownstreams/1.0.0"

	interval  = 100 * time.Millisecond // from one record to the next
	recordLen = 8                      // bytes
	retry     = 200 * time.Millisecond

	// linger is how long the stream stays after the verdict: the other, told to
	// end at the same time, is not to take that for a break.
	linger = 500 * time.Millisecond
)

// stream is the application's own, over and over: it is opened again when it
// breaks.
type stream struct {
	host   host.Host
	to     identity.PeerID
	opens  bool // this side does; by the IDs, as directions mean nothing
	ready  chan struct{}
	first  sync.Once
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	records int
	last    time.Time // when the latest came
	silence time.Duration
	broken  int
	ended   bool
}

func newStream(h host.Host, to identity.PeerID) *stream {
	return &stream{host: h, to: to, opens: h.ID() < to, ready: make(chan struct{})}
}

// serve accepts the other's stream and sends back what comes.
func (s *stream) serve() {
	s.host.SetStreamHandler(ownProtocol, func(st network.Stream) {
		defer st.Close() //nolint:errcheck // nothing depends on it
		s.opened(st)
		record := make([]byte, recordLen)
		for {
			if _, err := io.ReadFull(st, record); err != nil {
				s.broke(err)
				return
			}
			s.came()
			if _, err := st.Write(record); err != nil {
				s.broke(err)
				return
			}
		}
	})
}

// begin runs the stream, if it is this side that opens it, until end, and
// returns when the first is open.
func (s *stream) begin(ctx context.Context) error {
	running, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	if s.opens {
		s.done.Go(func() { s.open(running) })
	}
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open opens the stream again and again until ctx ends.
func (s *stream) open(ctx context.Context) {
	for ctx.Err() == nil {
		st, err := s.host.NewStream(network.WithAllowLimitedConn(ctx, "own"), s.to, ownProtocol)
		if err == nil {
			err = s.converse(ctx, st)
			_ = st.Reset() // it is over
		}
		if err != nil && s.wasReady() {
			s.broke(err)
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

func (s *stream) wasReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// converse writes records and reads them until the stream breaks or ctx ends.
func (s *stream) converse(ctx context.Context, st network.Stream) error {
	broken := make(chan error, 1)
	go func() {
		record := make([]byte, recordLen)
		for n := uint64(0); ; n++ {
			_, err := io.ReadFull(st, record)
			if got := binary.BigEndian.Uint64(record); err == nil && got != n {
				err = fmt.Errorf("record %d came instead of %d", got, n)
			}
			if err != nil {
				broken <- err
				return
			}
			if n == 0 {
				s.opened(st)
			}
			s.came()
		}
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		if _, err := st.Write(binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case err := <-broken:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *stream) opened(st network.Stream) {
	fmt.Printf("open %s\n", st.Conn().RemoteMultiaddr())
	s.first.Do(func() { close(s.ready) })
}

// came notes that a record has come.
func (s *stream) came() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.records > 0 {
		s.silence = max(s.silence, now.Sub(s.last))
	}
	s.records++
	s.last = now
}

func (s *stream) broke(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.broken++
		fmt.Printf("broken %v\n", err)
	}
}

// end ends the stream, and tells how it was.
func (s *stream) end() {
	s.mu.Lock()
	s.ended = true
	if s.records > 0 {
		s.silence = max(s.silence, time.Since(s.last))
	}
	fmt.Printf("records %d, longest silence %v, broken %d\n", s.records, s.silence, s.broken)
	s.mu.Unlock()
	time.Sleep(linger)
	s.cancel()
	s.done.Wait()
}
