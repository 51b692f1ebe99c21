// Package portaudio makes microphones and speakers of the system an
// [audio.Source] and an [audio.Sink]. Both are an [audio.Device]: they are
// their own clock.
//
//	microphone, err := portaudio.OpenSource(portaudio.Config{})
//	speaker, err := portaudio.OpenSink(portaudio.Config{Device: "headset"})
//
// # Loss
//
// A device may vanish, and a sound server may end, hang or be stopped. ReadBlock
// then gives silence and WriteBlock swallows what it gets, both at the pace of
// the clock, and neither ever takes 100 ms. Meanwhile the package tries every
// half second to get audio flowing again: with the device that was asked for,
// else with the system's default one, which it leaves as soon as the device
// asked for can be opened again. A device that hangs without an error is given
// 2.5 s to go on; then the default one is tried, and the other is returned to
// when it answers. Config.OnEvent hears of it; Faults counts.
//
// # Another device
//
// SetDevice goes on with another device, while audio is read or written: both run
// until the other one moves audio. The default device is what the system says it
// is: PulseAudio moves who uses it when a person chooses another one. PortAudio doesn't
// tell of that; where a system doesn't move streams by itself an application that is
// told calls SetDevice with the name of the new one.
//
// # Device list
//
// PortAudio looks for devices only when it is initialised, and that needs every
// stream of the process closed. This package does it anew whenever that is so.
// While something runs on another device than the one asked for, which is missing
// from the list, all endpoints let go of their streams for some 100 ms to have a
// new list made: when a sound card came or went (Linux), and 2, 8 and 30 s after
// the loss. A program that uses PortAudio beside this package as well keeps the
// list as it was when PortAudio was first initialised.
//
// # Delay
//
// Audio moves in pieces of half of Config.Latency: 5 ms by default. A microphone
// is one piece late; a speaker plays what was written a device's buffer later, 10 ms
// by default with PulseAudio, and where pieces are shorter than 5 ms a piece more,
// which is kept in hand. From WriteBlock through a null sink's monitor to ReadBlock
// it takes 15 ms by default and 10 ms with LowDelay, beside the 10 ms of the block
// itself.
//
// # Goroutines
//
// Open starts two goroutines per endpoint: one that supervises, and one that
// alone opens, runs and closes the stream, since PortAudio crashes if a blocking
// stream is closed while it is read. It asks the device what it has, at most once
// a millisecond, and waits in Go, where that keeps nobody from a processor. Close
// waits for both, at most 300 ms. If the
// sound system hangs, the second one is stuck in it; it is left behind then,
// touches nothing that is still in use, and ends when the sound system answers.
//
// Where the sound system holds a call up, which it does for 20 ms when it begins anew
// after it ran dry, Go's scheduler counts the goroutine as one that runs, for 10 to 20 ms.
// With two processors two such calls keep everything else from running, other devices
// among it, so that those run dry as well. An application that may run on one or two
// processors does well to call runtime.GOMAXPROCS(4) when it starts, as examples/chat
// does; a library can't decide that.
//
// # Standard error
//
// ALSA and JACK are kept from writing to standard error. PortAudio itself writes
// some lines ("Expression ... failed") when a device is lost or can't be opened;
// the library offers no way to stop it, and this package doesn't take the
// process's standard error away for it.
//
// # Building
//
// The package needs cgo, pkg-config and PortAudio 19 (Debian: portaudio19-dev,
// which brings the headers of ALSA and JACK). With the race detector the
// binding's pointer arithmetic trips Go's pointer checks, which must be off for it:
//
//	go test -race -gcflags=github.com/gordonklaus/portaudio=-d=checkptr=0
package portaudio
