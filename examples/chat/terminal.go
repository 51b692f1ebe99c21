package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// runTerminal tells what happens, does what is typed, and writes statistics,
// until the time is over. It does so with a screen, with lines, or headless.
func runTerminal(ctx context.Context, lobby *lobby, door *door, invite string) error {
	switch {
	case door.opt.screen:
		return runScreen(ctx, lobby, door, invite)
	case door.opt.stdin:
		door.attend(ctx, lobby, atOnce, readLines())
	case door.opt.headless:
		door.attend(ctx, lobby, atOnce, nil)
	default:
		fmt.Println("You are in. Type help for what you can do.")
		fmt.Println("Your fingerprint:", identity.Fingerprint(door.voice.Self()))
		door.attend(ctx, lobby, atOnce, readLines())
	}
	return nil
}

// atOnce does what attend has to do, in its goroutine.
func atOnce(f func()) bool {
	f()
	return true
}

// attend follows the conversation until ctx or what is typed ends it. do does
// what has to do with the door, in the goroutine to which the door belongs; it
// returns false if that has ended.
func (d *door) attend(ctx context.Context, lobby *lobby, do func(func()) bool, lines <-chan string) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for on := true; on; {
		select {
		case <-ctx.Done():
			return
		case now := <-second.C:
			on = do(func() {
				d.stats.write(now)
				d.look(now)
				d.keep()
			})
		case e, ok := <-d.voice.Events():
			if !ok {
				return
			}
			on = do(func() { d.tell(e) })
		case e, ok := <-lobby.events():
			if !ok {
				lobby.ended()
				continue
			}
			on = do(func() { d.follow(e) })
		case line, ok := <-lines:
			if !ok {
				lines = nil // no terminal any more: go on talking
				continue
			}
			if line == "quit" {
				return
			}
			do(func() {
				if answer := d.command(line); answer != "" {
					fmt.Println(answer)
				}
				d.keep()
			})
		}
	}
}

// moderated says what a moderator decided.
func (d *door) moderated(e session.Moderated) string {
	whom, by := d.call(e.Peer), "a moderator"
	if e.Peer == d.voice.Self() {
		whom = "you"
	}
	switch {
	case e.By == d.voice.Self():
		by = "you"
	case e.By != "":
		by = d.call(e.By)
	}
	if !e.Muted {
		return whom + " may be heard by all again"
	}
	said := by + " muted " + whom + " for all"
	if e.Reason != "" {
		said += fmt.Sprintf(": %q", e.Reason)
	}
	return said
}

// readLines reads the terminal until it ends; the goroutine ends with the
// program.
func readLines() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			lines <- strings.TrimSpace(in.Text())
		}
	}()
	return lines
}

// tell says in words what happened.
func (d *door) tell(e session.Event) {
	switch e := e.(type) {
	case session.PeerReachable:
		d.reachable(e.Peer, e.Name)
		d.printf("* %s is here (%s, %s)\n", d.call(e.Peer), e.Path.Kind, e.Path.Transport)
	case session.PeerUnreachable:
		d.printf("* %s can't be reached: %s\n", d.call(e.Peer), e.Reason)
		d.away(e.Peer)
	case session.PeerGone:
		d.printf("* %s took leave\n", d.call(e.Peer))
		d.gone(e.Peer)
	case session.PeerIncompatible:
		d.printf("* %s can't talk to us: %s\n", d.call(e.Peer), e.Reason)
	case session.PathChanged:
		d.printf("* %s is reached another way: %s, %s\n", d.call(e.Peer), e.To.Kind, e.To.Transport)
	case session.PeerState:
		d.printf("* %s: muted %t, deafened %t\n", d.call(e.Peer), e.Muted, e.Deafened)
	case session.PeerRecording:
		d.printf("* %s %s\n", d.call(e.Peer), either("", e.Recording, "records what it hears", "doesn't record any more"))
	case session.Moderated:
		d.printf("* %s\n", d.moderated(e))
	case session.DeviceChanged:
		d.printf("* the %s %s\n", e.Device, either("", e.Working, "works again", "doesn't work: "+e.Reason))
	case session.SourceEnded:
		d.printf("* the source has ended; still listening\n")
	case session.TalkingWhileMuted:
		d.printf("* you are talking, and muted: %s to be heard\n", either("", d.opt.screen, "m", "type mute"))
	case session.TextReceived:
		d.read(e)
	case session.Knocked:
		d.knock(e.Peer)
	case session.Speaking:
		// Shown by "who": a line for each sentence would be too much.
	}
}
