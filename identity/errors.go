package identity

import "errors"

// Errors of this package. They are wrapped, so compare with errors.Is. The text
// around them is for people: it says what is wrong with which input, and what
// to do where something can be done.
var (
	ErrKeyFile       = errors.New("identity: unusable key file")
	ErrPeerID        = errors.New("identity: not a peer ID")
	ErrAddress       = errors.New("identity: not the address of a peer")
	ErrSignature     = errors.New("identity: not a signature of the peer")
	ErrTooMany       = errors.New("identity: too many peers or addresses")
	ErrNotInvite     = errors.New("identity: not an invite")
	ErrInviteVersion = errors.New("identity: invite of an unknown version, made by a newer program")
	ErrInviteDamaged = errors.New("identity: invite is damaged: cut, or with a typo; copy it again")
)
