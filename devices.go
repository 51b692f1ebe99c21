package parley

import (
	"errors"
	"sync"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
)

// ErrNoDevices is the error of SetMicrophone and SetSpeaker where Config.OpenSource or
// Config.OpenSink is in a device's place.
var ErrNoDevices = errors.New("parley: there is no device to choose: the application gives the sound itself")

// SetMicrophone goes on with another recording device, named as in
// Config.Microphone; the empty name is the system's default one. What is said goes
// on: the device in use is left when the other one records. A conversation that began
// without a microphone has one from then on. Before Start it only sets the name, if
// there is such a device. It returns
// within some 100 ms as a rule, and after at most 10 s. portaudio.Devices lists what
// there is.
//
// The error is one of package portaudio: ErrUnknownDevice, which lists what there is,
// ErrNoDevice, ErrUnavailable, ErrNotResponding. Then the device in use stays. Or it
// is ErrNoDevices. It is safe for concurrent use.
func (v *Voice) SetMicrophone(name string) error { return v.microphone.choose(name) }

// Microphone is the name of the recording device that was chosen; empty for the
// system's default one.
func (v *Voice) Microphone() string { return v.microphone.chosen() }

// SetSpeaker goes on with another playback device, as SetMicrophone does.
func (v *Voice) SetSpeaker(name string) error { return v.speaker.choose(name) }

// Speaker is the name of the playback device that was chosen; empty for the
// system's default one.
func (v *Voice) Speaker() string { return v.speaker.chosen() }

// changer is an open device that can be left for another.
type changer interface{ SetDevice(name string) error }

// device is the microphone or the speaker that was chosen, and what is open.
type device struct {
	find  func(name string) (portaudio.Device, error) // nil if the application gives the sound itself
	calls sync.Mutex                                  // one choice at a time; held while the sound system is asked

	mu   sync.Mutex // guards what follows
	name string
	open changer // nil before the first Start
}

// init sets what Config says.
func (d *device) init(name string, find func(string) (portaudio.Device, error)) {
	d.name, d.find = name, find
}

func (d *device) chosen() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.name
}

func (d *device) choose(name string) error {
	if d.find == nil {
		return ErrNoDevices
	}
	d.calls.Lock()
	defer d.calls.Unlock()
	d.mu.Lock()
	open := d.open
	d.mu.Unlock()
	err := audio.ErrClosed
	if open != nil {
		err = open.SetDevice(name)
	}
	if errors.Is(err, audio.ErrClosed) { // since Stop, or by it
		_, err = d.find(name)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.name = name
	d.mu.Unlock()
	return nil
}

// opened takes note of what a Start opened.
func (d *device) opened(open changer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = open
}

// openSource opens the microphone that is chosen now, or something for another one
// to be chosen.
func (d *device) openSource(cfg portaudio.Config) (audio.Source, error) {
	d.calls.Lock()
	defer d.calls.Unlock()
	cfg.Device = d.chosen()
	source, err := portaudio.OpenSource(cfg)
	if err != nil {
		source = portaudio.AbsentSource(cfg, err)
	}
	d.opened(source)
	return source, nil
}

// openSink is openSource for a speaker.
func (d *device) openSink(cfg portaudio.Config) (audio.Sink, error) {
	d.calls.Lock()
	defer d.calls.Unlock()
	cfg.Device = d.chosen()
	sink, err := portaudio.OpenSink(cfg)
	if err != nil {
		sink = portaudio.AbsentSink(cfg, err)
	}
	d.opened(sink)
	return sink, nil
}
