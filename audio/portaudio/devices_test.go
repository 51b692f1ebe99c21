package portaudio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/pulsetest"
)

func TestDevicesAreListed(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	devices, err := portaudio.Devices()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]portaudio.Device{}
	for _, d := range devices {
		byName[d.Name] = d
	}
	for _, name := range []string{server.Machine(0).Speaker, server.Machine(1).Microphone} {
		d, ok := byName[name]
		if !ok || d.Key() != "ALSA/"+name || d.Inputs == 0 || d.Outputs == 0 || d.DefaultInput || d.DefaultOutput {
			t.Errorf("device %s is listed as %+v", name, d)
		}
	}
	if d := byName["default"]; !d.DefaultInput || !d.DefaultOutput {
		t.Errorf("the default device is listed as %+v", d)
	}
}

func TestDeviceIsChosenByName(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{Machines: 2})
	server.Setenv()
	for name, c := range map[string]struct {
		device string
		want   string
		err    error
		text   string
	}{
		"no name":            {device: "", want: "default"},
		"exact":              {device: "microphone1", want: "microphone1"},
		"key":                {device: "ALSA/microphone0", want: "microphone0"},
		"part, in any case":  {device: "PHONE1", want: "microphone1"},
		"part of several":    {device: "microphone", err: portaudio.ErrUnknownDevice, text: `"ALSA/microphone0", "ALSA/microphone1"`},
		"nothing like it":    {device: "gramophone", err: portaudio.ErrUnknownDevice, text: `"ALSA/microphone0"`},
		"key of another API": {device: "JACK/microphone0", err: portaudio.ErrUnknownDevice, text: `"JACK/microphone0"`},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := portaudio.OpenSource(portaudio.Config{Device: c.device})
			if c.err != nil {
				if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %v, want %v with %s", err, c.err, c.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := source.Device().Name; got != c.want {
				t.Errorf("opened %q, want %q", got, c.want)
			}
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoDeviceAtAll(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{})
	server.SetenvNoDevices()
	devices, err := portaudio.Devices()
	if err != nil || len(devices) > 0 {
		t.Errorf("Devices: %v, %v", devices, err)
	}
	if _, err := portaudio.OpenSource(portaudio.Config{}); !errors.Is(err, portaudio.ErrNoDevice) || !strings.Contains(fmt.Sprint(err), "no microphone") {
		t.Errorf("OpenSource: %v", err)
	}
	if _, err := portaudio.OpenSink(portaudio.Config{Device: "headset"}); !errors.Is(err, portaudio.ErrNoDevice) || !strings.Contains(fmt.Sprint(err), "no speaker") {
		t.Errorf("OpenSink: %v", err)
	}
}

func TestDeviceThatCannotBeOpened(t *testing.T) {
	server := pulsetest.Start(t, pulsetest.Config{ExtraALSA: `
pcm.broken { type pulse device nowhere hint { show on description "names a sink that isn't there" } }
`})
	server.Setenv()
	_, err := portaudio.OpenSink(portaudio.Config{Device: "broken"})
	if !errors.Is(err, portaudio.ErrUnavailable) {
		t.Errorf("OpenSink: %v, want ErrUnavailable", err)
	}
}
