package session

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/wire"
)

// Mode says when this side talks.
type Mode uint8

// The modes. In each of them nothing is sent while muted.
const (
	Open            Mode = iota // always; silence is not sent
	VoiceActivation             // while somebody speaks: see SetVoiceThreshold
	PushToTalk                  // between SetTalking(true) and SetTalking(false)
)

// String returns the mode as flags and logs name it.
func (m Mode) String() string {
	switch m {
	case VoiceActivation:
		return "voice"
	case PushToTalk:
		return "ptt"
	case Open:
	}
	return "open"
}

// Config describes a session. Transport and Codec are required; the zero value
// of everything else is a good default.
type Config struct {
	Transport link.Transport // carries voice and control; the session opens and closes it
	Codec     codec.Codec    // makes the encoder and a decoder per peer
	Encoding  codec.Config   // how to encode what is said here

	// OpenSource opens what is said, at Start; Stop closes it. An error makes
	// this side a listener only, which an event says; so does nil, be it the
	// function or the source, but that is no event. A Start that is given up
	// while OpenSource runs leaves it behind, and closes what it opens; the
	// next Start waits for that, as long as its context allows, so there are
	// never two calls at once.
	OpenSource func() (audio.Source, error)

	// OpenSink opens where it is heard, at Start; Stop closes it. An error or
	// nil makes this side a talker only, in the same way, and the next Start
	// waits for it likewise; taps work all the same.
	OpenSink func() (audio.Sink, error)

	Chain          audio.Chain // applied to the microphone, in order, beside the mix that is played
	Mode           Mode        // when this side talks; Open by default; SetMode changes it
	VoiceThreshold float64     // dBFS (RMS of 10 ms) that a voice has, -96 to 0; 0 means -45; see SetVoiceThreshold
	VoiceMargin    float64     // dB that it is above the background, 0 to 60; 0 means 8; see SetVoiceMargin
	Name           string      // what others may call this peer, at most 64 bytes of UTF-8; empty by default
	Jitter         jitter.Config
	NoCopies       bool         // never send copies of earlier packets, whatever listeners lose
	Logger         *slog.Logger // nil means silence

	// PriorityAttenuation is by how many dB voices are quieter while one of a
	// higher priority is heard: they make way within 100 ms, and are back 500 ms
	// after it. 0 means 12, 60 or more silence, less than 0 not at all.
	PriorityAttenuation float64

	// Session is the session's name, the same for all who take part and another for
	// each conversation: what moderators sign counts only in sessions of this name, so
	// where names are used again, it counts there for the rest of RulingLife. Default "".
	Session string

	// Moderators are those whose MuteForAll counts here; SetModerators names others.
	// Default nobody.
	Moderators []identity.PeerID

	// Sign signs by this peer's identity key, the private one of Transport.Self. It is
	// called by MuteForAll and UnmuteForAll, and needed by moderators only: the Sign of
	// libp2p's crypto.PrivKey will do.
	Sign func(data []byte) ([]byte, error)
	// Distance is how voices sound that come from somewhere: see SetPose. The zero
	// value is a good default for metres. SetDistance changes it.
	Distance spatial.Model

	// SharePose tells the peers where we are, whenever that changed, but at most so
	// often, and takes from them where they are, as long as the application doesn't
	// say it: for applications that don't know the poses of others. It is at least
	// 100 ms; 0 is not at all, and then what peers tell is ignored. All peers that
	// aren't blocked are told, whether or not they are near; and what they say of
	// themselves may not be true. See docs/positional.md.
	SharePose time.Duration

	// Ducking is by how many dB all that is heard is quieter while somebody speaks
	// here: within 100 ms, and until some 600 ms after the last word. With PushToTalk that is
	// while the key is down, otherwise while there is a voice, as VoiceThreshold and
	// VoiceMargin have it. 0 is not at all: with headphones there is no need, and with
	// speakers echo is cancelled. 60 or more is silence. SetDucking changes it.
	Ducking float64

	// Authorize decides who may be heard here and who may hear what is said
	// here: nil is yes, an error no, and its text the reason that Why gives; the
	// peer isn't told it. It is asked about each peer for each room that is
	// listened to, each that is spoken to, and Everyone, when that comes up, when
	// the peer shows another token (at most once a second), and at Reauthorize;
	// about being whispered to, but not about whom this side whispers to. Until it
	// has answered it is no. It is called from one goroutine, which it holds up, so
	// it must return quickly, with no lock of the session held. With it only rooms
	// that are named are heard. nil allows everything.
	Authorize func(Claim) error
}

const (
	defaultVoiceThreshold = -45
	defaultVoiceMargin    = 8
	maxVoiceMargin        = 60
)

func (c Config) withDefaults() (Config, error) {
	if c.Transport == nil || c.Codec == nil {
		return c, fmt.Errorf("%w: Transport and Codec are required", ErrConfig)
	}
	if c.Encoding.FrameDuration == 0 {
		c.Encoding.FrameDuration = 20 * time.Millisecond
	}
	if c.Encoding.FrameDuration%audio.BlockDuration != 0 || c.Encoding.FrameDuration < 0 {
		return c, fmt.Errorf("%w: frame duration %v is no multiple of 10 ms", ErrConfig, c.Encoding.FrameDuration)
	}
	if err := (&talking{}).configure(c); err != nil {
		return c, err
	}
	if err := c.checkAttenuation(); err != nil {
		return c, err
	}
	if len(c.Session) > wire.MaxSession {
		return c, fmt.Errorf("%w: a session's name of %d bytes", ErrConfig, len(c.Session))
	}
	if c.SharePose != 0 && c.SharePose < minSharePose {
		return c, fmt.Errorf("%w: poses every %v, want at least %v", ErrConfig, c.SharePose, minSharePose)
	}
	if err := c.Distance.Check(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	// A wrong Encoding is the application's mistake: say so at New, not at
	// the first word.
	if _, err := c.Codec.NewEncoder(c.Encoding); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}
