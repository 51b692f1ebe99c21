// Package link is the contract between a conversation and a network.
//
// A session talks to its peers through a [Transport] and is told what arrives
// through a [Handler]. Package p2p implements Transport over libp2p streams,
// package session/sessiontest in memory; session/sessiontest also holds the
// conformance suite that any other implementation should pass.
//
// Two kinds of traffic are told apart. Voice is sent as soon as possible or
// not at all, may arrive late or out of order, and arrives at most once.
// Control is reliable, ordered and bounded.
package link

import (
	"errors"
	"time"

	"github.com/parley-voice/parley/identity"
)

// MaxMessage is the largest voice or control message in bytes that a
// Transport carries. A larger one is refused with [ErrTooLarge].
const MaxMessage = 1000

// FlushTimeout is the longest time for which control messages that were given
// to a Transport before Leave or Close are still delivered afterwards.
const FlushTimeout = 300 * time.Millisecond

// Errors of a Transport. They are wrapped, so compare with errors.Is.
var (
	ErrClosed      = errors.New("link: transport is not open")
	ErrOpen        = errors.New("link: transport is already open")
	ErrInvalidPeer = errors.New("link: invalid peer ID")
	ErrSelf        = errors.New("link: peer is this host itself")
	ErrNotJoined   = errors.New("link: peer is not joined")
	ErrNoPath      = errors.New("link: no path to the peer")
	ErrTooLarge    = errors.New("link: message larger than MaxMessage")
	ErrCongested   = errors.New("link: too much is unacknowledged or queued")
)

// Handler receives what a Transport has to tell. Calls that concern one peer
// are serial; calls for different peers may be concurrent. Bytes are valid
// during the call only. Implementations return quickly and never call the
// Transport from within a call.
type Handler interface {
	// Voice delivers one voice message of a joined peer. at is the time of
	// arrival, read from the monotonic clock as close to the network as
	// possible. A message is delivered at most once, in any order.
	Voice(p identity.PeerID, b []byte, at time.Time)

	// Control delivers one control message of a joined peer, in the order in
	// which the peer sent them, none missing within one Path.Epoch.
	Control(p identity.PeerID, b []byte)

	// PathChanged says that the way to a joined peer appeared, changed or was
	// lost, or why there is none yet. When path.Epoch differs from the one
	// before, the far end joined anew: nothing that was received or sent
	// before counts any more. No Voice or Control precedes the first
	// PathChanged with a path.
	PathChanged(p identity.PeerID, path Path)

	// Knock says that a peer that isn't joined wants to talk, be it a peer
	// that was just left. What it opened is held for a while; a Join in that
	// time accepts it.
	Knock(p identity.PeerID)
}

// Transport carries voice and control between this host and peers that were
// joined. All methods are safe for concurrent use and none waits for the
// network, except Close, which takes at most FlushTimeout and a little. Leave
// and Close wait for a call of the Handler that is under way, so their callers
// must hold no lock that the Handler takes; callers of the others may.
type Transport interface {
	// Self is the identity under which this host is known to its peers.
	Self() identity.PeerID

	// Open starts delivery to h. A second Open without a Close is ErrOpen;
	// after Close a Transport can be opened again. Until Open, and after
	// Close, peers that want to talk are refused.
	Open(h Handler) error

	// Join announces a peer: it is accepted, and a path to it is kept as well
	// as the network allows. Join returns at once and is idempotent. It
	// fails with ErrInvalidPeer, ErrSelf or ErrClosed.
	Join(p identity.PeerID) error

	// Leave takes the announcement back. After it returned nothing of that
	// peer is delivered. Control messages sent before still leave within
	// FlushTimeout, in the background. Idempotent; a later Join is a new
	// epoch.
	Leave(p identity.PeerID) error

	// SendVoice sends b as soon as possible or not at all. It never blocks
	// and copies b. ErrNoPath, ErrCongested, ErrNotJoined, ErrTooLarge and
	// ErrClosed say that b was dropped.
	SendVoice(p identity.PeerID, b []byte) error

	// SendControl sends b reliably and in order once there is a path; it
	// copies b. The queue per peer is bounded: ErrCongested says that b was
	// not accepted. What is queued before the first contact is kept; what is
	// queued when one epoch of the far end gives way to another is dropped.
	SendControl(p identity.PeerID, b []byte) error

	// Path describes the present way to a peer. For a peer that isn't joined
	// it is the zero Path.
	Path(p identity.PeerID) Path

	// Stats returns the link's counters for a peer, totals since Join; the
	// zero Stats for a peer that isn't joined.
	Stats(p identity.PeerID) Stats

	// Close leaves every peer, delivers what control was sent for at most
	// FlushTimeout, and stops delivery. Nothing is delivered after it
	// returned. Idempotent.
	Close() error
}

// Kind says what sort of way a Path is.
type Kind uint8

// The kinds of path, the better ones later. Compare with == only.
const (
	None    Kind = iota // there is no way to the peer now
	Relayed             // through a relay that sees only ciphertext
	Punched             // direct, after hole punching
	Direct              // direct
	LAN                 // direct, on a local network or on this machine
)

// String returns the kind as statistics show it: none, relayed, punched,
// direct or lan.
func (k Kind) String() string {
	switch k {
	case Relayed:
		return "relayed"
	case Punched:
		return "punched"
	case Direct:
		return "direct"
	case LAN:
		return "lan"
	case None:
	}
	return "none"
}

// Path describes a way to a peer at one moment.
type Path struct {
	Kind      Kind
	Transport string        // what carries it: "quic-v1", "tcp", "memory"; empty without a path
	Security  string        // what authenticates the peer and encrypts end to end: "tls", "noise"; empty if nothing does
	Remote    string        // the far address in text, for people; empty if unknown
	RTT       time.Duration // smoothed round-trip time; 0 until measured
	Lanes     int           // independently ordered lanes that voice is striped over; 0 without a path
	Ordered   bool          // everything arrives in the order in which it was sent: no later packet brings what an earlier one lost
	Epoch     uint64        // identifies the far end's join; changes when it joined anew; 0 before the first contact
	Since     time.Time     // since when the path is like this
	Reason    string        // why the path is what it is, in words; always set when Kind is None
}

// Stats counts what a link did for one peer.
type Stats struct {
	VoiceSent      uint64 // voice messages written to the network
	VoiceDropped   uint64 // voice messages given to SendVoice and not written
	VoiceReceived  uint64 // voice messages delivered
	VoiceDuplicate uint64 // voice messages that had been delivered before
	VoiceUnacked   int    // voice messages written and not yet acknowledged

	// Queue is how long packets wait on the way, as far as it can be told: by how
	// much even the shortest of the last few round trips took longer than the
	// shortest of the last 10 s or more. 0 where that isn't known.
	Queue time.Duration

	Malformed       uint64 // messages of the peer that could not be parsed, each of which cost it a lane
	LaneResets      uint64 // lanes reset because what they carried was too late
	PathChanges     uint64 // changes between two paths, or to and from none
	BytesSent       uint64 // bytes written to streams: voice, control, acknowledgements, probes
	BytesReceived   uint64 // bytes read from streams
	ControlSent     uint64 // control messages written
	ControlReceived uint64 // control messages delivered
}
