package session

import (
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// Event is something that an application may want to show. The types in this
// file that have a Session or Peer in their doc comment are all there are.
type Event interface{ event() }

type (
	// PeerReachable says that a joined peer can be talked to: both sides
	// greeted each other. It is sent again after each PeerUnreachable.
	PeerReachable struct {
		Peer identity.PeerID
		Name string // as the peer calls itself; may be empty, is not verified
		Path link.Path
	}

	// PeerUnreachable says that a joined peer cannot be talked to now, or could
	// not within 10 s of PeerJoined; it goes on being tried. It stays in the
	// session until the application calls PeerLeft.
	PeerUnreachable struct {
		Peer   identity.PeerID
		Reason string
	}

	// PeerGone says that a joined peer took leave: it stopped its session, or
	// its application took us off its list. It stays in this session until
	// the application calls PeerLeft, and is greeted anew if it returns.
	PeerGone struct {
		Peer   identity.PeerID
		Reason string
	}

	// PeerIncompatible says that a joined peer speaks no version or codec
	// that we speak.
	PeerIncompatible struct {
		Peer   identity.PeerID
		Reason string
	}

	// PathChanged says that the way to a reachable peer is another now.
	PathChanged struct {
		Peer     identity.PeerID
		From, To link.Path
	}

	// PeerState says that a peer muted or deafened itself, or the reverse. A
	// peer that comes is taken to be neither; if it is, or if it comes back
	// otherwise than it went, this follows PeerReachable.
	PeerState struct {
		Peer            identity.PeerID
		Muted, Deafened bool
	}

	// PeerRecording says that a peer records what it hears, as it says itself, or
	// no longer. If one that comes does, this follows PeerReachable.
	PeerRecording struct {
		Peer      identity.PeerID
		Recording bool
	}

	// Moderated says that a moderator muted a peer for all, or this side, which then
	// is Session.Self, or that this is over: see MuteForAll. Of a peer that is not here
	// it comes when it is.
	Moderated struct {
		Peer   identity.PeerID // who was muted
		By     identity.PeerID // the moderator; empty if it is over by itself, or by SetModerators
		Muted  bool
		Reason string // as the moderator gives it; may be empty
	}

	// RoomsChanged says that a peer listens to other rooms now: see PeerRooms. It
	// doesn't come for who hears all rooms and never said otherwise.
	RoomsChanged struct {
		Peer identity.PeerID
	}

	// Speaking says that a peer began or ceased to be heard. A beginning comes
	// after PeerReachable; the end may come after PeerUnreachable or PeerGone,
	// and doesn't come for a peer that the application took away.
	Speaking struct {
		Peer   identity.PeerID
		Active bool
	}

	// TextReceived says that a peer sent a text that it may send, to somebody we
	// are or listen to. What can't be printed in it, but new lines and tabs, was
	// replaced by U+FFFD. Texts and data of one peer come in the order in which
	// they were sent, each once; see SendText.
	TextReceived struct {
		Peer identity.PeerID
		To   Target // a room, Everyone, or Whisper of this side
		Text string
	}

	// DataReceived is the same of data. Data belongs to who receives the event.
	DataReceived struct {
		Peer  identity.PeerID
		To    Target // a room, Everyone, or Whisper of this side
		Topic string // any bytes of UTF-8
		Data  []byte
	}

	// Knocked says that a peer that has not joined wants to talk, be it one
	// that was just taken off the list here and not there. PeerJoined within a
	// few seconds lets it in without another knock.
	Knocked struct {
		Peer identity.PeerID
	}

	// TalkingWhileMuted says that somebody has been speaking into the microphone
	// for 300 ms though it is muted, by this side or by a moderator. It comes again
	// after 10 s of that, and after the microphone was unmuted.
	TalkingWhileMuted struct{}

	// DeviceChanged says that the microphone or the speaker failed or works
	// again. While it fails the session goes on without it.
	DeviceChanged struct {
		Device  Device
		Working bool
		Reason  string // why it doesn't work; empty if it does
	}

	// SourceEnded says that the source, a file for example, has no more to
	// give. The session goes on listening.
	SourceEnded struct{}
)

// Device names an end of the audio path in events.
type Device string

// The two devices of a session.
const (
	Microphone Device = "microphone"
	Speaker    Device = "speaker"
)

func (PeerReachable) event()    {}
func (PeerUnreachable) event()  {}
func (PeerGone) event()         {}
func (PeerIncompatible) event() {}
func (PathChanged) event()      {}
func (PeerState) event()        {}
func (PeerRecording) event()    {}
func (Moderated) event()        {}
func (RoomsChanged) event()     {}
func (Speaking) event()         {}
func (TextReceived) event()     {}
func (DataReceived) event()     {}
func (Knocked) event()          {}
func (DeviceChanged) event()    {}
func (SourceEnded) event()      {}
