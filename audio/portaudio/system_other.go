//go:build !linux && !windows

package portaudio

import (
	"time"

	pa "github.com/gordonklaus/portaudio"
)

// preferredHostType is the host API to prefer.
const preferredHostType = pa.CoreAudio

// quiet does nothing: Core Audio prints nothing.
func quiet() {}

// hasSound says whether PortAudio may be initialised.
func hasSound() bool { return true }

// devicesStamp would change when a sound card comes or goes, if that could be
// known here without closing every stream.
func devicesStamp() string { return "" }

// bufferFor is the size of a device's buffer to ask for.
func bufferFor(_ direction, latency time.Duration) time.Duration { return latency }

// probe has nothing to try: PortAudio's own way to fail is good enough.
func probe(direction, *pa.DeviceInfo) error { return nil }
