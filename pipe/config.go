package pipe

import (
	"fmt"
	"log/slog"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// MaxMessage is the largest message in bytes that is given to Config.Send, and
// that Receive takes. Voice and control have 1,045 at most, of which 45 aren't what
// is said; only a handshake between RSA keys is larger.
const MaxMessage = 1200

// Ways says which ways a pipe has.
type Ways uint8

// The ways of a pipe.
const (
	BothWays       Ways = iota // a reliable ordered one, and one that may lose and reorder; a path needs both
	UnreliableOnly             // every message may be lost, doubled or reordered
	ReliableOnly               // every message waits for those before it
)

// Config describes a transport. Send and Key are required, or Self and Insecure
// in place of Key; the zero value of everything else is a good default.
type Config struct {
	// Send sends b to a peer: in order and without loss if reliable, as soon as
	// possible or not at all if not. An error says that the pipe is full or
	// closed, and the message dropped. Send may block while the pipe is full:
	// voice that waits meanwhile is dropped, oldest first. It is called without
	// any lock, by one goroutine for each peer (a second one for a moment, when a
	// peer that was left is joined again), and must not keep b. A call that doesn't return makes Close report ErrStuck.
	Send func(to identity.PeerID, b []byte, reliable bool) error

	Ways Ways // what the pipe can do; default BothWays

	Key      crypto.PrivKey  // this peer's identity; the same as its libp2p host's, if it has one
	Self     identity.PeerID // this peer's ID; default: that of Key
	Insecure bool            // without keys: nothing is encrypted, and peers are who the pipe says they are

	// Session keeps conversations apart: peers with different names don't
	// reach each other. Where one pipe carries several conversations of the
	// same people this keeps it from mixing them up. At most 64 bytes;
	// default "".
	Session string

	Kind   link.Kind    // how the pipe reaches a peer, until SetRoute says more; default link.Relayed
	Name   string       // what the pipe is called in Path.Transport; default "pipe"
	Logger *slog.Logger // nil means silence
}

const maxSessionName = 64

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Send == nil:
		return c, fmt.Errorf("%w: Send is required", ErrConfig)
	case c.Ways > ReliableOnly:
		return c, fmt.Errorf("%w: unknown ways %d", ErrConfig, c.Ways)
	case len(c.Session) > maxSessionName:
		return c, fmt.Errorf("%w: a session's name has at most %d bytes", ErrConfig, maxSessionName)
	case c.Insecure && c.Key != nil:
		return c, fmt.Errorf("%w: Key and Insecure exclude each other", ErrConfig)
	case !c.Insecure && c.Key == nil:
		return c, fmt.Errorf("%w: Key is required; without one, say Insecure", ErrConfig)
	}
	if c.Key != nil {
		id, err := peer.IDFromPrivateKey(c.Key)
		if err != nil {
			return c, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		if c.Self != "" && c.Self != id {
			return c, fmt.Errorf("%w: Self is not the ID of Key", ErrConfig)
		}
		c.Self = id
	}
	if !validID(c.Self) {
		return c, fmt.Errorf("%w: Self is required without a Key", ErrConfig)
	}
	if c.Kind == link.None {
		c.Kind = link.Relayed
	}
	if c.Name == "" {
		c.Name = "pipe"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// maxID is more than any peer ID has, in bytes.
const maxID = 128

func validID(id identity.PeerID) bool { return id != "" && len(id) <= maxID }
