package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// speech is to whom we speak: everyone, some rooms, or one peer alone, which
// puts the others off until it ends or we speak to a room. What is written goes the same way.
type speech struct {
	voice   *session.Session
	rooms   []string
	whisper identity.PeerID // empty if we don't whisper

	open  []*session.Channel
	begun bool // channels are used: without any open one nobody hears us
}

// to is whom we speak to now.
func (s *speech) to() []session.Target {
	switch {
	case s.whisper != "":
		return []session.Target{session.Whisper(s.whisper)}
	case len(s.rooms) == 0:
		return []session.Target{session.Everyone()}
	}
	targets := make([]session.Target, len(s.rooms))
	for i, room := range s.rooms {
		targets[i] = session.Room(room)
	}
	return targets
}

// setWhisper makes a peer the only one who hears us; an empty ID ends that. It
// goes on when that peer leaves: what was meant for one must not reach all.
func (s *speech) setWhisper(id identity.PeerID) error {
	before := s.whisper
	s.whisper = id
	err := s.apply()
	if err != nil {
		s.whisper = before
		err = errors.Join(err, s.apply())
	}
	return err
}

// setRoom begins or ends to speak to a room.
func (s *speech) setRoom(room string, on bool) error {
	rooms := slices.DeleteFunc(slices.Clone(s.rooms), func(r string) bool { return r == room })
	if on {
		rooms = append(rooms, room)
	}
	return s.setRooms(rooms)
}

// setRooms says to which rooms we speak, everyone if there are none. Who whispers
// no longer does.
func (s *speech) setRooms(rooms []string) error {
	before, whisper := s.rooms, s.whisper
	s.rooms, s.whisper = rooms, ""
	err := s.apply()
	if err != nil {
		s.rooms, s.whisper = before, whisper
		err = errors.Join(err, s.apply())
	}
	return err
}

// apply opens and closes channels. Those to too many people are closed before
// another is opened: a word less is better than one that the wrong ones hear.
func (s *speech) apply() error {
	want := s.to()
	if !s.begun && slices.Equal(want, []session.Target{session.Everyone()}) {
		return nil // as it is from the start
	}
	s.open = slices.DeleteFunc(s.open, func(c *session.Channel) bool {
		unwanted := !slices.Contains(want, c.Target())
		if unwanted {
			c.Close()
		}
		return unwanted
	})
	for _, target := range want {
		if slices.ContainsFunc(s.open, func(c *session.Channel) bool { return c.Target() == target }) {
			continue
		}
		c, err := s.voice.Speak(target)
		if err != nil {
			return err
		}
		s.open, s.begun = append(s.open, c), true
	}
	return nil
}

// hear begins or ends to hear a room.
func (d *door) hear(room string, on bool) error {
	if on {
		return d.voice.Listen(room)
	}
	return d.voice.Leave(room)
}

// enterRooms does what --hear and --speak ask for.
func (d *door) enterRooms() error {
	for _, room := range d.opt.hear {
		if err := d.hear(room, true); err != nil {
			return fmt.Errorf("--hear %q: %w", room, err)
		}
	}
	for _, room := range d.opt.speak {
		if err := d.speech.setRoom(room, true); err != nil {
			return fmt.Errorf("--speak %q: %w", room, err)
		}
	}
	return nil
}

// hearCommand, leaveCommand and speakCommand do what is typed about rooms, and
// return the answer.
func (d *door) hearCommand(room string) string {
	if room == "all" {
		d.voice.ListenToAll()
		return d.rooms()
	}
	return d.roomsOr(d.hear(room, true))
}

func (d *door) leaveCommand(room string) string { return d.roomsOr(d.hear(room, false)) }

func (d *door) speakCommand(room string) string {
	if room == "all" {
		return d.roomsOr(d.speech.setRooms(nil))
	}
	return d.roomsOr(d.speech.setRoom(room, !slices.Contains(d.speech.rooms, room)))
}

// roomsOr says how things are now, or what went wrong.
func (d *door) roomsOr(err error) string {
	if err != nil {
		return err.Error()
	}
	return d.rooms()
}

// rooms says what is heard and where we speak.
func (d *door) rooms() string {
	heard, all := d.voice.Rooms()
	what := "to everyone and to you alone"
	if len(heard) > 0 {
		what += fmt.Sprintf(", and in %q", heard)
	}
	if all {
		what += ", and in any room"
	}
	to := make([]string, 0, 1)
	for _, target := range d.speech.to() {
		if id, ok := target.Peer(); ok {
			to = append(to, "to "+d.call(id)+" alone")
		} else {
			to = append(to, target.String())
		}
	}
	return fmt.Sprintf("you hear what is said %s; you speak %s", what, strings.Join(to, " and "))
}

// whisperTo begins to whisper to a peer, or ends that.
func (d *door) whisperTo(id identity.PeerID) string {
	if d.speech.whisper == id {
		id = ""
	}
	return d.roomsOr(d.speech.setWhisper(id))
}

// say writes to whom we speak to.
func (d *door) say(text string) (err error) {
	for _, target := range d.speech.to() {
		err = errors.Join(err, d.voice.SendText(target, text))
	}
	return err
}

func (d *door) sayCommand(text string) string {
	if err := d.say(text); err != nil {
		return err.Error()
	}
	return "said"
}

// read shows a text that somebody wrote.
func (d *door) read(e session.TextReceived) {
	from := d.call(e.Peer)
	if room, ok := e.To.Room(); ok {
		from += fmt.Sprintf(" in %q", room)
	} else if _, ok := e.To.Peer(); ok {
		from += " to you alone"
	}
	if screen, ok := d.out.(*tui.Screen); ok {
		screen.Hear(from, e.Text)
		return
	}
	for line := range strings.SplitSeq(e.Text, "\n") {
		d.printf("%s: %s\n", from, tui.Clean(line))
	}
}
