package server

import (
	"log/slog"
	"time"
)

// Config is how a lobby runs. The zero value is the good default.
type Config struct {
	Limits Limits

	// Relay says to members that the lobby's host relays circuits.
	Relay bool

	// Logger receives what happens: joins and leaves at debug level, refusals
	// at info level, at most one line a second and reason. Default none.
	Logger *slog.Logger
}

// Limits bound what peers can do. Each zero is the default, each negative
// number no limit. An address is an IPv4 address or an IPv6 /64: many members
// may share one behind a NAT, so limits for it are wide.
type Limits struct {
	Members     int // in the lobby, each room that a peer is in counted; default 8192
	RoomMembers int // in a room; default 256

	PeerRooms    int // rooms that a peer is in; default 8
	AddressRooms int // sum of that over the peers at an address; default 1024

	// Different room codes tried in a minute, by which codes could be guessed:
	// defaults 12 and 120.
	PeerCodes, AddressCodes int

	// Joins in a minute, of whatever room: defaults 60 and 3000.
	PeerJoins, AddressJoins int

	// Messages and bytes in a second, on average over 5 s: defaults 20 and
	// 2000, 16 KiB and 1 MiB.
	PeerMessages, AddressMessages int
	PeerBytes, AddressBytes       int

	// Updates in a minute, each of which goes to the whole room: default 30.
	PeerUpdates int

	// Streams on which nobody has joined yet: defaults 8 and 256.
	PeerHalfOpen, AddressHalfOpen int
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		n    *int
		dflt int
	}{
		{&l.Members, 8192},
		{&l.RoomMembers, 256},
		{&l.PeerRooms, 8},
		{&l.AddressRooms, 1024},
		{&l.PeerCodes, 12},
		{&l.AddressCodes, 120},
		{&l.PeerJoins, 60},
		{&l.AddressJoins, 3000},
		{&l.PeerMessages, 20},
		{&l.AddressMessages, 2000},
		{&l.PeerBytes, 16 << 10},
		{&l.AddressBytes, 1 << 20},
		{&l.PeerUpdates, 30},
		{&l.PeerHalfOpen, 8},
		{&l.AddressHalfOpen, 256},
	} {
		switch {
		case *f.n == 0:
			*f.n = f.dflt
		case *f.n < 0:
			*f.n = noLimit
		}
	}
	return l
}

const noLimit = 1 << 30

// The times of docs/lobby-protocol.md, section 5. They are counted in ticks of
// a running process, not by the clock: a lobby that was suspended and wakes up
// finds nobody silent.
const (
	tick         = 250 * time.Millisecond
	beatTicks    = 8  // 2 s without a message to a member: send a beat
	silenceTicks = 40 // 10 s without a message from a member: it vanished
	graceTicks   = 8  // 2 s for a member to come back when its stream ended

	joinTimeout  = 5 * time.Second        // from a stream's opening to its join
	writeTimeout = 8 * time.Second        // a frame that takes longer: the member is slow
	byeTimeout   = 500 * time.Millisecond // to say a last word, and to have it read
)

// The bounds of what waits to be written to a member. When one is exceeded the
// member is dropped as slow. A list of a full room with the largest records
// fits.
const (
	queueFrames = 1024
	queueBytes  = 5 << 19
)
