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
// sources, sinks and processors must not call Start, Stop or Close, which wait
// for them.
//
//	         Start            Stop, and PeerLeft for all
//	stopped -------> started ---------------------------> stopped
//	   any state -- Close --> closed, for good
type Session struct {
	cfg    Config
	log    *slog.Logger
	events *eventQueue
	taps   copied[*Taps] // who taps this session

	muted, deafened atomic.Bool
	talking         talking
	addressing      addressing
	recording       recording
	docket          docket
	space           space
	ducking         atomic.Uint64 // dB, float64 bits
	duckers         copied[*Ducker]

	// calls puts the calls of the application in order: who sends into it goes,
	// and receives when done. It is held while the transport is called;
	// nothing that a transport calls takes it. It is a channel because Stop
	// holds it while time passes, which a bubble of testing/synctest allows
	// for those who wait on a channel only, and because waiting may be given
	// up. starts does the same among the calls of Start, which take their time
	// to open devices, without calls. It guards abandoned.
	calls, starts chan struct{}
	abandoned     []<-chan struct{} // each closed when an endpoint that a Start gave up is gone

	mu       sync.Mutex // guards what follows
	conv     *conversation
	closed   bool
	settings map[identity.PeerID]*peerSettings
	era      context.Context // over with the next Stop or Close, which thereby ends the Starts before it
	endEra   context.CancelFunc
}

// New checks the configuration and returns a session that is stopped. It
// opens nothing.
func New(cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Session{
		cfg:      cfg,
		log:      cfg.Logger,
		events:   newEventQueue(),
		calls:    make(chan struct{}, 1),
		starts:   make(chan struct{}, 1),
		settings: make(map[identity.PeerID]*peerSettings),
	}
	if err := s.talking.configure(cfg); err != nil {
		return nil, err
	}
	s.docket.session, s.docket.last = cfg.Session, make(map[rulingKey]*ruling)
	if err := s.docket.name(cfg.Moderators); err != nil {
		return nil, fmt.Errorf("%w: Moderators: %w", ErrConfig, err)
	}
	s.space.model = cfg.Distance
	if err := s.SetDucking(cfg.Ducking); err != nil {
		return nil, err
	}
	s.addressing.publishLocked(cfg.Authorize != nil)
	s.era, s.endEra = context.WithCancel(context.Background())
	return s, nil
}

// Start begins the conversation with nobody in it. ctx bounds the start only; a
// Stop or Close ends it too, with context.Canceled. A source or sink that can't
// be opened doesn't fail it: the session goes on as a listener or talker only.
// It fails with ErrStarted, ErrClosed, ctx's error, or the transport's. The
// session is started when Start has returned, not before.
func (s *Session) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	era := s.currentEra()
	defer context.AfterFunc(era, cancel)()
	if err := turn(ctx, s.starts); err != nil {
		return err
	}
	defer func() { <-s.starts }()
	if err := s.mayStart(ctx); err != nil {
		return err
	}
	conv, err := prepareConversation(ctx, s)
	if err != nil {
		return err
	}
	if err = turn(ctx, s.calls); err == nil {
		defer s.leave()
		// Who calls Stop is told that this is over, whether or not ctx has
		// heard of it yet.
		if err = stopped(era); err == nil {
			err = conv.open()
		}
	}
	if err != nil {
		conv.discard()
		return err
	}
	s.mu.Lock()
	s.conv = conv
	s.mu.Unlock()
	s.log.Info("voice session started", "self", conv.transport.Self())
	return nil
}

// Stop ends the conversation: it takes leave of the peers, closes source and
// sink, and returns within 1 s with no goroutine, stream or device left.
// ErrStuck says that a source, sink, tap or processor of the application did
// not return and was left behind. Stopping what isn't started is no error.
func (s *Session) Stop() error {
	s.beginEra()
	s.calls <- struct{}{}
	defer s.leave()
	return s.stop()
}

// stop wants calls held.
func (s *Session) stop() error {
	conv := s.current()
	if conv == nil {
		return nil
	}
	peers := s.Peers()
	err := conv.close()
	s.mu.Lock()
	s.conv = nil
	s.mu.Unlock()
	s.delist(peers...)
	s.events.drain()
	s.log.Info("voice session stopped")
	return err
}

// Close stops the session for good and closes the channel of Events.
// Idempotent.
func (s *Session) Close() error {
	s.beginEra()
	s.calls <- struct{}{}
	defer s.leave()
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
// this side itself, change nothing. It fails with ErrNotStarted, also while a
// Start or Stop is under way, with ErrClosed, or for an ID that the transport
// can't take (link.ErrInvalidPeer).
func (s *Session) PeerJoined(id identity.PeerID) error {
	conv, err := s.enter()
	if err != nil {
		return err
	}
	defer s.leave()
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
// isn't there changes nothing. It fails with ErrNotStarted, also while a Start
// or Stop is under way, or ErrClosed.
func (s *Session) PeerLeft(id identity.PeerID) error {
	conv, err := s.enter()
	if err != nil {
		return err
	}
	defer s.leave()
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
// them, and at most a share of them of each peer: when nobody reads, of what a
// peer does beyond that only the newest of each kind comes, and comes later, and
// then the oldest of all are dropped. What is dropped is counted in
// Stats.EventsDropped. Close closes the channel.
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
