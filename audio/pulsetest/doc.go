// Package pulsetest gives tests real sound devices on a machine without a
// sound card: a PulseAudio server private to the test, with null sinks for
// speakers and microphones, and an ALSA configuration through which PortAudio
// sees them. Nothing outside the test's temporary directory is touched, and
// everything started is stopped, by process id, when the test ends.
//
// Each virtual machine has a speaker and a microphone for the program under
// test, and the far ends of both for the test itself: what is played into the
// mouth is what the microphone hears, and the ear hears what the speaker plays.
//
// It needs PulseAudio and the ALSA plug-in for it (on Debian the packages
// pulseaudio, pulseaudio-utils and libasound2-plugins). Where they are missing,
// or on another system than Linux, the test is skipped and says why.
package pulsetest

import "fmt"

// Config says what devices there are. The zero value is one machine with a
// stereo speaker and a mono microphone at 48 kHz.
type Config struct {
	// Machines is the number of virtual machines. Default: 1.
	Machines int

	// Rate is the sample rate of every device in Hz. PulseAudio converts for
	// programs that ask for another one. Default: 48000.
	Rate int

	// SpeakerChannels is the number of channels of a speaker. Default: 2.
	SpeakerChannels int

	// MicrophoneChannels is the number of channels of a microphone. Default: 1.
	MicrophoneChannels int

	// ExtraALSA is appended to the ALSA configuration, for devices of a special
	// kind. Default: nothing.
	ExtraALSA string
}

func (c Config) withDefaults() Config {
	c.Machines = max(c.Machines, 1)
	if c.Rate == 0 {
		c.Rate = 48000
	}
	if c.SpeakerChannels == 0 {
		c.SpeakerChannels = 2
	}
	if c.MicrophoneChannels == 0 {
		c.MicrophoneChannels = 1
	}
	return c
}

// Machine names the devices of one virtual machine. They are ALSA device names,
// which PortAudio lists as they are.
type Machine struct {
	Speaker    string // the program under test plays here
	Microphone string // the program under test records here
	Mouth      string // the test plays here what the microphone is to hear
	Ear        string // the test records here what the speaker plays

	// The names of the same things inside PulseAudio, for paplay and parec.
	SpeakerSink      string // what Speaker plays into
	MicrophoneSource string // what Microphone records from
	MouthSink        string // what Mouth plays into
	EarSource        string // what Ear records from
}

func machine(i int) Machine {
	return Machine{
		Speaker:          fmt.Sprintf("speaker%d", i),
		Microphone:       fmt.Sprintf("microphone%d", i),
		Mouth:            fmt.Sprintf("mouth%d", i),
		Ear:              fmt.Sprintf("ear%d", i),
		SpeakerSink:      fmt.Sprintf("speaker%d", i),
		MicrophoneSource: fmt.Sprintf("microphone%d.monitor", i),
		MouthSink:        fmt.Sprintf("microphone%d", i),
		EarSource:        fmt.Sprintf("speaker%d.monitor", i),
	}
}
