package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const help = `  who             who is here, and how well they are heard
  mute, deafen    on or off
  talk            the key of push-to-talk: on or off (an empty line does it too)
  mode WHEN       when you are heard: open, voice or ptt
  threshold DBFS  how loud a voice is, for mode voice: -45 for example
  level           how loud you are, and when you are heard
  say TEXT        write to whom you speak to
  rooms           what you hear, and to whom you speak
  hear ROOM       hear a room, or all
  leave ROOM      hear a room no longer
  speak ROOM      speak to a room, or no longer; or to all
  whisper WHO     speak to somebody alone, or no longer
  block WHO       neither hear somebody nor be heard, or no longer
  vol WHO 0..2    how loud somebody is here
  quiet WHO       silence somebody here, or no longer
  why WHO         why somebody isn't heard
  let WHO         let in somebody who knocked, or anybody by the whole peer ID
  quit
WHO is a name or the end of a peer ID.
`

// runTerminal tells what happens, does what is typed, and writes statistics,
// until the time is over. It does so with a screen, with lines, or headless.
func runTerminal(ctx context.Context, lobby *lobby, door *door, invite string) error {
	switch {
	case door.opt.screen:
		return runScreen(ctx, lobby, door, invite)
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
			})
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
	case session.DeviceChanged:
		if e.Working {
			d.printf("* the %s works again\n", e.Device)
		} else {
			d.printf("* the %s doesn't work: %s\n", e.Device, e.Reason)
		}
	case session.SourceEnded:
		d.printf("* the source has ended; still listening\n")
	case session.TalkingWhileMuted:
		d.printf("* you are talking, and muted: %s to be heard\n", either("", d.opt.screen, "m", "type mute"))
	case session.Knocked:
		d.knock(e.Peer)
	case session.Speaking:
		// Shown by "who": a line for each sentence would be too much.
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
	case "level":
		return d.level()
	case "rooms":
		return d.rooms()
	}
	if len(words) < 2 {
		return fmt.Sprintf("%q? Type help.", line)
	}
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), words[0]))
	switch words[0] {
	case "say":
		if err := d.say(rest); err != nil {
			return err.Error()
		}
		return "said"
	case "hear", "leave", "speak":
		return d.roomsCommand(words[0], rest)
	case "let":
		return d.let(words[1])
	case "mode":
		return d.mode(words[1])
	case "threshold":
		return d.threshold(words[1])
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
	case "block":
		v.SetPeerBlocked(id, !v.PeerBlocked(id))
		return onOff("blocked", v.PeerBlocked(id))
	case "whisper":
		return d.whisperTo(id)
	case "vol":
		return d.volume(id, words[2:])
	}
	return fmt.Sprintf("%q? Type help.", line)
}

// level says how loud the microphone is, beside what a voice must be.
func (d *door) level() string {
	v := d.voice
	return fmt.Sprintf("%.0f dBFS; a voice is from %.0f dBFS on; mode %v", v.Stats().Level, v.VoiceThreshold(), v.Mode())
}

func (d *door) mode(word string) string {
	mode, ok := modes[word]
	if !ok {
		return "when are you to be heard? open, voice or ptt"
	}
	if err := d.voice.SetMode(mode); err != nil {
		return err.Error()
	}
	return "done"
}

func (d *door) threshold(word string) string {
	x, err := strconv.ParseFloat(word, 64)
	if err != nil || x >= 0 || d.voice.SetVoiceThreshold(x) != nil {
		return "how loud is a voice? -96 to -1 dBFS; type level while you speak, and while you don't"
	}
	return "done"
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
		fmt.Fprintf(&b, "  %-20s %-8s %4.0f ms RTT  %4.0f ms delay  %4.1f %% concealed  %s\n  %20s numbers of you both: %s\n",
			d.call(p.ID), p.Path.Kind, ms(p.Path.RTT), ms(p.MouthToEar), 100*p.ConcealedShare(), d.voice.Why(p.ID), "", d.number(p.ID))
	}
	for _, id := range d.knocks {
		fmt.Fprintf(&b, "  %-20s knocked\n", d.call(id))
	}
	if b.Len() == 0 {
		return "  nobody"
	}
	return strings.TrimRight(b.String(), "\n")
}

func onOff(what string, on bool) string {
	if on {
		return what
	}
	return "no longer " + what
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
