package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/session"
)

// aim is to whom we speak: what --speak and the commands speak and whisper say.
type aim struct {
	named bool // from the first call of at on; before, it is everyone
	open  []*session.Channel
}

// at speaks to these targets, and to no others any more. What was said to one of
// the former ones too isn't interrupted: the new channels are open before the old
// ones are closed. Without a target nobody is spoken to.
func (a *aim) at(voice *session.Session, targets ...session.Target) error {
	silent := len(targets) == 0
	if silent {
		targets = []session.Target{session.Everyone()} // from the first channel on only channels count
	}
	var open []*session.Channel
	for _, to := range targets {
		c, err := voice.Speak(to)
		if err != nil {
			closeAll(open)
			return err
		}
		open = append(open, c)
	}
	closeAll(a.open)
	if silent {
		closeAll(open)
		open = nil
	}
	a.named, a.open = true, open
	return nil
}

// String says in words to whom we speak.
func (a *aim) String() string {
	var to []string
	for _, c := range a.open {
		to = append(to, c.Target().String())
	}
	switch {
	case !a.named:
		return "to everyone"
	case len(to) == 0:
		return "to nobody"
	}
	return strings.Join(to, ", ")
}

func closeAll(channels []*session.Channel) {
	for _, c := range channels {
		c.Close()
	}
}

// enterRooms does what --hear and --speak say.
func (d *door) enterRooms() error {
	for _, room := range d.opt.hear {
		if err := d.voice.Listen(room); err != nil {
			return fmt.Errorf("--hear: %w", err)
		}
	}
	if len(d.opt.speak) == 0 {
		return nil
	}
	var targets []session.Target
	for _, room := range d.opt.speak {
		targets = append(targets, session.Room(room))
	}
	if err := d.aim.at(d.voice.Session, targets...); err != nil {
		return fmt.Errorf("--speak: %w", err)
	}
	return nil
}

// roomCommand does what was typed about rooms and whispers, and returns what to
// answer. The rest of a line is a room's name, which may have spaces in it.
func (d *door) roomCommand(line string) (answer string, known bool) {
	verb, rest, _ := strings.Cut(line, " ")
	what, name, _ := strings.Cut(strings.TrimSpace(rest), " ")
	name = strings.TrimSpace(name)
	var err error
	switch {
	case verb == "rooms" && rest == "":
	case verb == "hear" && what == "room":
		err = d.voice.Listen(name)
	case verb == "hear" && what == "all" && name == "":
		d.voice.ListenToAll()
	case verb == "leave" && what == "room":
		err = d.voice.Leave(name)
	case verb == "speak" && what == "room":
		err = d.aim.at(d.voice.Session, session.Room(name))
	case verb == "speak" && what == "all" && name == "":
		err = d.aim.at(d.voice.Session, session.Everyone())
	case verb == "speak" && what == "nobody" && name == "":
		err = d.aim.at(d.voice.Session)
	case verb == "whisper" && what != "" && name == "":
		err = d.whisper(what)
	case slices.Contains([]string{"rooms", "hear", "leave", "speak", "whisper"}, verb):
		return fmt.Sprintf("%q? Type help.", line), true
	default:
		return "", false
	}
	if err != nil {
		return err.Error(), true
	}
	return d.places(), true
}

// whisper speaks to one peer alone.
func (d *door) whisper(who string) error {
	id, ok := d.find(who)
	if !ok {
		return errors.New(nobodyIs(who))
	}
	return d.aim.at(d.voice.Session, session.Whisper(id))
}

// places says in one line what is heard, and to whom we speak.
func (d *door) places() string {
	names, all := d.voice.Rooms()
	heard := "every room"
	if !all {
		heard = "no room"
		if len(names) > 0 {
			for i, name := range names {
				names[i] = fmt.Sprintf("%q", name)
			}
			heard = strings.Join(names, ", ")
		}
	}
	return fmt.Sprintf("you hear %s; you speak %v", heard, &d.aim)
}
