package session

import "errors"

// Errors of a Session. They may be wrapped, so compare with errors.Is.
var (
	ErrNotStarted  = errors.New("session: not started")
	ErrStarted     = errors.New("session: already started")
	ErrClosed      = errors.New("session: closed")
	ErrConfig      = errors.New("session: invalid configuration")
	ErrUnknownPeer = errors.New("session: peer has not joined")
	ErrTarget      = errors.New("session: can't be spoken or listened to")
	ErrTooMany     = errors.New("session: more than allowed")
	ErrMessage     = errors.New("session: a message that can't be sent")
	ErrStuck       = errors.New("session: a source, sink or tap did not return in time")
)
