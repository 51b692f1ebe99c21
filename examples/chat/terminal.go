package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const help = `  who             who is here, and how well they are heard
  mute, deafen    on or off
  talk            the key of --mode ptt: on or off (an empty line does it too)
  vol WHO 0..2    how loud somebody is here
  quiet WHO       silence somebody here, or no longer
  why WHO         why somebody isn't heard
  let WHO         let in somebody who knocked
  quit
WHO is a name or the end of a peer ID.
`

// runTerminal tells what happens, does what is typed, and writes statistics,
// until the time is over.
func runTerminal(ctx context.Context, opt *options, voice *parley.Voice, door *door, stats *statsWriter) {
	var lines <-chan string
	if !opt.headless {
		fmt.Println("You are in. Type help for what you can do.")
		lines = readLines()
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-second.C:
			stats.write(now)
		case e, ok := <-voice.Events():
			if !ok {
				return
			}
			door.tell(e)
		case line, ok := <-lines:
			if !ok {
				lines = nil // no terminal any more: go on talking
				continue
			}
			if line == "quit" {
				return
			}
			if answer := door.command(line); answer != "" {
				fmt.Println(answer)
			}
		}
	}
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
		fmt.Printf("* %s is here (%s, %s)\n", d.call(e.Peer), e.Path.Kind, e.Path.Transport)
	case session.PeerUnreachable:
		fmt.Printf("* %s can't be reached: %s\n", d.call(e.Peer), e.Reason)
	case session.PeerGone:
		fmt.Printf("* %s took leave\n", d.call(e.Peer))
	case session.PeerIncompatible:
		fmt.Printf("* %s can't talk to us: %s\n", d.call(e.Peer), e.Reason)
	case session.PathChanged:
		fmt.Printf("* %s is reached another way: %s, %s\n", d.call(e.Peer), e.To.Kind, e.To.Transport)
	case session.PeerState:
		fmt.Printf("* %s: muted %t, deafened %t\n", d.call(e.Peer), e.Muted, e.Deafened)
	case session.DeviceChanged:
		if e.Working {
			fmt.Printf("* the %s works again\n", e.Device)
		} else {
			fmt.Printf("* the %s doesn't work: %s\n", e.Device, e.Reason)
		}
	case session.SourceEnded:
		fmt.Println("* the source has ended; still listening")
	case session.Knocked:
		d.knock(e.Peer)
	case session.Speaking:
		// Shown by "who": a line for each sentence would be too much.
	}
}

// knock answers somebody who isn't listed.
func (d *door) knock(id identity.PeerID) {
	switch d.opt.accept {
	case "any":
		if err := d.admit(id); err != nil {
			fmt.Printf("* %s knocked and can't be let in: %v\n", id, err)
		}
	case "ask":
		fmt.Printf("* %s knocks (%s); type: let %s\n", id, identity.Fingerprint(id), id)
	default:
		fmt.Printf("* %s knocked and isn't listed\n", id)
	}
}

// command does what was typed and returns what to answer.
func (d *door) command(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{"talk"}
	}
	v := d.voice
	switch words[0] {
	case "help":
		return strings.TrimRight(help, "\n")
	case "who":
		return d.who()
	case "mute":
		v.SetMuted(!v.Muted())
		return onOff("muted", v.Muted())
	case "deafen":
		v.SetDeafened(!v.Deafened())
		return onOff("deafened", v.Deafened())
	case "talk":
		v.SetTalking(!v.Talking())
		return onOff("talking", v.Talking())
	}
	if len(words) < 2 {
		return fmt.Sprintf("%q? Type help.", line)
	}
	if words[0] == "let" {
		return d.let(words[1])
	}
	id, ok := d.find(words[1])
	if !ok {
		return fmt.Sprintf("nobody here is called %q, or more than one", words[1])
	}
	switch words[0] {
	case "why":
		return v.Why(id)
	case "quiet":
		v.SetPeerMuted(id, !v.PeerMuted(id))
		return onOff("silenced", v.PeerMuted(id))
	case "vol":
		return d.volume(id, words[2:])
	}
	return fmt.Sprintf("%q? Type help.", line)
}

func (d *door) let(text string) string {
	id, err := identity.ParsePeerID(text)
	if err == nil {
		err = d.admit(id)
	}
	if err != nil {
		return err.Error()
	}
	return "let in"
}

func (d *door) volume(id identity.PeerID, words []string) string {
	if len(words) == 1 {
		if x, err := strconv.ParseFloat(words[0], 32); err == nil && x >= 0 && x <= 2 {
			d.voice.SetPeerVolume(id, float32(x))
			return "done"
		}
	}
	return "how loud? 0 to 2, 1 is as it speaks"
}

func (d *door) who() string {
	var b strings.Builder
	for _, p := range d.voice.Stats().Peers {
		fmt.Fprintf(&b, "  %-20s %-8s %4.0f ms RTT  %4.0f ms delay  %4.1f %% concealed  %s\n",
			d.call(p.ID), p.Path.Kind, ms(p.Path.RTT), ms(p.MouthToEar), 100*p.ConcealedShare(), d.voice.Why(p.ID))
	}
	if b.Len() == 0 {
		return "  nobody"
	}
	return strings.TrimRight(b.String(), "\n")
}

// call is what people see of a peer: its own name is not verified, so a part of
// its ID goes with it.
func (d *door) call(id identity.PeerID) string {
	text := id.String()
	tail := text[max(0, len(text)-6):]
	for _, p := range d.voice.Stats().Peers {
		if p.ID == id && p.Name != "" {
			return fmt.Sprintf("%q (…%s)", p.Name, tail)
		}
	}
	return "…" + tail
}

func (d *door) find(text string) (found identity.PeerID, ok bool) {
	n := 0
	for _, p := range d.voice.Stats().Peers {
		if p.Name == text || strings.HasSuffix(p.ID.String(), text) {
			found = p.ID
			n++
		}
	}
	return found, n == 1
}

func onOff(what string, on bool) string {
	if on {
		return what
	}
	return "no longer " + what
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
