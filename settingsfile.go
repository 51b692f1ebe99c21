package parley

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/session"
)

// settingsVersion is that of the JSON that is written. Whoever adds a field that an
// older program must not lose, or changes the meaning of one, raises it.
const settingsVersion = 1

// settingsJSON is Settings as they are in JSON.
type settingsJSON struct {
	Version        *int                `json:"version"`
	Microphone     string              `json:"microphone"`
	Speaker        string              `json:"speaker"`
	Mode           string              `json:"mode"`
	VoiceThreshold float64             `json:"voiceThreshold"`
	VoiceMargin    float64             `json:"voiceMargin"`
	Clean          cleanJSON           `json:"clean"`
	Peers          map[string]peerJSON `json:"peers"`
}

type cleanJSON struct {
	Echo  string `json:"echo"`
	Noise string `json:"noise"`
	Gain  string `json:"gain"`
}

type peerJSON struct {
	Volume  *float32 `json:"volume"`
	Muted   bool     `json:"muted,omitempty"`
	Blocked bool     `json:"blocked,omitempty"`
}

// The words of the JSON, in the order of the constants that they stand for.
var (
	modeWords   = [...]string{session.Open.String(), session.VoiceActivation.String(), session.PushToTalk.String()}
	echoWords   = [...]string{"auto", "cancel", "halfduplex", "off"}
	switchWords = [...]string{"auto", "on", "off"}
)

// MarshalJSON is json.Marshaler's. It fails with ErrSettings.
func (s Settings) MarshalJSON() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	version := settingsVersion
	j := settingsJSON{
		Version:        &version,
		Microphone:     s.Microphone,
		Speaker:        s.Speaker,
		Mode:           modeWords[s.Mode],
		VoiceThreshold: s.VoiceThreshold,
		VoiceMargin:    s.VoiceMargin,
		Clean:          cleanJSON{echoWords[s.Clean.Echo], switchWords[s.Clean.Noise], switchWords[s.Clean.Gain]},
		Peers:          make(map[string]peerJSON, len(s.Peers)),
	}
	for id, p := range s.Peers {
		j.Peers[id.String()] = peerJSON{&p.Volume, p.Muted, p.Blocked}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is json.Unmarshaler's. It fails with ErrSettings, which names the
// field, and then changes nothing.
func (s *Settings) UnmarshalJSON(b []byte) error {
	var j settingsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && kind.Field != "" {
			return fmt.Errorf("%w: %s: a %s doesn't belong there", ErrSettings, kind.Field, kind.Value)
		}
		return fmt.Errorf("%w: %w", ErrSettings, err)
	}
	switch {
	case j.Version == nil:
		return fmt.Errorf("%w: version: there is none", ErrSettings)
	case *j.Version < 1 || *j.Version > settingsVersion:
		return fmt.Errorf("%w: version: %d, and this program knows 1 to %d", ErrSettings, *j.Version, settingsVersion)
	}
	read := Settings{Microphone: j.Microphone, Speaker: j.Speaker, VoiceThreshold: j.VoiceThreshold, VoiceMargin: j.VoiceMargin}
	if err := read.parseWords(&j); err != nil {
		return err
	}
	if err := read.parsePeers(j.Peers); err != nil {
		return err
	}
	if err := read.Check(); err != nil {
		return err
	}
	*s = read
	return nil
}

func (s *Settings) parseWords(j *settingsJSON) error {
	for _, w := range []struct {
		field, word string
		words       []string
		set         func(i uint8)
	}{
		{"mode", j.Mode, modeWords[:], func(i uint8) { s.Mode = session.Mode(i) }},
		{"clean.echo", j.Clean.Echo, echoWords[:], func(i uint8) { s.Clean.Echo = Echo(i) }},
		{"clean.noise", j.Clean.Noise, switchWords[:], func(i uint8) { s.Clean.Noise = Switch(i) }},
		{"clean.gain", j.Clean.Gain, switchWords[:], func(i uint8) { s.Clean.Gain = Switch(i) }},
	} {
		if w.word == "" {
			continue // the default
		}
		i := slices.Index(w.words, w.word)
		if i < 0 {
			return fmt.Errorf("%w: %s: %.40q, want one of %q", ErrSettings, w.field, w.word, w.words)
		}
		w.set(uint8(i))
	}
	return nil
}

