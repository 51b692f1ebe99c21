package lobbywire

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

//go:generate protoc --go_out=. --go_opt=paths=source_relative lobby.proto

// ProtocolID is the libp2p protocol of a member's stream to a lobby.
const ProtocolID = "/parley/lobby/1.0.0"

// Limits of what a message may say, in bytes or elements.
const (
	MinRoom     = 4
	MaxRoom     = 64
	MaxName     = 64
	MaxAddrs    = 32   // addresses in a record
	MaxRecord   = 8192 // a record
	MaxPeer     = 64   // a peer ID in binary form
	MaxText     = 128
	MaxMessage  = 16384 // a whole message
	MaxInstance = 32

	// MembersBytes is how much of a Members message is filled with members:
	// when one more would exceed it, the next message begins.
	MembersBytes = 12288
)

// Errors of messages. They are wrapped, so compare with errors.Is.
var (
	ErrFormat = errors.New("lobbywire: malformed message")
	ErrLimit  = errors.New("lobbywire: message exceeds a limit")
)

// Marshal returns the wire form of a message, without the frame around it.
func Marshal(m *Message) ([]byte, error) {
	if err := check(m); err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes", ErrLimit, len(b))
	}
	return b, nil
}

// Unmarshal parses a message that may come from a hostile or a newer program:
// unknown fields are ignored, and a message of an unknown kind has a nil Kind.
// The result doesn't alias b.
func Unmarshal(b []byte) (*Message, error) {
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes", ErrLimit, len(b))
	}
	m := new(Message)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := check(m); err != nil {
		return nil, err
	}
	return m, nil
}

// check applies the limits.
func check(m *Message) error {
	switch k := m.GetKind().(type) {
	case *Message_Join:
		if n := len(k.Join.GetRoom()); n < MinRoom || n > MaxRoom {
			return fmt.Errorf("%w: room code of %d bytes", ErrLimit, n)
		}
		return errors.Join(within("name", len(k.Join.GetName()), MaxName), within("record", len(k.Join.GetRecord()), MaxRecord))
	case *Message_Update:
		return within("record", len(k.Update.GetRecord()), MaxRecord)
	case *Message_Welcome:
		return within("instance", len(k.Welcome.GetInstance()), MaxInstance)
	case *Message_Members:
		for _, member := range k.Members.GetMembers() {
			if err := checkMember(member); err != nil {
				return err
			}
		}
	case *Message_Joined:
		return checkMember(k.Joined)
	case *Message_Updated:
		return checkMember(k.Updated)
	case *Message_Left:
		return within("peer ID", len(k.Left.GetPeer()), MaxPeer)
	case *Message_Bye:
		return within("text", len(k.Bye.GetText()), MaxText)
	}
	return nil
}

func checkMember(m *Member) error {
	return errors.Join(
		within("peer ID", len(m.GetPeer()), MaxPeer),
		within("name", len(m.GetName()), MaxName),
		within("record", len(m.GetRecord()), MaxRecord))
}

func within(what string, n, limit int) error {
	if n > limit {
		return fmt.Errorf("%w: %s of %d bytes", ErrLimit, what, n)
	}
	return nil
}

// Clip shortens a text to at most limit bytes without cutting a character, and
// makes it valid UTF-8.
func Clip(text string, limit int) string {
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
