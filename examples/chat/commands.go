package main

import (
	"fmt"
	"slices"
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
  devices         which microphones and speakers there are
  mic NAME        go on with another microphone, or "default"
  speaker NAME    go on with another speaker, or "default"
  say TEXT        write to whom you speak to
  rooms           what you hear, and to whom you speak
  hear ROOM       hear a room, or all
  leave ROOM      hear a room no longer
  speak ROOM      speak to a room, or no longer; or to all
  whisper WHO     speak to somebody alone, or no longer
  block WHO       neither hear somebody nor be heard, or no longer
  mute-all WHO [WHY]  have nobody hear somebody, or hear it again, as a moderator
  vol WHO 0..2    how loud somebody is here
  quiet WHO       silence somebody here, or no longer
  why WHO         why somebody isn't heard
  let WHO         let in somebody who knocked, or anybody by the whole peer ID
  quit
WHO is a name or the end of a peer ID.
`

// What can be typed: a word alone, a word and the rest of the line, and a word
// with a peer and what comes after it.
var (
	wordCommands = map[string]func(*door) string{
		"help":    func(*door) string { return strings.TrimRight(help, "\n") },
		"who":     (*door).who,
		"level":   (*door).level,
		"devices": func(*door) string { return listDevices() },
		"rooms":   (*door).rooms,
		"mute": func(d *door) string {
			d.voice.SetMuted(!d.voice.Muted())
			return onOff("muted", d.voice.Muted())
		},
		"deafen": func(d *door) string {
			d.voice.SetDeafened(!d.voice.Deafened())
			return onOff("deafened", d.voice.Deafened())
		},
		"talk": func(d *door) string {
			d.voice.SetTalking(!d.voice.Talking())
			return onOff("talking", d.voice.Talking())
		},
	}
	lineCommands = map[string]func(d *door, rest string) string{
		"let":       (*door).let,
		"mode":      (*door).mode,
		"threshold": (*door).threshold,
		"hear":      (*door).hearCommand,
		"leave":     (*door).leaveCommand,
		"speak":     (*door).speakCommand,
		"say":       (*door).sayCommand,
		"mic":       func(d *door, name string) string { return choose(name, d.voice.SetMicrophone) },
		"speaker":   func(d *door, name string) string { return choose(name, d.voice.SetSpeaker) },
	}
	peerCommands = map[string]func(d *door, id identity.PeerID, rest []string) string{
		"why": func(d *door, id identity.PeerID, _ []string) string { return d.voice.Why(id) },
		"quiet": func(d *door, id identity.PeerID, _ []string) string {
			d.voice.SetPeerMuted(id, !d.voice.PeerMuted(id))
			return onOff("silenced", d.voice.PeerMuted(id))
		},
		"block": func(d *door, id identity.PeerID, _ []string) string {
			d.voice.SetPeerBlocked(id, !d.voice.PeerBlocked(id))
			return onOff("blocked", d.voice.PeerBlocked(id))
		},
		"whisper":  func(d *door, id identity.PeerID, _ []string) string { return d.whisperTo(id) },
		"vol":      (*door).volume,
		"mute-all": (*door).muteForAll,
	}
)

// command does what was typed and returns what to answer.
func (d *door) command(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{"talk"}
	}
	if f, ok := wordCommands[words[0]]; ok {
		return f(d)
	}
	if len(words) > 1 {
		if f, ok := lineCommands[words[0]]; ok {
			return f(d, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), words[0])))
		}
		if f, ok := peerCommands[words[0]]; ok {
			id, ok := d.find(words[1])
			if !ok {
				return fmt.Sprintf("nobody here is called %q, or more than one", words[1])
			}
			return f(d, id, words[2:])
		}
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

// muteForAll mutes somebody for all, or ends that.
func (d *door) muteForAll(id identity.PeerID, why []string) string {
	muted := slices.ContainsFunc(d.voice.Stats().Peers, func(p session.PeerStats) bool { return p.ID == id && p.Moderated })
	var err error
	if muted {
		err = d.voice.UnmuteForAll(id)
	} else {
		err = d.voice.MuteForAll(id, strings.Join(why, " "))
	}
	if err != nil {
		return err.Error()
	}
	return onOff("muted for all", !muted)
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
