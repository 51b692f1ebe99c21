//go:build linux

package natlab

import "time"

// NAT is what a home router does to the packets of its hosts.
type NAT int

// The ways of translating addresses.
const (
	// PortPreserving keeps the port of a host as long as no other host has
	// taken it, whoever is spoken to: holes can be punched.
	PortPreserving NAT = iota

	// Symmetric takes another, random port for each destination.
	Symmetric

	// NoNAT gives the hosts public addresses, and filters nothing.
	NoNAT
)

// String names the kind in lower case.
func (n NAT) String() string {
	switch n {
	case PortPreserving:
		return "port-preserving NAT"
	case Symmetric:
		return "symmetric NAT"
	case NoNAT:
		return "no NAT"
	}
	return "unknown NAT"
}

// Family says which protocols a household has.
type Family int

// The families.
const (
	IPv4 Family = iota
	IPv6
	DualStack

	// BrokenIPv6 is DualStack whose IPv6 packets vanish in the internet:
	// addresses and default routes are there, and answers never come.
	BrokenIPv6
)

func (f Family) has4() bool { return f != IPv6 }
func (f Family) has6() bool { return f != IPv4 }

// Config describes an internet. The zero value is good.
type Config struct {
	// Delay is what a household's link takes each way. Default: 20 ms;
	// negative means none.
	Delay time.Duration

	// Seed makes what [Household.Impair] asks for repeat. Default: 0.
	Seed uint64
}

func (c Config) delay() time.Duration {
	switch {
	case c.Delay < 0:
		return 0
	case c.Delay == 0:
		return 20 * time.Millisecond
	}
	return c.Delay
}

// Home describes a household. The zero value has IPv4 behind a port-preserving
// NAT.
type Home struct {
	NAT    NAT
	Family Family

	// BlockUDP drops all UDP at the router, in and out. Default: false.
	BlockUDP bool
}

// Counters are what a household's router and the internet did to its packets
// since it was made, in IP packets.
type Counters struct {
	Out, In     uint64 // that crossed the link to the internet, and from it
	Direct      uint64 // sent to other households, whether they arrived or not
	Unsolicited uint64 // from the internet, dropped: no host had asked for them
	Hairpin     uint64 // from a host to a public address of its own router, dropped
	UDP         uint64 // dropped by BlockUDP
	Holed       uint64 // to other households, dropped by BlackHole
	BrokenIPv6  uint64 // dropped by the internet for BrokenIPv6
}