func (s *Settings) parsePeers(peers map[string]peerJSON) error {
	if len(peers) > MaxSettingsPeers {
		return fmt.Errorf("%w: peers: %d of them, want at most %d", ErrSettings, len(peers), MaxSettingsPeers)
	}
	for _, text := range sorted(peers) {
		if len(text) > 2*maxPeerID { // to read a long one takes quadratic time
			return fmt.Errorf("%w: peers: %.40q... is no peer ID", ErrSettings, text)
		}
		id, err := peer.Decode(text)
		if err != nil {
			return fmt.Errorf("%w: peers: %q is no peer ID", ErrSettings, text)
		}
		if _, twice := s.Peers[id]; twice {
			return fmt.Errorf("%w: peers: %s is there twice", ErrSettings, id)
		}
		if s.Peers == nil {
			s.Peers = make(map[peer.ID]PeerSettings, len(peers))
		}
		p := PeerSettings{Volume: 1, Muted: peers[text].Muted, Blocked: peers[text].Blocked}
		if v := peers[text].Volume; v != nil {
			p.Volume = *v
		}
		s.Peers[id] = p
	}
	return nil
}

// LoadSettings reads the file at path. A missing file is an error that wraps
// fs.ErrNotExist; one that isn't of settings, that is larger than MaxSettingsBytes,
// of a newer version, or out of range is ErrSettings, and named in the text. The
// file is left as it is.
func LoadSettings(path string) (Settings, error) {
	s, _, err := readSettings(path)
	return s, err
}

// readSettings returns what a file holds, and its fields as they are.
func readSettings(path string) (s Settings, fields map[string]json.RawMessage, err error) {
	// It looks before it opens: to open a pipe would block.
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return s, nil, fmt.Errorf("parley: settings: %w", err)
	case !info.Mode().IsRegular():
		return s, nil, fmt.Errorf("%w: %s is no regular file", ErrSettings, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return s, nil, fmt.Errorf("parley: settings: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, MaxSettingsBytes+1))
	if err != nil {
		return s, nil, fmt.Errorf("parley: settings: %w", err)
	}
	if len(b) > MaxSettingsBytes {
		return s, nil, fmt.Errorf("%w: %s has more than %d bytes", ErrSettings, path, MaxSettingsBytes)
	}
	if err = json.Unmarshal(b, &fields); err != nil {
		return s, nil, fmt.Errorf("%w: %s holds none: %w", ErrSettings, path, err)
	}
	if err = s.UnmarshalJSON(b); err != nil {
		return s, nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, fields, nil
}

// SaveSettings writes s to the file at path, whole or not at all, for the user alone
// (0600), and makes the directories to it (0700). Fields of a file of the same version
// that this program doesn't know stay as they are. A file that LoadSettings doesn't
// take is never overwritten: the error is LoadSettings's. When programs save at the
// same time one of them is the last.
func SaveSettings(path string, s Settings) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays one
	}
	_, fields, err := readSettings(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := mergeSettings(s, fields)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("parley: settings: %w", err)
	}
	if err = replaceFile(dir, path, b); err != nil {
		return fmt.Errorf("parley: settings: %w", err)
	}
	return nil
}

// mergeSettings is the content of a file that had some fields before.
func mergeSettings(s Settings, before map[string]json.RawMessage) ([]byte, error) {
	b, err := s.MarshalJSON()
	if err != nil {
		return nil, err
	}
	fields := maps.Clone(before)
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	var ours map[string]json.RawMessage
	if err = json.Unmarshal(b, &ours); err != nil {
		return nil, fmt.Errorf("parley: settings: %w", err)
	}
	maps.Copy(fields, ours)
	if b, err = json.MarshalIndent(fields, "", "  "); err != nil {
		return nil, fmt.Errorf("parley: settings: %w", err)
	}
	b = append(b, '\n')
	if len(b) > MaxSettingsBytes {
		return nil, fmt.Errorf("%w: they take %d bytes, want at most %d", ErrSettings, len(b), MaxSettingsBytes)
	}
	return b, nil
}

// replaceFile writes a file next to the one at path and puts it in its place.
func replaceFile(dir, path string, b []byte) error {
	f, err := os.CreateTemp(dir, ".parley-settings-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if d, err := os.Open(dir); err == nil { // so that it lasts through a power cut, where a system can do that
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}
