package pipe

import "errors"

// Errors of this package. They may be wrapped, so compare with errors.Is.
var (
	// ErrConfig: the Config can't be used.
	ErrConfig = errors.New("pipe: invalid config")

	// ErrStuck: Close left a call of Config.Send behind that didn't return.
	ErrStuck = errors.New("pipe: the function that sends doesn't return")
)

// Why Receive dropped a message. Nothing has to be done about it; Receive's
// errors are for tests and for logs.
var (
	ErrMalformed = errors.New("pipe: malformed message")
	ErrSecurity  = errors.New("pipe: one side encrypts and the other doesn't")
	ErrForged    = errors.New("pipe: message is not by the peer")
	ErrReplayed  = errors.New("pipe: message was received before")
	ErrLate      = errors.New("pipe: message for a key that isn't in use")
	ErrFlood     = errors.New("pipe: too many messages of this kind")
)
