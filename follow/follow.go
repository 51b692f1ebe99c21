// Package follow keeps a voice session in step with the session that an application
// has anyway, and makes the four calls for it: Start, PeerJoined, PeerLeft and Stop.
//
// A [Source] says who takes part: the members of a gossipsub topic ([Topic]), the peers
// of a set that the host is connected to ([Connected]), or a list of the application's
// own ([List]). [Follow] starts voice, tells it who comes and goes, and stops it.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

const (
	defaultGrace   = 10 * time.Second
	defaultRecheck = 5 * time.Second
	pace           = 20 * time.Millisecond // between two looks at a source that changes all the time
)

// Session is what follows: a session.Session or a parley.Voice.
type Session interface {
	Start(ctx context.Context) error
	PeerJoined(id identity.PeerID) error
	PeerLeft(id identity.PeerID) error
	Stop() error
}

// Source says who takes part in the application's session. Follow calls its methods
// one at a time.
type Source interface {
	// Members returns who takes part now, in any order. This side itself may be
	// among them, or not.
	Members() []identity.PeerID

	// Wait returns when the members may have changed since Members was called, or
	// with ctx's error when ctx is over. Another error ends the following.
	Wait(ctx context.Context) error
}

// Leaver is what a Source implements that can tell a member that has left from one
// that is out of sight for a moment.
type Leaver interface {
	// HasLeft reports whether a peer that isn't a member any more has certainly
	// left: there is no grace then.
	HasLeft(id identity.PeerID) bool
}

// Config says how to follow. The zero value is a good default.
type Config struct {
	// Grace is how long a member may be out of sight before PeerLeft: a
	// connection that breaks and comes back is not a leave. Default 10 s; negative
	// means none.
	Grace time.Duration

	Recheck time.Duration // how often Members is asked even if Wait says nothing; default 5 s
	Logger  *slog.Logger  // nil means silence
}

func (c Config) withDefaults() Config {
	switch {
	case c.Grace == 0:
		c.Grace = defaultGrace
	case c.Grace < 0:
		c.Grace = 0
	}
	if c.Recheck <= 0 {
		c.Recheck = defaultRecheck
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Follow starts the session, tells it of the source's members as they come and go,
// until ctx is over, and stops it. It blocks so long; it starts no goroutine. It
// returns nil, or Stop's error, after ctx was over; else why it ended before: Start
// failed, the source did, or the session was stopped or closed by somebody else.
//
// What the application tells the session itself meanwhile is left as it is: a peer that
// it took away comes back when it is a member anew.
func Follow(ctx context.Context, s Session, source Source, cfg Config) error {
	if err := s.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("follow: %w", err)
	}
	f := follower{cfg: cfg.withDefaults(), session: s, source: source, known: make(map[identity.PeerID]*member)}
	f.leaver, _ = source.(Leaver)
	err := f.run(ctx)
	if ctx.Err() != nil {
		err = nil // that is how it ends
	}
	if stop := s.Stop(); stop != nil {
		err = errors.Join(err, fmt.Errorf("follow: %w", stop))
	}
	return err
}

// member is somebody whom the session was told of.
type member struct {
	here    bool      // seen in the present look
	missing time.Time // since when not; zero while here
	refused bool      // the session takes no such ID
}

type follower struct {
	cfg     Config
	session Session
	source  Source
	leaver  Leaver // nil if the source isn't one
	known   map[identity.PeerID]*member
}

func (f *follower) run(ctx context.Context) error {
	for {
		now := time.Now()
		wait, err := f.look(now)
		if err != nil {
			return err
		}
		if err := f.wait(ctx, wait); err != nil {
			return err
		}
		if rest := pace - time.Since(now); rest > 0 {
			if err := sleep(ctx, rest); err != nil {
				return err
			}
		}
	}
}

// look tells the session what has changed, and returns when to look again at the
// latest.
func (f *follower) look(now time.Time) (wait time.Duration, err error) {
	for _, m := range f.known {
		m.here = false
	}
	for _, id := range f.source.Members() {
		if m := f.known[id]; m != nil {
			m.here, m.missing = true, time.Time{}
			continue
		}
		m := &member{here: true}
		switch err := f.session.PeerJoined(id); {
		case errors.Is(err, link.ErrInvalidPeer):
			m.refused = true
			f.cfg.Logger.Warn("follow: a member that voice can't reach", "error", err)
		case err != nil:
			return 0, fmt.Errorf("follow: %w", err)
		}
		f.known[id] = m
	}
	wait = f.cfg.Recheck
	for id, m := range f.known {
		if m.here {
			continue
		}
		if m.missing.IsZero() {
			m.missing = now
		}
		left := m.missing.Add(f.cfg.Grace).Sub(now)
		if left > 0 && !m.refused && (f.leaver == nil || !f.leaver.HasLeft(id)) {
			wait = min(wait, left)
			continue
		}
		delete(f.known, id)
		if m.refused {
			continue
		}
		if err := f.session.PeerLeft(id); err != nil {
			return 0, fmt.Errorf("follow: %w", err)
		}
	}
	return wait, nil
}

// wait waits for the source, at most for d.
func (f *follower) wait(ctx context.Context, d time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := f.source.Wait(limited)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil || limited.Err() != nil:
		return nil
	}
	return fmt.Errorf("follow: %w", err)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
