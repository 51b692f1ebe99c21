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
  talk            the key of push-to-talk: on or off (an empty line does it too)
  mode WHEN       when you are heard: open, voice or ptt
  threshold DBFS  how loud a voice is, for mode voice: -45 for example
  level           how loud you are, and when you are heard
  devices         which microphones and speakers there are
  mic NAME        go on with another microphone, or "default"
  speaker NAME    go on with another speaker, or "default"
  vol WHO 0..2    how loud somebody is here
  quiet WHO       silence somebody here, or no longer
  block WHO       neither hear somebody nor be heard, or no longer
  why WHO         why somebody isn't heard
  let WHO         let in somebody who knocked, or anybody by the whole peer ID
  quit
WHO is a name or the end of a peer ID.
`

// runTerminal tells what happens, does what is typed, and writes statistics,
// until the time is over.
func runTerminal(ctx context.Context, opt *options, voice *parley.Voice, lobby *lobby, door *door, stats *statsWriter) {
	var lines <-chan string
	if !opt.headless {
		fmt.Println("You are in. Type help for what you can do.")
		fmt.Println("Your fingerprint:", identity.Fingerprint(voice.Self()))
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
			door.look(now)
		case e, ok := <-voice.Events():
			if !ok {
				return
			}
			door.tell(e)
		case e, ok := <-lobby.events():
			if !ok {
				lobby.ended()
				continue
			}
			door.follow(e)
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
			if err := door.keeper.keep(); err != nil {
				fmt.Println(err)
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
		d.printf("* you are talking, and muted: type mute to be heard\n")
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
	case "devices":
		return listDevices()
	}
	if len(words) < 2 {
		return fmt.Sprintf("%q? Type help.", line)
	}
	switch words[0] {
	case "let":
		return d.let(words[1])
	case "mode":
		return d.mode(words[1])
	case "threshold":
		return d.threshold(words[1])
	case "mic":
		return choose(words[1:], v.SetMicrophone)
	case "speaker":
		return choose(words[1:], v.SetSpeaker)
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
