package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// protectTag keeps the host's connection manager from closing the connections
// of members.
const protectTag = "parley-lobby"

// Server is a lobby on a host. Its methods are safe for concurrent use.
type Server struct {
	host     host.Host
	log      *slog.Logger
	hub      *hub
	quota    *quota
	counters *counters

	cancel context.CancelFunc
	wg     sync.WaitGroup // the ticker, and every stream's handler

	mu       sync.Mutex // guards what follows
	closed   bool
	halfOpen map[network.Stream]bool // streams without a join, reset by Close
	ownConns map[ownKey]int          // streams on connections that serve them alone
	present  map[peer.ID]int         // streams that joined
}

type ownKey struct {
	peer peer.ID
	conn string
}

// New opens a lobby on a host. From then on the host takes streams of the
// lobby's protocol, until Close.
func New(h host.Host, cfg Config) *Server {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	instance := make([]byte, 16)
	_, _ = rand.Read(instance) // never fails
	ctx, cancel := context.WithCancel(context.Background())
	c, limits := &counters{}, cfg.Limits.withDefaults()
	q := newQuota(limits)
	s := &Server{
		host:     h,
		log:      log,
		quota:    q,
		counters: c,
		hub:      &hub{limits: limits, quota: q, counters: c, instance: instance, relay: cfg.Relay, rooms: map[string]*room{}},
		cancel:   cancel,
		halfOpen: map[network.Stream]bool{},
		ownConns: map[ownKey]int{},
		present:  map[peer.ID]int{},
	}
	s.wg.Go(func() { s.runTicker(ctx) })
	h.SetStreamHandler(lobbywire.ProtocolID, s.handle)
	return s
}

// Close tells the members that the lobby is shutting down, and ends their
// streams. It takes at most a second. Calls after the first do nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	waiting := make([]network.Stream, 0, len(s.halfOpen))
	for st := range s.halfOpen {
		waiting = append(waiting, st)
	}
	s.mu.Unlock()
	s.host.RemoveStreamHandler(lobbywire.ProtocolID)
	for _, st := range waiting {
		_ = st.SetDeadline(time.Now()) // its handler resets it
	}
	s.hub.shutdown()
	s.cancel()
	s.wg.Wait()
	return nil
}

// Stats returns what was counted.
func (s *Server) Stats() Stats {
	st := s.counters.snapshot()
	st.Members, st.Rooms = s.hub.size()
	st.KnownPeers, st.KnownAddress = s.quota.known()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.HalfOpen, st.OwnConnections = len(s.halfOpen), len(s.ownConns)
	return st
}

func (s *Server) runTicker(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	beat, err := lobbywire.AppendFrame(nil, &lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}})
	if err != nil {
		s.log.Error("no heartbeats", "error", err) // an empty message can be written
		return
	}
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.hub.tick(now, beat)
			if n%240 == 0 {
				s.quota.sweep(now)
			}
		}
	}
}

// handle runs for a stream's whole life.
func (s *Server) handle(raw network.Stream) {
	o := originOf(raw.Conn())
	if !s.begin(raw) {
		_ = raw.ResetWithError(codeBase + network.StreamErrorCode(lobbywire.Code_SHUTDOWN))
		return
	}
	defer s.wg.Done()
	if reason, ok := s.quota.open(o, time.Now()); !ok {
		s.joinedOrNot(raw)
		s.refuse(reason, o)
		_ = raw.ResetWithError(codeBase + network.StreamErrorCode(lobbywire.Code_TOO_MANY))
		return
	}
	r := bufio.NewReaderSize(raw, 2048)
	join, err := s.readJoin(raw, r, o)
	s.quota.close(o)
	open := s.joinedOrNot(raw)
	switch {
	case err != nil:
		s.refuse(err.reason, o)
		s.turnAway(raw, err.code)
	case !open:
		s.turnAway(raw, lobbywire.Code_SHUTDOWN)
	default:
		s.serve(raw, r, o, join)
	}
}

// begin notes a stream without a join, unless the lobby is closed.
func (s *Server) begin(raw network.Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.halfOpen[raw] = true
	s.wg.Add(1)
	return true
}

