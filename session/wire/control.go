package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

//go:generate protoc --go_out=. --go_opt=paths=source_relative control.proto

// Version is the version of the session's protocol that this package speaks,
// and OldestVersion the lowest one that it understands.
const (
	Version       = 1
	OldestVersion = 1
)

// Limits of what a control message may say, in bytes or elements.
const (
	MaxName         = 64
	MaxReason       = 128
	MaxCodecs       = 8
	MaxCapabilities = 32
	MaxAddresses    = 16
	MaxAddress      = 128
	MaxRooms        = 32  // that a message may join
	MaxRoomsLeft    = 64  // that a message may leave
	MaxRoomName     = 64  // and at least 1
	MaxToken        = 512 // so that it fits a message with some rooms
	MaxPart         = 800 // of a text or data, so that it fits with its head
	MaxText         = 4 << 10
	MaxData         = 16 << 10
	MaxTopic        = 64
	MaxSession      = 64  // name of a session, in what is signed
	MaxPeerID       = 64  // in rulings
	MaxSignature    = 128 // of a ruling

	MaxCoordinate = 1e100 // the amount of a coordinate
)

// What a Head calls the receiver alone, everyone, and a room.
const (
	HeadAlone uint32 = iota
	HeadEveryone
	HeadRoom
)

// Capabilities of a peer: it takes texts and data, rulings of moderators, and voice
// packets with more than two frames that are in no other.
const (
	Messages = "messages"
	Rulings  = "rulings"
	Bundles  = "bundles"
)

// PartWindow is how many parts of texts and data a peer takes beyond those that it
// said it took.
const PartWindow = 8

// Errors of control messages. They are wrapped, so compare with errors.Is.
var (
	ErrControlFormat = errors.New("wire: malformed control message")
	ErrControlLimit  = errors.New("wire: control message exceeds a limit")
)

// Marshal returns the wire form of a control message.
func Marshal(m *Control) ([]byte, error) {
	if err := check(m); err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("wire: encode control message: %w", err)
	}
	return b, nil
}

// Unmarshal parses a control message that may come from a hostile or a newer
// peer: unknown fields are ignored, and a message of an unknown kind has a nil
// Kind. The result doesn't alias b.
func Unmarshal(b []byte) (*Control, error) {
	m := new(Control)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrControlFormat, err)
	}
	if err := check(m); err != nil {
		return nil, err
	}
	return m, nil
}

func check(m *Control) error {
	if h := m.GetHello(); h != nil {
		if len(h.GetName()) > MaxName || len(h.GetCodecs()) > MaxCodecs || len(h.GetCapabilities()) > MaxCapabilities || len(h.GetLanAddresses()) > MaxAddresses {
			return fmt.Errorf("%w: hello", ErrControlLimit)
		}
		for _, a := range h.GetLanAddresses() {
			if len(a) > MaxAddress {
				return fmt.Errorf("%w: address of %d bytes", ErrControlLimit, len(a))
			}
		}
	}
	if len(m.GetBye().GetReason()) > MaxReason {
		return fmt.Errorf("%w: reason of %d bytes", ErrControlLimit, len(m.GetBye().GetReason()))
	}
	if err := checkPart(m.GetPart()); err != nil {
		return err
	}
	if err := checkRuling(m.GetRuling()); err != nil {
		return err
	}
	if err := checkPose(m.GetPose()); err != nil {
		return err
	}
	return checkRooms(m.GetRooms())
}

func checkPose(p *Pose) error {
	for _, x := range []float64{p.GetX(), p.GetY(), p.GetZ()} {
		if !(math.Abs(x) <= MaxCoordinate) {
			return fmt.Errorf("%w: coordinate %g", ErrControlLimit, x)
		}
	}
	return nil
}

func checkPart(p *Part) error {
	if len(p.GetBody()) > MaxPart {
		return fmt.Errorf("%w: part of %d bytes", ErrControlLimit, len(p.GetBody()))
	}
	h := p.GetHead()
	if h == nil {
		return nil
	}
	room, limit := len(h.GetRoom()), uint32(MaxText)
	if h.GetData() {
		limit = MaxData
	}
	switch {
	case h.GetTarget() > HeadRoom, room > MaxRoomName, (room > 0) != (h.GetTarget() == HeadRoom):
		return fmt.Errorf("%w: message to target %d, room of %d bytes", ErrControlLimit, h.GetTarget(), room)
	case len(h.GetTopic()) > MaxTopic, h.GetTopic() != "" && !h.GetData():
		return fmt.Errorf("%w: topic of %d bytes", ErrControlLimit, len(h.GetTopic()))
	case h.GetLength() > limit, h.GetLength() == 0 && !h.GetData():
		return fmt.Errorf("%w: message of %d bytes", ErrControlLimit, h.GetLength())
	}
	return nil
}

func checkRooms(r *Rooms) error {
	if len(r.GetJoined()) > MaxRooms || len(r.GetLeft()) > MaxRoomsLeft || len(r.GetToken()) > MaxToken {
		return fmt.Errorf("%w: rooms", ErrControlLimit)
	}
	for _, room := range r.GetJoined() {
		if n := len(room.GetName()); n == 0 || n > MaxRoomName {
			return fmt.Errorf("%w: room with a name of %d bytes", ErrControlLimit, n)
		}
		if room.GetNumber() > MaxRoomNumber {
			return fmt.Errorf("%w: room with number %d", ErrControlLimit, room.GetNumber())
		}
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

// Clean makes a text of a peer fit to be shown to people, at a terminal too, in
// at most limit bytes: what can't be printed, control characters and those that
// turn the direction of writing among them, is replaced by U+FFFD.
func Clean(text string, limit int) string {
	return Clip(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text), limit)
}

// CleanText makes a message of a peer fit to be shown to people, at a terminal
// too: new lines, tabs, all spaces and the joiners and marks that scripts and
// emoji need stay; what else can't be printed is replaced by U+FFFD, control
// characters and those that turn the direction of writing of what follows among
// them. A line ends in "\n".
func CleanText(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r >= 0x200c && r <= 0x200f, unicode.IsPrint(r), unicode.Is(unicode.Zs, r):
			return r
		}
		return utf8.RuneError
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}
