package parley

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
)

// Limits of Settings.
const (
	MaxSettingsPeers = 4096    // peers of whom something is kept
	MaxDeviceName    = 256     // bytes of a device's name
	MaxSettingsBytes = 1 << 20 // of a file
)

// ErrSettings says that settings are out of range, or that a file holds none. Its
// text names the field. It is wrapped, so compare with errors.Is.
var ErrSettings = errors.New("parley: settings")

// Settings is what a person chose and wants to find again: what Voice.Settings
// returns, Voice.Apply takes, and LoadSettings and SaveSettings keep. The zero value is
// what a newcomer has.
//
// In JSON it is an object with a version, 1. Fields that are missing there have
// their defaults, fields that this version doesn't know are ignored.
type Settings struct {
	Microphone     string                   // as in Config
	Speaker        string                   // as in Config
	Mode           session.Mode             // as in Config
	VoiceThreshold float64                  // dBFS; 0 means the default; see session.Session.SetVoiceThreshold
	VoiceMargin    float64                  // dB; 0 means the default; see session.Session.SetVoiceMargin
	Clean          Clean                    // as in Config
	Peers          map[peer.ID]PeerSettings // of those for whom something is set
}

// PeerSettings is what a person chose for a peer.
type PeerSettings struct {
	Volume  float32 // 0 to audio.MaxGain (2); 1 is as the peer speaks
	Muted   bool    // see session.Session.SetPeerMuted
	Blocked bool    // see session.Session.SetPeerBlocked
}

// Settings returns what is set now.
func (v *Voice) Settings() Settings {
	s := Settings{
		Microphone:     v.Microphone(),
		Speaker:        v.Speaker(),
		Mode:           v.Mode(),
		VoiceThreshold: v.VoiceThreshold(),
		VoiceMargin:    v.VoiceMargin(),
		Clean:          v.Cleaning(),
	}
	for _, p := range v.PeerSettings() {
		if s.Peers == nil {
			s.Peers = map[peer.ID]PeerSettings{}
		}
		s.Peers[p.ID] = PeerSettings{Volume: p.Volume, Muted: p.Muted, Blocked: p.Blocked}
	}
	return s
}

// Apply sets all of it, before Start or while talking; of peers that are not named
// nothing is set any more. If something is out of range it changes nothing and
// returns ErrSettings. A device that isn't there, or can't be opened, leaves the one
// in use as it is and all else applied; the errors of SetMicrophone and SetSpeaker
// say so. Where the application gives the sound itself a device's name is only kept.
// Calls at the same time mix.
func (v *Voice) Apply(s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	if s.Clean != v.Cleaning() {
		if err := v.SetClean(s.Clean); err != nil {
			return err
		}
	}
	if err := errors.Join(v.SetMode(s.Mode), v.SetVoiceThreshold(s.VoiceThreshold), v.SetVoiceMargin(s.VoiceMargin)); err != nil {
		return err
	}
	for _, p := range v.PeerSettings() {
		if _, ok := s.Peers[p.ID]; !ok {
			v.setPeer(p.ID, PeerSettings{Volume: 1})
		}
	}
	for id, p := range s.Peers {
		v.setPeer(id, p)
	}
	return errors.Join(v.microphone.apply(s.Microphone), v.speaker.apply(s.Speaker))
}

func (v *Voice) setPeer(id peer.ID, p PeerSettings) {
	v.SetPeerVolume(id, p.Volume)
	v.SetPeerMuted(id, p.Muted)
	v.SetPeerBlocked(id, p.Blocked)
}

// apply chooses a device, unless it is the one that is chosen.
func (d *device) apply(name string) error {
	if d.find == nil {
		d.mu.Lock()
		d.name = name
		d.mu.Unlock()
		return nil
	}
	if name == d.chosen() {
		return nil
	}
	return d.choose(name)
}

// Check returns an ErrSettings that names the field unless all is in range.
func (s Settings) Check() error {
	if err := checkName("microphone", s.Microphone); err != nil {
		return err
	}
	if err := checkName("speaker", s.Speaker); err != nil {
		return err
	}
	if s.Mode > session.PushToTalk {
		return fmt.Errorf("%w: mode: there is no mode %d", ErrSettings, s.Mode)
	}
	if x := s.VoiceThreshold; !(x >= audio.FloorDBFS && x <= 0) {
		return fmt.Errorf("%w: voiceThreshold: %g dBFS, want %g to 0", ErrSettings, x, audio.FloorDBFS)
	}
	if x := s.VoiceMargin; !(x >= 0 && x <= maxVoiceMargin) {
		return fmt.Errorf("%w: voiceMargin: %g dB, want 0 to %d", ErrSettings, x, maxVoiceMargin)
	}
	if c := s.Clean; c.Echo > EchoOff || c.Noise > Off || c.Gain > Off {
		return fmt.Errorf("%w: clean: unknown %+v", ErrSettings, c)
	}
	if n := len(s.Peers); n > MaxSettingsPeers {
		return fmt.Errorf("%w: peers: %d of them, want at most %d", ErrSettings, n, MaxSettingsPeers)
	}
	for _, id := range sorted(s.Peers) {
		if err := checkPeer(id, s.Peers[id]); err != nil {
			return err
		}
	}
	return nil
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func checkName(field, name string) error {
	switch {
	case len(name) > MaxDeviceName:
		return fmt.Errorf("%w: %s: a name of %d bytes, want at most %d", ErrSettings, field, len(name), MaxDeviceName)
	case !utf8.ValidString(name), slices.ContainsFunc([]rune(name), unicode.IsControl):
		return fmt.Errorf("%w: %s: %q is no name", ErrSettings, field, name)
	}
	return nil
}

func checkPeer(id peer.ID, p PeerSettings) error {
	if len(id) > maxPeerID {
		return fmt.Errorf("%w: peers: an ID of %d bytes", ErrSettings, len(id))
	}
	if err := id.Validate(); err != nil {
		return fmt.Errorf("%w: peers: an ID that is empty", ErrSettings)
	}
	if _, err := peer.Decode(id.String()); err != nil {
		return fmt.Errorf("%w: peers: %q is no peer ID", ErrSettings, string(id))
	}
	if !(p.Volume >= 0 && p.Volume <= audio.MaxGain) {
		return fmt.Errorf("%w: peers[%s].volume: %s, want 0 to %g", ErrSettings, id, strconv.FormatFloat(float64(p.Volume), 'g', -1, 32), float64(audio.MaxGain))
	}
	return nil
}

// maxVoiceMargin is the session's.
const maxVoiceMargin = 60

// maxPeerID is more than any ID of libp2p has, in bytes.
const maxPeerID = 128
