package server

import (
	"maps"
	"sync"
)

// Reason is why something was refused or somebody dropped.
type Reason string

// The reasons.
const (
	HalfOpen     Reason = "half_open"     // too many streams without a join
	NoJoin       Reason = "no_join"       // a stream whose join didn't come, or not in time
	Malformed    Reason = "malformed"     // bytes that are no message, or one above a limit
	Unexpected   Reason = "unexpected"    // a message that isn't legal there
	BadRecord    Reason = "bad_record"    // a record that the peer didn't sign, or an old one
	LobbyFull    Reason = "lobby_full"    // too many members in the lobby
	RoomFull     Reason = "room_full"     // too many members in the room
	PeerRooms    Reason = "peer_rooms"    // too many rooms for the peer
	AddressRooms Reason = "address_rooms" // too many for its address
	PeerCodes    Reason = "peer_codes"    // too many codes tried by the peer
	AddressCodes Reason = "address_codes" // too many from its address
	PeerJoins    Reason = "peer_joins"    // too many joins of the peer
	AddressJoins Reason = "address_joins" // too many from its address
	Messages     Reason = "messages"      // too many messages
	Bytes        Reason = "bytes"         // too many bytes
	Updates      Reason = "updates"       // too many updates
	Strangers    Reason = "strangers"     // more peers and addresses than are kept count of
	Slow         Reason = "slow"          // a member that doesn't read
)

// Stats is what a lobby counted since it began, and how many are in it.
type Stats struct {
	Members, Rooms           int
	HalfOpen                 int // streams on which nobody has joined yet
	Joins, Resumed           uint64
	Left, Vanished, Silent   uint64 // Silent are those of Vanished that a heartbeat found
	Replaced                 uint64 // streams that another one of the same member replaced
	Updates                  uint64
	MessagesIn, BytesIn      uint64
	MessagesOut, BytesOut    uint64
	Refused                  map[Reason]uint64
	OwnConnections           int // members on a connection of their own
	KnownPeers, KnownAddress int // of whom limits are kept
}

// counters are the part of Stats that is counted up.
type counters struct {
	mu sync.Mutex // guards s
	s  Stats
}

func (c *counters) add(f func(s *Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.s)
}

// refused counts one, and returns how many there were of that reason.
func (c *counters) refused(r Reason) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s.Refused == nil {
		c.s.Refused = map[Reason]uint64{}
	}
	c.s.Refused[r]++
	return c.s.Refused[r]
}

func (c *counters) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	s.Refused = maps.Clone(s.Refused)
	return s
}

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{
		HalfOpen, NoJoin, Malformed, Unexpected, BadRecord, LobbyFull, RoomFull, PeerRooms, AddressRooms,
		PeerCodes, AddressCodes, PeerJoins, AddressJoins, Messages, Bytes, Updates, Strangers, Slow,
	}
}
