package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/identity"
)

const (
	maxGuests     = 64              // peers that are here and not on the command line
	guestPatience = 2 * time.Minute // for a guest that can't be reached
	maxKnocks     = 64              // knocks that wait for an answer: a later one takes the place of the first
	maxNames      = 1024            // names and fingerprints that are remembered
)

// door lets peers in, and takes those off the list who went. A lobby would do
// both; here it is the command line, and who knocks. All is called from one
// goroutine at a time: see attend.
type door struct {
	opt   *options
	voice *parley.Voice
	stats *statsWriter
	out   io.Writer

	speech speech  // to whom we speak
	keeper *keeper // nil if nothing is kept

	members map[identity.PeerID]bool // who is in the lobby's room
	guests  map[identity.PeerID]*guest
	knocks  []identity.PeerID // who waits for an answer
	names   map[identity.PeerID]string
	numbers map[identity.PeerID]string // pair fingerprints, which take some milliseconds each
}

// guest is somebody who is here without being on the command line.
type guest struct {
	away time.Time // since when it can't be reached; zero if it can
}

func newDoor(opt *options, voice *parley.Voice, stats *statsWriter, out io.Writer) *door {
	return &door{
		opt: opt, voice: voice, stats: stats, out: out, speech: speech{voice: voice.Session},
		members: map[identity.PeerID]bool{},
		guests:  map[identity.PeerID]*guest{}, names: map[identity.PeerID]string{}, numbers: map[identity.PeerID]string{},
	}
}

// admit tells Parley that somebody takes part. It is the second of the four
// calls.
func (d *door) admit(id identity.PeerID) error {
	d.forgetKnock(id)
	if !d.listed(id) && d.guests[id] == nil {
		if len(d.guests) >= maxGuests {
			return fmt.Errorf("%d guests are here already", len(d.guests))
		}
		d.guests[id] = &guest{away: time.Now()}
	}
	err := d.voice.PeerJoined(id)
	if err != nil {
		delete(d.guests, id)
	}
	return err
}

// dismiss tells Parley that somebody takes part no more. It is the third of the
// four calls.
func (d *door) dismiss(id identity.PeerID) error {
	d.stats.left(id)
	delete(d.guests, id)
	return d.voice.PeerLeft(id)
}

// reachable, away and gone follow what becomes of peers. Who is on the command
// line stays on the list and may come back; a guest has to knock again.
func (d *door) reachable(id identity.PeerID, name string) {
	if g := d.guests[id]; g != nil {
		g.away = time.Time{}
	}
	if len(d.names) < maxNames {
		d.names[id] = name
	}
}

func (d *door) away(id identity.PeerID) {
	if g := d.guests[id]; g != nil && g.away.IsZero() {
		g.away = time.Now()
	}
}

func (d *door) gone(id identity.PeerID) {
	if d.guests[id] == nil {
		return
	}
	if err := d.dismiss(id); err != nil {
		d.printf("* %s can't be taken off the list: %v\n", d.call(id), err)
	}
}

// look takes guests off the list who have been away for too long.
func (d *door) look(now time.Time) {
	for id, g := range d.guests {
		if !g.away.IsZero() && now.Sub(g.away) > guestPatience {
			d.printf("* %s has been away for too long\n", d.call(id))
			d.gone(id)
		}
	}
}

func (d *door) listed(id identity.PeerID) bool {
	return d.members[id] || slices.ContainsFunc(d.opt.peers, func(p identity.Peer) bool { return p.ID == id })
}

// knock answers somebody who isn't on the list; not who is blocked.
func (d *door) knock(id identity.PeerID) {
	if d.voice.PeerBlocked(id) {
		return
	}
	switch d.opt.accept {
	case "any":
		if err := d.admit(id); err != nil {
			d.printf("* %s knocked and can't be let in: %v\n", id, err)
		}
	case "ask":
		d.forgetKnock(id)
		if len(d.knocks) == maxKnocks {
			d.knocks = d.knocks[1:]
		}
		d.knocks = append(d.knocks, id)
		if d.opt.screen {
			d.printf("* %s knocks\n", d.call(id))
			return
		}
		d.printf("* %s knocks; type: let %s\n  If you both see these numbers, nobody is in between: %s\n", d.call(id), tail(id), d.number(id))
	default:
		d.printf("* %s knocked and isn't listed\n", id)
	}
}

func (d *door) forgetKnock(id identity.PeerID) {
	d.knocks = slices.DeleteFunc(d.knocks, func(k identity.PeerID) bool { return k == id })
}

// let lets in who knocked, by name or the end of the ID, or anybody by the whole
// ID.
func (d *door) let(text string) string {
	id, err := identity.ParsePeerID(text)
	if err != nil {
		found := slices.DeleteFunc(slices.Clone(d.knocks), func(id identity.PeerID) bool { return !d.meant(id, text) })
		if len(found) != 1 {
			return fmt.Sprintf("%d of those who knocked are called %q", len(found), text)
		}
		id = found[0]
	}
	if err := d.admit(id); err != nil {
		return err.Error()
	}
	return "let in"
}

// find returns who is here and called that.
func (d *door) find(text string) (found identity.PeerID, ok bool) {
	n := 0
	for _, id := range d.voice.Peers() {
		if d.meant(id, text) {
			found = id
			n++
		}
	}
	return found, n == 1
}

// meant tells whether a name or the end of an ID, with or without the dots that
// call puts before it, means a peer.
func (d *door) meant(id identity.PeerID, text string) bool {
	end := strings.TrimPrefix(text, "…")
	return d.names[id] == text || end != "" && strings.HasSuffix(id.String(), end)
}

// call is what people see of a peer: its own name is not verified, so a part of
// its ID goes with it.
func (d *door) call(id identity.PeerID) string {
	if name := d.names[id]; name != "" {
		return fmt.Sprintf("%q (…%s)", name, tail(id))
	}
	return "…" + tail(id)
}

func tail(id identity.PeerID) string {
	text := id.String()
	return text[max(0, len(text)-6):]
}

// number is what two people compare to be sure of each other.
func (d *door) number(id identity.PeerID) string {
	n, ok := d.numbers[id]
	if !ok {
		n = identity.PairFingerprint(d.voice.Self(), id)
		if len(d.numbers) < maxNames {
			d.numbers[id] = n
		}
	}
	return n
}

func (d *door) printf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }
