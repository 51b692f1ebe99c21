package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// aim is to whom we speak: everyone, some rooms, or one peer alone, which puts the
// others off until it ends or we speak in a room.
type aim struct {
	rooms   []string
	whisper identity.PeerID // empty if we don't whisper

	open []*session.Channel
}

// targets is to whom we speak now.
func (a *aim) targets() (targets []session.Target) {
	switch {
	case a.whisper != "":
		return []session.Target{session.Whisper(a.whisper)}
	case len(a.rooms) == 0:
		return []session.Target{session.Everyone()}
	}
	for _, room := range a.rooms {
		targets = append(targets, session.Room(room))
	}
	return targets
}

// at speaks to these rooms, or to this peer alone. It is as before if that fails.
func (a *aim) at(voice *session.Session, rooms []string, whisper identity.PeerID) error {
	before := *a
	a.rooms, a.whisper, a.open = rooms, whisper, nil
	for _, to := range a.targets() {
		c, err := voice.Speak(to)
		if err != nil {
			closeAll(a.open)
			*a = before
			return err
		}
		a.open = append(a.open, c)
	}
	closeAll(before.open) // what goes to the same listener goes on without a gap
	return nil
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
	if err := d.aim.at(d.voice.Session, d.opt.speak, ""); err != nil {
		return fmt.Errorf("--speak: %w", err)
	}
	return nil
}

// roomCommand does what was typed about rooms and whispers, and returns what to
// answer. The rest of a line is a room's name, which may have spaces in it.
func (d *door) roomCommand(line string) (answer string, known bool) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	v := d.voice.Session
	var err error
	switch {
	case !slices.Contains([]string{"rooms", "hear", "leave", "speak", "whisper"}, verb):
		return "", false
	case verb == "rooms" && rest == "":
	case verb == "rooms" || rest == "":
		return fmt.Sprintf("%q? Type help.", line), true
	case verb == "hear" && rest == "all":
		v.ListenToAll()
	case verb == "hear":
		err = v.Listen(rest)
	case verb == "leave":
		err = v.Leave(rest)
	case verb == "speak" && rest == "all":
		err = d.aim.at(v, nil, "")
	case verb == "speak":
		err = d.aim.at(v, toggled(d.aim.rooms, rest), "")
	case verb == "whisper":
		id, ok := d.find(rest)
		if !ok {
			return nobodyIs(rest), true
		}
		if id == d.aim.whisper {
			id = ""
		}
		err = d.aim.at(v, d.aim.rooms, id)
	}
	if err != nil {
		return err.Error(), true
	}
	return d.places(), true
}

// toggled is a list with a room in it if it wasn't, or without.
func toggled(rooms []string, room string) []string {
	if without := slices.DeleteFunc(slices.Clone(rooms), func(r string) bool { return r == room }); len(without) < len(rooms) {
		return without
	}
	return append(slices.Clone(rooms), room)
}

// places says in one line what is heard, and to whom we speak.
func (d *door) places() string {
	names, all := d.voice.Rooms()
	heard := "every room"
	if !all {
		heard = fmt.Sprintf("rooms %q", names)
	}
	var spoken []string
	for _, to := range d.aim.targets() {
		spoken = append(spoken, to.String())
	}
	return fmt.Sprintf("you hear %s; you speak %s", heard, strings.Join(spoken, " and "))
}
