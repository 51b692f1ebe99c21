package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/identity"
)

// runScreen is runTerminal with a screen, to whose goroutine the door belongs
// while it is shown.
func runScreen(ctx context.Context, lobby *lobby, d *door, invite string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	screen := tui.New(tui.Config{
		Chat:   newDesk(d),
		Invite: d.ways(invite),
		Copy:   invite,
	})
	d.out = screen
	fmt.Fprintln(screen, "You are in. ? lists the keys.")
	for _, note := range d.opt.notes.divert(screen.Note) {
		fmt.Fprintln(screen, note)
	}
	defer d.opt.notes.divert(nil)
	var attending sync.WaitGroup
	attending.Go(func() {
		d.attend(ctx, lobby, screen.Do, nil)
		cancel()
	})
	err := screen.Run(ctx)
	cancel()
	attending.Wait()
	d.out = io.Discard // there is nothing to tell any more
	return err
}

// ways says how others reach us, in paragraphs.
func (d *door) ways(invite string) (paragraphs []string) {
	if d.opt.room != "" {
		paragraphs = append(paragraphs, "Others meet you in this room of the lobby: "+d.opt.room)
	}
	if invite != "" {
		paragraphs = append(paragraphs, "Or give this to another, for chat --peer:", invite)
	}
	paragraphs = append(paragraphs, "Your fingerprint: "+identity.Fingerprint(d.voice.Self()))
	var addrs strings.Builder
	for _, a := range d.voice.Node().Addrs() {
		fmt.Fprintf(&addrs, "%s/p2p/%s\n", a, d.voice.Self())
	}
	if addrs.Len() > 0 {
		paragraphs = append(paragraphs, "Or one of your addresses:\n"+strings.TrimRight(addrs.String(), "\n"))
	}
	return paragraphs
}
