package portaudio_test

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/portaudio"
)

// A microphone that may be missing, and that may vanish later.
func ExampleOpenSource() {
	microphone, err := portaudio.OpenSource(portaudio.Config{
		Device: "headset", // a part of the name will do
		OnEvent: func(ev portaudio.Event) {
			slog.Info("microphone "+ev.Kind.String(), "device", ev.Device.Name, "fallback", ev.Fallback)
		},
	})
	switch {
	case errors.Is(err, portaudio.ErrNoDevice):
		fmt.Println("no microphone: listening only")
		return
	case err != nil:
		fmt.Println(err) // an unknown name lists the names there are
		return
	}
	defer microphone.Close()

	var block audio.Block
	for {
		if err := microphone.ReadBlock(&block); err != nil {
			return // closed; a lost device gives silence instead
		}
		// ... 10 ms of mono PCM at 48 kHz
	}
}
