package portaudio

import (
	"log/slog"
	"time"
)

// Latencies to ask of a device, for Config.Latency.
const (
	DefaultLatency = 10 * time.Millisecond // steady on an ordinary machine
	LowDelay       = 5 * time.Millisecond  // for a machine with processors to spare
)

// Bounds of what Config.Latency may ask for.
const (
	minLatency = 2500 * time.Microsecond
	maxLatency = 100 * time.Millisecond
)

// Config says which device to open, and how. The zero value is the system's
// default device at the default latency.
type Config struct {
	// Device is a device's name, its key (Device.Key), or a part of its name,
	// in any case, that no other device has. Default: the system's default one.
	Device string

	// Latency is the size of the device's buffer to ask for, 2.5 to 100 ms.
	// Audio moves in pieces of half of it. The device may have its own mind;
	// Device.Latency tells. Default: DefaultLatency.
	Latency time.Duration

	// OnEvent, if not nil, is called when the device is lost and when audio
	// flows again. Calls come one at a time from a goroutine of this package,
	// with no lock held. It must return quickly. Default: nobody is told.
	OnEvent func(Event)

	// Logger gets device changes at Info. Default: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Latency == 0 {
		c.Latency = DefaultLatency
	}
	c.Latency = min(max(c.Latency, minLatency), maxLatency)
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// EventKind is what happened to a device.
type EventKind int

// The kinds of events.
const (
	Lost      EventKind = iota + 1 // no audio flows; it is being tried to get it back
	Recovered                      // audio flows again
	Switched                       // audio moved to another device without a loss
)

// String gives the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case Lost:
		return "lost"
	case Recovered:
		return "recovered"
	case Switched:
		return "switched"
	default:
		return "unknown"
	}
}

// Event is a change of the device in use.
type Event struct {
	Kind     EventKind
	Device   Device // the device lost, or the one in use from now on
	Fallback bool   // Device isn't the one that was asked for
	Reason   error  // why the device was lost; nil otherwise
}
