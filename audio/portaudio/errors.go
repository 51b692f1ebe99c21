package portaudio

import "errors"

// Errors of Devices, OpenSource and OpenSink. They are wrapped, so compare with
// errors.Is. ReadBlock and WriteBlock return audio.ErrClosed only.
var (
	// ErrNoDevice: there is no microphone, or no speaker, at all.
	ErrNoDevice = errors.New("portaudio: no device")
	// ErrUnknownDevice: no device, or more than one, has that name. The text
	// lists the candidates.
	ErrUnknownDevice = errors.New("portaudio: unknown device")
	// ErrUnavailable: the device is there and can't be opened, because another
	// program holds it for example.
	ErrUnavailable = errors.New("portaudio: device can't be opened")
	// ErrNotResponding: the sound system doesn't answer.
	ErrNotResponding = errors.New("portaudio: sound system doesn't answer")
)

// errStopped says that a pump was told to end before it had a stream.
var errStopped = errors.New("portaudio: stopped")
