package tui

import (
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// State is a conversation at one moment, as far as it is drawn. Names and the
// like may hold anything: the screen cleans them.
type State struct {
	Name  string // what others may call us; may be empty
	Lobby string // code of the lobby's room; empty without a lobby

	Level     float64 // of the microphone, dBFS
	Threshold float64 // of a voice, dBFS
	Mode      session.Mode
	Speaking  bool // a talk spurt of ours is under way
	Talking   bool // the key of push-to-talk is down
	Muted     bool
	Deafened  bool
	Recording bool // we record

	Microphone string // why it doesn't work; empty if it does
	Speaker    string // likewise

	Whisper identity.PeerID // who alone hears us; empty if nobody
	Peers   []Peer          // in the order in which they are shown
	Rooms   []Room
	AllHear bool // what is said in any room is heard
}

// Peer is somebody who is here, or knocks.
type Peer struct {
	ID   identity.PeerID
	Name string // as it calls itself; not verified; may be empty

	Knocks    bool // wants to be let in; nothing below is known
	Reachable bool
	Speaking  bool
	Level     float64 // of its voice, dBFS
	Muted     bool    // it muted itself
	Deafened  bool    // it deafened itself
	Recording bool    // it records
	Silenced  bool    // we don't want to hear it
	Blocked   bool
	Whispers  bool // it speaks to us alone

	Volume     float32 // 1 is as it speaks
	Path       string  // lan, direct, punched, relayed or none
	Transport  string
	RTT        time.Duration // 0 until measured
	Delay      time.Duration // that its voice waits here, in the jitter buffer
	Target     time.Duration // of that
	Jitter     time.Duration
	MouthToEar time.Duration // 0 until known
	Loss       float64       // share of its packets that the network lost lately; negative where nothing was sent
	Concealed  float64       // share of its voice that had to be guessed lately; likewise
	MOS        float64       // 0 until known
	BitsIn     float64       // per second
	BitsOut    float64

	Rooms    []string // that it hears
	AllRooms bool     // it hears all others too
	Why      string   // in sentences: why it is heard, or not; of the peer that State was asked about
	Number   string   // what two people compare to be sure of each other; likewise
}

// Room is a room that we, or others, have to do with.
type Room struct {
	Name   string
	Heard  bool // what is said there is heard
	Spoken bool // what we say goes there
	Others int  // who hear it
}

// Device is a microphone or a speaker.
type Device struct {
	Name       string // to be shown and to be chosen; empty means the system's default
	Microphone bool   // else a speaker
	Default    bool   // the system's
}

// Chat is the conversation as the keys see it. All but Devices and Use is called
// from the one goroutine of Run, and returns quickly. Errors are shown as they
// are.
type Chat interface {
	State(now time.Time, selected identity.PeerID) State

	SetMuted(muted bool)
	SetDeafened(deafened bool)
	SetTalking(talking bool)
	SetMode(mode session.Mode) error
	SetThreshold(dbfs float64) error
	SetVolume(id identity.PeerID, volume float32)
	SetSilenced(id identity.PeerID, silenced bool)
	// SetBlocked blocks a peer, one that knocks too, which then goes from the
	// list.
	SetBlocked(id identity.PeerID, blocked bool)

	// LetIn admits a peer that knocks.
	LetIn(id identity.PeerID) error
	// Whisper makes a peer the only one who hears us; empty ends that.
	Whisper(id identity.PeerID) error
	// Hear begins or ends to hear a room. HearAll hears all of them again.
	Hear(room string, on bool) error
	HearAll() error
	// Speak begins or ends to speak to a room. With the last one ended, it is
	// to everyone again.
	Speak(room string, on bool) error

	// Say sends a text to whom our voice goes.
	Say(text string) error
	// Command does what a line of the plain interface does, and returns its
	// answer, of several lines maybe.
	Command(line string) string

	// Devices lists the sound devices, and Use switches to one. They may take a
	// second, and are called beside the others.
	Devices() ([]Device, error)
	Use(device Device) error
}
