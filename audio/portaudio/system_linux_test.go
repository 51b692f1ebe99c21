package portaudio

import (
	"errors"
	"syscall"
	"testing"

	pa "github.com/gordonklaus/portaudio"

	"github.com/parley-voice/parley/audio/pulsetest"
)

func TestDevicesHaveALSANames(t *testing.T) {
	for name, want := range map[string]string{
		"default":                        "default",
		"HDA Intel PCH: ALC269 (hw:0,0)": "hw:0,0",
		"Webcam: USB Audio (plughw:2,0)": "plughw:2,0",
		"speaker (left)":                 "speaker (left)",
		"(hw:1,0":                        "(hw:1,0",
	} {
		if got := alsaName(name); got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
}

// What can't be opened is found out before PortAudio is asked, which would mix
// up its errors with those of streams.
func TestProbeTellsWhetherADeviceCanBeOpened(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.Setenv()
	quiet()
	alsa := &pa.HostApiInfo{Type: pa.ALSA}
	speaker := &pa.DeviceInfo{Name: server.Machine(0).Speaker, HostApi: alsa}
	microphone := &pa.DeviceInfo{Name: server.Machine(0).Microphone, HostApi: alsa}
	if err := errors.Join(probe(output, speaker), probe(input, microphone)); err != nil {
		t.Error(err)
	}
	var errno syscall.Errno
	if err := probe(output, &pa.DeviceInfo{Name: "nothing", HostApi: alsa}); !errors.As(err, &errno) {
		t.Errorf("a device that doesn't exist: %v", err)
	}
	server.Kill()
	for dir, info := range map[direction]*pa.DeviceInfo{output: speaker, input: microphone} {
		if err := probe(dir, info); !errors.As(err, &errno) {
			t.Errorf("a %s without a sound server: %v", dir.noun(), err)
		}
	}
	if err := probe(output, &pa.DeviceInfo{Name: "nothing", HostApi: &pa.HostApiInfo{Type: pa.JACK}}); err != nil {
		t.Errorf("a device that isn't ALSA's: %v", err)
	}
}