// joinedOrNot ends the time for a join, and reports whether the lobby is open.
func (s *Server) joinedOrNot(raw network.Stream) (open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.halfOpen, raw)
	return !s.closed
}

// readJoin reads the first message of a stream and judges it.
func (s *Server) readJoin(raw network.Stream, r *bufio.Reader, o origin) (*lobbywire.Join, *refusal) {
	_ = raw.SetDeadline(time.Now().Add(joinTimeout))
	if s.isClosed() { // and Close may have set its deadline before
		return nil, &refusal{lobbywire.Code_SHUTDOWN, NoJoin}
	}
	m, reason, code := s.read(r, o)
	switch {
	case m == nil && reason == "":
		return nil, &refusal{lobbywire.Code_UNKNOWN, NoJoin}
	case m == nil:
		return nil, &refusal{code, reason}
	case m.GetJoin() == nil:
		return nil, &refusal{lobbywire.Code_MALFORMED, Unexpected}
	}
	if reason, ok := s.quota.join(o, m.GetJoin().GetRoom(), time.Now()); !ok {
		return nil, &refusal{lobbywire.Code_TOO_MANY, reason}
	}
	return m.GetJoin(), nil
}

// serve lets a member in and stays until its stream ends.
func (s *Server) serve(raw network.Stream, r *bufio.Reader, o origin, join *lobbywire.Join) {
	a := arrival{code: join.GetRoom(), name: join.GetName(), origin: o}
	if !s.open(&a, join.GetRecord()) {
		s.refuse(BadRecord, o)
		s.turnAway(raw, lobbywire.Code_BAD_RECORD)
		return
	}
	if join.GetOwnConnection() {
		s.own(raw.Conn().ID(), o.peer, 1)
		defer s.own(raw.Conn().ID(), o.peer, -1)
	}
	_ = raw.SetDeadline(time.Time{})
	st := newStream(raw, s.counters)
	if err := s.hub.join(a, st, time.Now()); err != nil {
		s.refuse(err.reason, o)
		s.turnAway(raw, err.code)
		return
	}
	s.protect(o.peer, 1)
	defer s.protect(o.peer, -1)
	s.log.Debug("joined", "peer", o.peer, "name", a.name)
	var writer sync.WaitGroup
	writer.Go(st.runWriter)
	s.afterClose(st)
	left := s.runReader(st, r, a)
	if left {
		s.hub.leave(a.code, o.peer, st, time.Now())
	} else {
		s.hub.lost(a.code, o.peer, st)
	}
	st.finish(lobbywire.Code_UNKNOWN, gently)
	writer.Wait()
	st.close()
	s.log.Debug("stream ended", "peer", o.peer, "left", left)
}

// afterClose ends a stream that joined while the lobby was told to close.
func (s *Server) afterClose(st *stream) {
	if s.isClosed() {
		st.finish(lobbywire.Code_SHUTDOWN, gently)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// protect counts a peer's streams and keeps its connections.
func (s *Server) protect(id peer.ID, add int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present[id] += add
	if s.present[id] > 0 {
		s.host.ConnManager().Protect(id, protectTag)
		return
	}
	delete(s.present, id)
	s.host.ConnManager().Unprotect(id, protectTag)
}

// turnAway says why and ends a stream that didn't join.
func (s *Server) turnAway(raw network.Stream, code lobbywire.Code) {
	_ = raw.SetDeadline(time.Now().Add(byeTimeout))
	if f, err := byeFrame(code); err == nil && code != lobbywire.Code_UNKNOWN {
		if _, err = raw.Write(f); err == nil {
			_ = raw.CloseWrite()
			_, _ = raw.Read(make([]byte, 1)) // the far end closes, having read it
			_ = raw.Close()
			return
		}
	}
	_ = raw.ResetWithError(codeBase + network.StreamErrorCode(code))
}

// refuse counts, and logs where that doesn't fill the log.
func (s *Server) refuse(reason Reason, o origin) {
	n := s.counters.refused(reason)
	if n&(n-1) == 0 { // the first, second, fourth, eighth ...
		s.log.Info("refused", "reason", string(reason), "peer", o.peer, "address", o.addr, "count", n)
	}
}
