package p2p

import (
	"errors"

	"github.com/libp2p/go-libp2p/core/network"
)

// Errors of this package besides those of package link. They are wrapped, so
// compare with errors.Is.
var (
	ErrNoHost        = errors.New("p2p: no host")
	ErrNodeExists    = errors.New("p2p: this host has a node already")
	ErrNodeClosed    = errors.New("p2p: node is closed")
	ErrSessionExists = errors.New("p2p: session name is in use on this node")
	ErrSessionName   = errors.New("p2p: session name is longer than 64 bytes")
)

// Reset codes. They say to the far end why a stream of ours ended. libp2p keeps
// the codes below 0x10000 for itself.
const (
	codeLeft         network.StreamErrorCode = 0x10001 + iota // the sender took its Join back or closed
	codeNotAnnounced                                          // the sender has not joined the receiver
	codeSuperseded                                            // another stream took this one's place; no refusal
	codeStale                                                 // an epoch in the preamble isn't a present one
	codeNoSession                                             // no session of that name is open here
	codeVersion                                               // unknown version or kind
	codeMalformed                                             // what came could not be parsed
	codeTooMany                                               // a limit is reached
	codeTooLate                                               // what the lane carried is too late to be played
	codeShutdown                                              // the node is closing
	codePolicy                                                // voice may not take this way: see Relaying
)

// remoteCode returns the code with which the far end reset a stream, and
// whether it did.
func remoteCode(err error) (network.StreamErrorCode, bool) {
	var se *network.StreamError
	if errors.As(err, &se) && se.Remote {
		return se.ErrorCode, true
	}
	return 0, false
}
