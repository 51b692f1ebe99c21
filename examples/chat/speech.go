package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// speech is to whom we speak: everyone, some rooms, or one peer alone, which
// puts the others off until it ends. What is written goes the same way.
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
	before := s.rooms
	s.rooms = slices.DeleteFunc(slices.Clone(s.rooms), func(r string) bool { return r == room })
	if on {
		s.rooms = append(s.rooms, room)
	}
	err := s.apply()
	if err != nil {
		s.rooms = before
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

// roomsCommand does what is typed about rooms, and returns the answer.
func (d *door) roomsCommand(word, room string) string {
	var err error
	switch word {
	case "hear":
		if room == "all" {
			d.voice.ListenToAll()
		} else {
			err = d.hear(room, true)
		}
	case "leave":
		err = d.hear(room, false)
	case "speak":
		if room == "all" {
			d.speech.rooms = nil
			err = d.speech.apply()
		} else {
			err = d.speech.setRoom(room, !slices.Contains(d.speech.rooms, room))
		}
	}
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
	if err := d.speech.setWhisper(id); err != nil {
		return err.Error()
	}
	return d.rooms()
}

// say writes to whom we speak to.
func (d *door) say(text string) error {
	v, ok := any(d.voice.Session).(interface {
		SendText(to session.Target, text string) error
	})
	if !ok {
		return errors.New("no texts yet")
	}
	var failed error
	for _, target := range d.speech.to() {
		failed = errors.Join(failed, v.SendText(target, text))
	}
	return failed
}
