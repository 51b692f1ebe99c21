package portaudio

import (
	"fmt"
	"strings"
	"time"

	pa "github.com/gordonklaus/portaudio"
)

// Device describes a sound device. It is a value that doesn't change.
type Device struct {
	Name          string
	HostAPI       string  // the system's interface to it: ALSA, Core Audio, Windows WASAPI and so on
	Inputs        int     // channels it can record; 0 if it is no microphone
	Outputs       int     // channels it can play; 0 if it is no speaker
	SampleRate    float64 // the rate it prefers, in Hz
	DefaultInput  bool    // the microphone used if none is chosen
	DefaultOutput bool    // the speaker used if none is chosen
}

// Key is "HostAPI/Name": what to store to find the device again later.
func (d Device) Key() string { return d.HostAPI + "/" + d.Name }

// isDefault says whether the device is the default one of a direction.
func (d Device) isDefault(dir direction) bool {
	if dir == input {
		return d.DefaultInput
	}
	return d.DefaultOutput
}

// devicesPatience bounds how long Devices waits for the sound system.
const devicesPatience = 3 * time.Second

// Devices lists the devices of the system. While streams of this package are
// open the list is that of the time when the first of them was opened. It takes
// some 20 to 200 ms, and at most 3 s: then the error is ErrNotResponding. A
// system without devices gives an empty list. Safe for concurrent use.
func Devices() ([]Device, error) { return ask(shared.devices) }

// ask asks the sound system and gives up after devicesPatience. The goroutine ends
// when the sound system answers.
func ask[T any](f func(quit <-chan struct{}) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	quit, got := make(chan struct{}), make(chan result, 1)
	go func() {
		value, err := f(quit)
		got <- result{value, err}
	}()
	patience := time.NewTimer(devicesPatience)
	defer patience.Stop()
	select {
	case r := <-got:
		return r.value, r.err
	case <-patience.C:
		close(quit)
		var none T
		return none, ErrNotResponding
	}
}

// direction says which way audio flows.
type direction int

const (
	input direction = iota
	output
)

// noun is what a person calls a device of that direction.
func (d direction) noun() string {
	if d == input {
		return "microphone"
	}
	return "speaker"
}

// channels is how many channels a device has in that direction.
func (d direction) channels(of *pa.DeviceInfo) int {
	if d == input {
		return of.MaxInputChannels
	}
	return of.MaxOutputChannels
}

// system is PortAudio's list of devices, as it was when PortAudio was
// initialised, and the default device of each direction.
type system struct {
	infos    []*pa.DeviceInfo
	defaults [2]*pa.DeviceInfo // by direction; nil if there is none
	host     *pa.HostApiInfo   // preferred over the others; may be nil
}

// readSystem asks PortAudio, which must be initialised.
func readSystem() (system, error) {
	infos, err := pa.Devices()
	if err != nil {
		return system{}, fmt.Errorf("portaudio: listing devices: %w", err)
	}
	sys := system{infos: infos, host: preferredHost()}
	if sys.host != nil {
		sys.defaults = [2]*pa.DeviceInfo{sys.host.DefaultInputDevice, sys.host.DefaultOutputDevice}
	}
	if sys.defaults[input] == nil {
		sys.defaults[input], _ = pa.DefaultInputDevice() // an error means that there is none
	}
	if sys.defaults[output] == nil {
		sys.defaults[output], _ = pa.DefaultOutputDevice()
	}
	return sys, nil
}

// preferredHost is the host API to prefer where devices appear in several.
func preferredHost() *pa.HostApiInfo {
	if hosts, err := pa.HostApis(); err == nil {
		for _, h := range hosts {
			if h.Type == preferredHostType && len(h.Devices) > 0 {
				return h
			}
		}
	}
	if h, err := pa.DefaultHostApi(); err == nil {
		return h
	}
	return nil
}

func (s system) describe(info *pa.DeviceInfo) Device {
	d := Device{
		Name:          info.Name,
		Inputs:        info.MaxInputChannels,
		Outputs:       info.MaxOutputChannels,
		SampleRate:    info.DefaultSampleRate,
		DefaultInput:  info == s.defaults[input],
		DefaultOutput: info == s.defaults[output],
	}
	if info.HostApi != nil {
		d.HostAPI = info.HostApi.Name
	}
	return d
}

// choose finds the device of a direction that a name, a key or a part of a name
// means; the empty string means the default one.
func (s system) choose(dir direction, name string) (*pa.DeviceInfo, error) {
	var usable []*pa.DeviceInfo
	for _, info := range s.infos {
		if dir.channels(info) > 0 {
			usable = append(usable, info)
		}
	}
	if len(usable) == 0 {
		return nil, fmt.Errorf("%w: the system has no %s", ErrNoDevice, dir.noun())
	}
	if name == "" {
		if s.defaults[dir] == nil {
			return nil, fmt.Errorf("%w: the system has no default %s, only %s", ErrNoDevice, dir.noun(), s.names(usable))
		}
		return s.defaults[dir], nil
	}
	for _, info := range usable {
		if s.describe(info).Key() == name {
			return info, nil
		}
	}
	exact := filter(usable, func(info *pa.DeviceInfo) bool { return info.Name == name })
	if len(exact) > 0 {
		return s.preferred(exact)[0], nil
	}
	part := strings.ToLower(name)
	alike := s.preferred(filter(usable, func(info *pa.DeviceInfo) bool { return strings.Contains(strings.ToLower(info.Name), part) }))
	switch len(alike) {
	case 0:
		return nil, fmt.Errorf("%w: no %s is called %q; there are %s", ErrUnknownDevice, dir.noun(), name, s.names(usable))
	case 1:
		return alike[0], nil
	default:
		return nil, fmt.Errorf("%w: %q may be %s", ErrUnknownDevice, name, s.names(alike))
	}
}

// preferred narrows a list to the devices of the preferred host API, if it has any.
func (s system) preferred(infos []*pa.DeviceInfo) []*pa.DeviceInfo {
	if of := filter(infos, func(info *pa.DeviceInfo) bool { return info.HostApi == s.host }); len(of) > 0 {
		return of
	}
	return infos
}

func (s system) names(infos []*pa.DeviceInfo) string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = fmt.Sprintf("%q", s.describe(info).Key())
	}
	return strings.Join(names, ", ")
}

func filter(infos []*pa.DeviceInfo, keep func(*pa.DeviceInfo) bool) []*pa.DeviceInfo {
	var kept []*pa.DeviceInfo
	for _, info := range infos {
		if keep(info) {
			kept = append(kept, info)
		}
	}
	return kept
}
