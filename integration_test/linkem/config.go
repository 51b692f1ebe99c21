package linkem

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Errors of this package. They are wrapped, so compare with errors.Is.
var (
	ErrUnsupported = errors.New("linkem: no emulated links here") // not Linux, not root, or no /dev/net/tun
	ErrConfig      = errors.New("linkem: setting out of range")
	ErrClosed      = errors.New("linkem: link is closed")
)

// Side names one end of a link.
type Side int

// The two ends.
const (
	A Side = iota
	B
)

// String returns "A" or "B".
func (s Side) String() string {
	if s == B {
		return "B"
	}
	return "A"
}

// Config describes a link. The zero value is a perfect one.
type Config struct {
	// Impairment is what happens to packets, each way alike.
	Impairment

	// Back is what happens from B to A, if that differs. Default: nil, alike.
	Back *Impairment

	// Seed makes losses and jitter repeat: the n-th packet of a direction
	// meets the same fate with the same seed. Default: 0.
	Seed uint64

	// MTU of the two devices in bytes, 576 to 65535. Default: 1500.
	MTU int

	// Device are the names of the two devices, up to 15 bytes: several links
	// may end in one namespace. Default: link0 on either side.
	Device [2]string

	// Addr are the IPv4 addresses of A and B with their common prefix.
	// Default: 10.77.0.1/24 and 10.77.0.2/24.
	Addr [2]netip.Prefix

	// Unnumbered gives the devices no address at all, whatever Addr says, and
	// leaves IPv6 on: who made the link sets addresses and routes, and IPv4
	// and IPv6 cross it. Default: false.
	Unnumbered bool

	// Namespace are the paths of existing network namespaces to join, such
	// as /run/netns/NAME. Default: two new ones of the link's own.
	Namespace [2]string
}

// Impairment is what happens to the packets of one direction. They are lost
// first, then queued behind the rate, then delayed, jittered and stalled.
type Impairment struct {
	// Delay is the time from one end to the other. Default: 0.
	Delay time.Duration

	// Jitter is the mean of an exponentially distributed delay on top.
	// Default: 0.
	Jitter time.Duration

	// Reorder lets jitter change the order of packets; otherwise a packet
	// never arrives before the one sent before it. Default: false.
	Reorder bool

	// Loss is the share of packets that are lost, 0 to 1. Default: 0.
	Loss float64

	// Burst is the mean number of packets lost in a row, after Gilbert
	// ("Capacity of a Burst-Noise Channel", BSTJ 39, 1960) with everything
	// lost in the bad state. Up to 1, losses are independent. Default: 0.
	Burst float64

	// Rate is the link's speed in bits per second of IP packets.
	// Default: 0, unlimited.
	Rate float64

	// Queue bounds the wait behind Rate; a packet that would wait longer is
	// dropped. Default: 200 ms.
	Queue time.Duration

	// Stall is how long, once every StallEvery, nothing is delivered; what
	// would have arrived then arrives at its end. The first begins one
	// StallEvery after the link is up. Default: 0, never.
	Stall time.Duration

	// StallEvery is the time from one stall to the next. Default: 5 s.
	StallEvery time.Duration
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.MTU == 0 {
		c.MTU = 1500
	}
	for side := range c.Device {
		if c.Device[side] == "" {
			c.Device[side] = "link0"
		}
	}
	for side, text := range []string{"10.77.0.1/24", "10.77.0.2/24"} {
		if !c.Addr[side].IsValid() {
			c.Addr[side] = netip.MustParsePrefix(text)
		}
	}
	return c
}

// check reports the first field that is out of range.
func (c Config) check() error {
	if c.MTU < 576 || c.MTU > 65535 {
		return fmt.Errorf("%w: MTU %d", ErrConfig, c.MTU)
	}
	for _, name := range c.Device {
		if len(name) > 15 || strings.ContainsAny(name, "/: \t\n%") {
			return fmt.Errorf("%w: %q can't name a device", ErrConfig, name)
		}
	}
	if !c.Addr[A].Addr().Is4() || !c.Addr[B].Addr().Is4() || c.Addr[A].Masked() != c.Addr[B].Masked() {
		return fmt.Errorf("%w: addresses %v and %v are not of one IPv4 prefix", ErrConfig, c.Addr[A], c.Addr[B])
	}
	if err := c.Impairment.check(); err != nil {
		return err
	}
	if c.Back == nil {
		return nil
	}
	return c.Back.check()
}

// ways returns the impairments from A and from B.
func (c Config) ways() [2]Impairment {
	if c.Back == nil {
		return [2]Impairment{c.Impairment, c.Impairment}
	}
	return [2]Impairment{c.Impairment, *c.Back}
}

func (i Impairment) withDefaults() Impairment {
	if i.Queue == 0 {
		i.Queue = 200 * time.Millisecond
	}
	if i.StallEvery == 0 {
		i.StallEvery = 5 * time.Second
	}
	return i
}

func (i Impairment) check() error {
	i = i.withDefaults()
	switch {
	case i.Delay < 0 || i.Jitter < 0 || i.Queue < 0 || i.Stall < 0:
		return fmt.Errorf("%w: negative duration", ErrConfig)
	case !(i.Loss >= 0 && i.Loss <= 1):
		return fmt.Errorf("%w: loss %v is no share", ErrConfig, i.Loss)
	case !(i.Burst >= 0 && i.Rate >= 0):
		return fmt.Errorf("%w: burst %v, rate %v", ErrConfig, i.Burst, i.Rate)
	case i.Burst > 1 && i.Loss < 1 && i.Loss > i.Burst*(1-i.Loss):
		// One packet between bursts at least.
		return fmt.Errorf("%w: loss %v can't come in bursts of %v", ErrConfig, i.Loss, i.Burst)
	case i.Stall > 0 && i.StallEvery <= i.Stall:
		return fmt.Errorf("%w: a stall of %v every %v", ErrConfig, i.Stall, i.StallEvery)
	}
	return nil
}
