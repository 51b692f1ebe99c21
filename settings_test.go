package parley_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
	"github.com/parley-voice/parley/session"
)

// somebody is a peer ID.
func somebody(t *testing.T, n int) peer.ID {
	t.Helper()
	id, err := peer.Decode([]string{
		"12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s",
		"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
	}[n])
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// chosen is settings in which nothing is as a newcomer has it.
func chosen(t *testing.T) parley.Settings {
	return parley.Settings{
		Microphone: "ALSA/Headset \"Ä\"", Speaker: "ALSA/speakers",
		Mode: session.PushToTalk, VoiceThreshold: -38.5, VoiceMargin: 12,
		Clean: parley.Clean{Echo: parley.EchoHalfDuplex, Noise: parley.Off, Gain: parley.On},
		Peers: map[peer.ID]parley.PeerSettings{
			somebody(t, 0): {Volume: 0.3, Muted: true},
			somebody(t, 1): {Volume: 2, Blocked: true},
		},
	}
}

func TestSettingsAreFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "of", "somebody", "settings.json")
	if _, err := parley.LoadSettings(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that isn't there: %v", err)
	}
	for _, want := range []parley.Settings{chosen(t), {}} {
		if err := parley.SaveSettings(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := parley.LoadSettings(path)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the file there is %v, %v", left, err)
	}
}

// What the JSON is like is a promise: files of today are to be read tomorrow.
func TestSettingsInJSON(t *testing.T) {
	b, err := json.Marshal(chosen(t))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"microphone":"ALSA/Headset \"Ä\"","speaker":"ALSA/speakers","mode":"ptt","voiceThreshold":-38.5,"voiceMargin":12,` +
		`"clean":{"echo":"halfduplex","noise":"off","gain":"on"},"peers":{` +
		`"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA":{"volume":2,"blocked":true},` +
		`"12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s":{"volume":0.3,"muted":true}}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var s parley.Settings
	if err := json.Unmarshal([]byte(`{"version": 1, "peers": {"12D3KooWFUqMkS8tCnDBsxMVG4KAZbF3RunjdDRLVGfeFZJ3MJ4s": {"muted": true}}, "of tomorrow": [1]}`), &s); err != nil {
		t.Fatal(err)
	}
	if want := (parley.Settings{Peers: map[peer.ID]parley.PeerSettings{somebody(t, 0): {Volume: 1, Muted: true}}}); !reflect.DeepEqual(s, want) {
		t.Errorf("fields that are missing: %+v, want %+v", s, want)
	}
}

// A file that holds something else is named, with the field, and stays what it was.
func TestForeignAndBrokenSettingsAreLeftAlone(t *testing.T) {
	id := somebody(t, 0).String()
	many := `{"version":1,"peers":{`
	for i := range parley.MaxSettingsPeers + 1 {
		many += fmt.Sprintf(`"%d":{},`, i)
	}
	many = strings.TrimSuffix(many, ",") + "}}"
	for content, field := range map[string]string{
		"":                                          "holds none",
		"null":                                      "version",
		"[1, 2]":                                    "holds none",
		"mode = open\n":                             "holds none",
		`{"version": 1, "mode": "open"`:             "holds none",
		`{"version": 1} {"version": 1}`:             "holds none",
		`{"name": "somebody else's"}`:               "version",
		`{"version": 0}`:                            "version: 0",
		`{"version": 2, "mode": "telepathy"}`:       "version: 2",
		`{"version": "1"}`:                          "version",
		`{"version": 1, "mode": "telepathy"}`:       "mode",
		`{"version": 1, "mode": 3}`:                 "mode",
		`{"version": 1, "voiceThreshold": -97}`:     "voiceThreshold",
		`{"version": 1, "voiceThreshold": 1}`:       "voiceThreshold",
		`{"version": 1, "voiceThreshold": "-4"}`:    "voiceThreshold",
		`{"version": 1, "voiceMargin": 60.5}`:       "voiceMargin",
		`{"version": 1, "voiceMargin": 1e999}`:      "voiceMargin",
		`{"version": 1, "clean": {"echo": "loud"}}`: "clean.echo",
		`{"version": 1, "clean": {"gain": true}}`:   "clean.gain",
		`{"version": 1, "peers": {"nobody": {}}}`:   "peers",
		`{"version": 1, "peers": {"": {}}}`:         "peers",
		`{"version": 1, "peers": {"` + strings.Repeat("Q", 90000) + `": {}}}`:         "peers",
		`{"version": 1, "peers": {"` + id + `": {"volume": 2.5}}}`:                    "peers[" + id + "].volume",
		`{"version": 1, "peers": {"` + id + `": {"volume": -1}}}`:                     "peers[" + id + "].volume",
		`{"version": 1, "microphone": "` + strings.Repeat("m", 257) + `"}`:            "microphone",
		`{"version": 1, "speaker": "a\u0007b"}`:                                       "speaker",
		`{"version": 1, "x": "` + strings.Repeat("x", parley.MaxSettingsBytes) + `"}`: "bytes",
		many: "peers: 4097",
	} {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := parley.LoadSettings(path)
		errSave := parley.SaveSettings(path, chosen(t))
		for _, err := range []error{err, errSave} {
			if !errors.Is(err, parley.ErrSettings) || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), path) {
				t.Errorf("%.60s: %v, want ErrSettings, %q and the file", content, err, field)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("%.60s: an error of %d bytes", content, len(err.Error()))
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%.60s: afterwards it is %.60s, %v", content, after, err)
		}
	}
	dir := t.TempDir()
	if err := parley.SaveSettings(dir, chosen(t)); !errors.Is(err, parley.ErrSettings) {
		t.Errorf("a directory: %v", err)
	}
}

func TestSettingsOutOfRangeAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	v, err := parley.New(newHost(t), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	before := v.Settings()
	for field, edit := range map[string]func(*parley.Settings){
		"microphone":     func(s *parley.Settings) { s.Microphone = "\xff" },
		"speaker":        func(s *parley.Settings) { s.Speaker = strings.Repeat("s", 300) },
		"mode":           func(s *parley.Settings) { s.Mode = 7 },
		"voiceThreshold": func(s *parley.Settings) { s.VoiceThreshold = math.NaN() },
		"voiceMargin":    func(s *parley.Settings) { s.VoiceMargin = math.Inf(1) },
		"clean":          func(s *parley.Settings) { s.Clean.Noise = 9 },
		"volume":         func(s *parley.Settings) { s.Peers[somebody(t, 0)] = parley.PeerSettings{Volume: float32(math.NaN())} },
		"peers":          func(s *parley.Settings) { s.Peers["nobody"] = parley.PeerSettings{Volume: 1, Muted: true} },
		"empty":          func(s *parley.Settings) { s.Peers[""] = parley.PeerSettings{Volume: 1, Muted: true} },
	} {
		s := chosen(t)
		edit(&s)
		for _, err := range []error{v.Apply(s), parley.SaveSettings(path, s)} {
			if !errors.Is(err, parley.ErrSettings) || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	if now := v.Settings(); !reflect.DeepEqual(now, before) {
		t.Errorf("what was refused has changed %+v to %+v", before, now)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is there: %v", err)
	}
}

// A program that knows more has written something that this one must not lose.
func TestUnknownFieldsStay(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "settings.json"), filepath.Join(dir, "link.json")
	if err := os.WriteFile(path, []byte(`{"version": 1, "mode": "voice", "of tomorrow": {"a": [1, 2]}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if err := parley.SaveSettings(link, chosen(t)); err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &fields) != nil {
		t.Fatalf("%s, %v", b, err)
	}
	if got := strings.Join(strings.Fields(string(fields["of tomorrow"])), ""); got != `{"a":[1,2]}` || string(fields["mode"]) != `"ptt"` {
		t.Errorf("the file is %s", b)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

// Whoever reads while others write reads one or the other, whole.
func TestSettingsAreReplacedAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	all := []parley.Settings{chosen(t), {Mode: session.VoiceActivation}}
	if err := parley.SaveSettings(path, all[0]); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for range 30 {
				if err := parley.SaveSettings(path, all[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		if s, err := parley.LoadSettings(path); err != nil || !reflect.DeepEqual(s, all[0]) && !reflect.DeepEqual(s, all[1]) {
			t.Fatalf("read %+v, %v", s, err)
		}
	}
	writers.Wait()
}

func TestSettingsAreApplied(t *testing.T) {
	v, err := parley.New(newHost(t), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	v.SetPeerMuted(newHost(t).ID(), true) // not among what is applied: nobody mutes it any more
	for range 2 {
		want := chosen(t)
		if err := v.Apply(want); err != nil {
			t.Fatal(err)
		}
		if got := v.Settings(); !reflect.DeepEqual(got, want) {
			t.Errorf("applied %+v, got %+v", want, got)
		}
		if err := v.Start(t.Context()); err != nil && !errors.Is(err, session.ErrStarted) {
			t.Fatal(err)
		}
	}
	if !v.PeerMuted(somebody(t, 0)) || v.PeerVolume(somebody(t, 0)) != 0.3 || !v.PeerBlocked(somebody(t, 1)) || v.Mode() != session.PushToTalk {
		t.Errorf("in force is %+v", v.Settings())
	}
	if err := v.Apply(parley.Settings{VoiceMargin: 60}); err != nil { // the most that the session takes
		t.Error(err)
	}
	if got := v.Settings(); got.Peers != nil || got.VoiceThreshold != -45 || got.Mode != session.Open || got.Clean != (parley.Clean{}) {
		t.Errorf("of a newcomer's settings %+v is in force", got)
	}
}

// A headset that isn't plugged in is told, and takes nothing else away.
func TestSettingsOfADeviceThatIsNotThere(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	here := server.Machine(0)
	v, err := parley.New(newHost(t), parley.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	err = v.Apply(parley.Settings{Microphone: "a headset", Speaker: here.Speaker, Mode: session.PushToTalk})
	if !errors.Is(err, portaudio.ErrUnknownDevice) || !strings.Contains(err.Error(), `"a headset"`) {
		t.Errorf("Apply: %v", err)
	}
	if got := v.Settings(); got.Microphone != "" || got.Speaker != here.Speaker || got.Mode != session.PushToTalk {
		t.Errorf("in force is %+v", got)
	}
}
