package follow

import (
	"context"

	"github.com/parley-voice/parley/identity"
)

// ListSource follows a list of the application's own. Make it with [List].
type ListSource struct {
	members func() []identity.PeerID
	changed chan struct{}
}

// List follows a list that the application keeps: members returns it, from any
// goroutine. The application calls Changed when it has changed. Who isn't on it has
// left: there is no grace.
func List(members func() []identity.PeerID) *ListSource {
	return &ListSource{members: members, changed: make(chan struct{}, 1)}
}

// Changed says that the list has changed. It never blocks and is safe for concurrent
// use.
func (l *ListSource) Changed() { signal(l.changed) }

// Members implements Source.
func (l *ListSource) Members() []identity.PeerID { return l.members() }

// Wait implements Source.
func (l *ListSource) Wait(ctx context.Context) error { return await(ctx, l.changed) }

// HasLeft implements Leaver: the application knows.
func (l *ListSource) HasLeft(identity.PeerID) bool { return true }

func signal(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default: // it is said already
	}
}

func await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
