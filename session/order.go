package session

import (
	"context"
	"errors"
	"fmt"
)

// The order of the application's calls: who waits for whom, and who no more.

// mayStart waits for the calls before this one and for what an earlier Start
// left behind.
func (s *Session) mayStart(ctx context.Context) error {
	if err := turn(ctx, s.calls); err != nil {
		return err
	}
	_, err := s.running()
	s.leave()
	switch {
	case err == nil:
		return ErrStarted
	case !errors.Is(err, ErrNotStarted):
		return err
	}
	for len(s.abandoned) > 0 {
		select {
		case <-s.abandoned[0]:
			s.abandoned = s.abandoned[1:]
		case <-ctx.Done():
			return stopped(ctx)
		}
	}
	return nil
}

// enter waits for the calls before this one and returns the conversation; leave
// lets the next one in. It doesn't wait for the end of a conversation: the
// application's own code, for which that waits, may be what calls.
func (s *Session) enter() (*conversation, error) {
	conv, err := s.running()
	if err != nil {
		return nil, err
	}
	select {
	case s.calls <- struct{}{}:
	case <-conv.closing:
		return nil, ErrNotStarted
	}
	if conv, err = s.running(); err != nil {
		s.leave()
	}
	return conv, err
}

func (s *Session) leave() { <-s.calls }

// turn waits until it may send into order, or ctx is over.
func turn(ctx context.Context, order chan<- struct{}) error {
	if err := stopped(ctx); err != nil {
		return err
	}
	select {
	case order <- struct{}{}:
		return nil
	case <-ctx.Done():
		return stopped(ctx)
	}
}

func stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("session: start: %w", err)
	}
	return nil
}

func (s *Session) currentEra() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.era
}

// beginEra ends every Start that was called before.
func (s *Session) beginEra() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endEra()
	s.era, s.endEra = context.WithCancel(context.Background())
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
