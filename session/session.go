package session

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Session is a conversation that can be started and stopped many times. All
// methods are safe for concurrent use, from event readers too; only taps,
// sources, sinks and processors must not call Stop or Close, which wait for
// them.
//
//	         Start            Stop, and PeerLeft for all
//	stopped -------> started ---------------------------> stopped
//	   any state -- Close --> closed, for good
type Session struct {
	cfg    Config
	log    *slog.Logger
	events *eventQueue

	muted, deafened, talking atomic.Bool

	// calls puts the calls of the application in order: who sends into it goes,
	// and receives when done. It is held while the transport is called;
	// nothing that a transport, source, sink or tap calls takes it. It is a
	// channel because Stop holds it while time passes, which a bubble of
	// testing/synctest allows for those who wait on a channel only.
	calls chan struct{}

	mu          sync.Mutex // guards what follows
	conv        *conversation
	closed      bool
	cancelStart context.CancelFunc // of a Start under way
	settings    map[identity.PeerID]*peerSettings
}

// New checks the configuration and returns a session that is stopped. It
// opens nothing.
func New(cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Session{
		cfg:      cfg,
		log:      cfg.Logger,
		events:   newEventQueue(),
		calls:    make(chan struct{}, 1),
		settings: make(map[identity.PeerID]*peerSettings),
	}, nil
}

// Start begins the conversation with nobody in it. ctx bounds the start only.
// A source or sink that can't be opened doesn't fail it: the session goes on
// as a listener or talker only. It fails with ErrStarted, ErrClosed, ctx's
// error, or the transport's.
func (s *Session) Start(ctx context.Context) error {
	defer s.enter()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.beginStart(cancel); err != nil {
		return err
	}
	conv, err := openConversation(ctx, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelStart = nil
	if err != nil {
		return err
	}
	s.conv = conv
	s.log.Info("voice session started", "self", conv.transport.Self())
	return nil
}

func (s *Session) beginStart(cancel context.CancelFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.conv != nil:
		return ErrStarted
	}
	s.cancelStart = cancel
	return nil
}

// Stop ends the conversation: it takes leave of the peers, closes source and
// sink, and returns within 1 s with no goroutine, stream or device left.
// ErrStuck says that a source, sink, tap or processor of the application did
// not return and was left behind. Stopping what isn't started is no error.
func (s *Session) Stop() error {
	s.mu.Lock()
	if s.cancelStart != nil {
		s.cancelStart()
	}
	s.mu.Unlock()
	defer s.enter()()
	return s.stop()
}

// stop wants calls held.
func (s *Session) stop() error {
	conv := s.current()
	if conv == nil {
		return nil
	}
	err := conv.close()
	peers := s.Peers()
	s.mu.Lock()
	s.conv = nil
	s.mu.Unlock()
	s.delist(peers...)
	s.log.Info("voice session stopped")
	return err
}

// Close stops the session for good and closes the channel of Events.
// Idempotent.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.cancelStart != nil {
		s.cancelStart()
	}
	s.mu.Unlock()
	defer s.enter()()
	err := s.stop()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.events.close()
	return err
}

// PeerJoined says that a peer takes part: it is talked to and heard as soon as
// it has been told the same of us. It returns at once; whether and when the
// peer is reached is told by Events and Why. A peer that is there already, and
// this side itself, change nothing. It fails with ErrNotStarted, ErrClosed, or
// for an ID that the transport can't take (link.ErrInvalidPeer).
func (s *Session) PeerJoined(id identity.PeerID) error {
	defer s.enter()()
	conv, err := s.running()
	if err != nil {
		return err
	}
	if id == conv.transport.Self() {
		return nil
	}
	if conv.roster.get(id) != nil {
		return nil
	}
	if err := conv.join(id, s.enlist(id)); err != nil {
		s.delist(id)
		return err
	}
	return nil
}

// PeerLeft says that a peer takes part no more: after it returned nothing of
// that peer is heard, but 10 ms in which its sound is faded out. A peer that
// isn't there changes nothing. It fails with ErrNotStarted or ErrClosed.
func (s *Session) PeerLeft(id identity.PeerID) error {
	defer s.enter()()
	conv, err := s.running()
	if err != nil {
		return err
	}
	err = conv.leave(id)
	s.delist(id)
	return err
}

// Peers returns the peers that joined and have not left, in the order in which
// they joined; nil if the session isn't started.
func (s *Session) Peers() []identity.PeerID {
	conv := s.current()
	if conv == nil {
		return nil
	}
	list := conv.roster.list()
	ids := make([]identity.PeerID, len(list))
	for i, p := range list {
		ids[i] = p.id
	}
	return ids
}

// Self is the identity under which peers know this side.
func (s *Session) Self() identity.PeerID { return s.cfg.Transport.Self() }

// Events returns the one channel of events, in order. It holds EventBuffer of
// them; when nobody reads, the oldest are dropped and counted in
// Stats.EventsDropped. Close closes it.
func (s *Session) Events() <-chan Event { return s.events.ch }

// SetMuted mutes or unmutes the microphone, at once and across Stop and Start.
func (s *Session) SetMuted(muted bool) {
	if s.muted.Swap(muted) != muted {
		s.stateChanged()
	}
}

// Muted reports whether the microphone is muted.
func (s *Session) Muted() bool { return s.muted.Load() }

// SetDeafened silences everything heard, and asks the others to send nothing.
// It doesn't mute the microphone.
func (s *Session) SetDeafened(deafened bool) {
	if s.deafened.Swap(deafened) != deafened {
		s.stateChanged()
	}
}

// Deafened reports whether this side is deafened.
func (s *Session) Deafened() bool { return s.deafened.Load() }

// SetTalking is the key of PushToTalk; the other modes ignore it.
func (s *Session) SetTalking(talking bool) { s.talking.Store(talking) }

// Talking reports whether the key of PushToTalk is down.
func (s *Session) Talking() bool { return s.talking.Load() }

// enter waits for the calls before this one; the returned function lets the
// next one in.
func (s *Session) enter() (leave func()) {
	s.calls <- struct{}{}
	return func() { <-s.calls }
}

func (s *Session) stateChanged() {
	if conv := s.current(); conv != nil {
		conv.announceState()
	}
}

func (s *Session) current() *conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conv
}

func (s *Session) running() (*conversation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.conv == nil:
		return nil, ErrNotStarted
	}
	return s.conv, nil
}

// wrapPeer adds to a transport's error what it doesn't know.
func wrapPeer(err error, verb string, id identity.PeerID) error {
	if err == nil {
		return nil
	}
	name := "an ID of " + strconv.Itoa(len(id)) + " bytes"
	if len(id) <= maxNamedID { // to write a long one as text takes quadratic time
		name = strconv.Quote(id.String())
	}
	return fmt.Errorf("session: %s %s: %w", verb, name, err)
}

// maxNamedID is more than any peer ID has, in bytes.
const maxNamedID = 128

var _ link.Handler = (*conversation)(nil)
