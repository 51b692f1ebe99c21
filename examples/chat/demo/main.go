// Demo runs the main job on real input, with no sound card and no internet:
// three chat processes on this machine talk to each other over libp2p with
// recorded speech: first to everyone, then two of them in a room, then one in a
// whisper. It prints who heard whom, how late and how well, and fails if anyone
// went unheard, or was heard by somebody who is not to hear him.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/integration_test/chatlab"
)

// speaker is one of the three.
type speaker struct {
	name    string
	id      string
	speech  string // file
	heard   string // file of what it heard
	tracks  string // directory with a file of each voice, as it was heard
	stats   string // file
	process *chatlab.Process
	input   io.Writer // what is typed
}

func main() {
	out := flag.String("out", filepath.Join("out", "demo"), "`directory` for the recordings")
	duration := flag.Duration("duration", 7*time.Second, "how long each part lasts")
	speech := flag.String("speech", filepath.Join("testdata", "speech"), "`directory` with anna.wav, ben.wav and clara.wav")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *speech, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, speech string, duration time.Duration) error {
	fmt.Println("Building the chat example ...")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	chat, err := chatlab.Build(ctx, out)
	if err != nil {
		return err
	}
	speakers, err := prepare(ctx, chat, out, speech)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx) // of the processes, if something goes wrong
	defer end()
	if err = startAll(ctx, chat, speakers); err != nil {
		return err
	}
	spans, err := play(ctx, speakers, duration)
	if err != nil {
		return err
	}
	if err = endAll(ctx, speakers); err != nil {
		return err
	}
	if err = printTable(speakers, spans); err != nil {
		return err
	}
	fmt.Printf("\nWhat each of them heard, and each voice by itself:\n")
	for _, s := range speakers {
		fmt.Printf("  %-6s %s  %s\n", s.name, s.heard, s.tracks)
	}
	adviseToTalk(chat)
	return nil
}

func prepare(ctx context.Context, chat, out, speech string) ([]*speaker, error) {
	var all []*speaker
	for _, name := range []string{"anna", "ben", "clara"} {
		s := &speaker{
			name:   name,
			speech: filepath.Join(speech, name+".wav"),
			heard:  filepath.Join(out, "heard-by-"+name+".wav"),
			tracks: filepath.Join(out, "tracks-of-"+name),
			stats:  filepath.Join(out, name+".jsonl"),
		}
		if err := os.RemoveAll(s.tracks); err != nil {
			return nil, err
		}
		if err := os.Remove(s.stats); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		id, err := chatlab.ID(ctx, chat, filepath.Join(out, name+".key"))
		if err != nil {
			return nil, err
		}
		s.id = id
		all = append(all, s)
	}
	return all, nil
}

// startAll starts the three, each told of the others: by address if that is
// known already, else by identity alone. It waits until each is there for each.
func startAll(ctx context.Context, chat string, speakers []*speaker) error {
	addresses := map[string][]string{}
	for _, s := range speakers {
		args := []string{
			"--headless", "--stdin", "--name", s.name, "--key", filepath.Join(filepath.Dir(s.heard), s.name+".key"),
			"--listen", "/ip4/127.0.0.1/udp/0/quic-v1",
			"--in", s.speech, "--loop", "--out", s.heard, "--record", s.tracks, "--stats", s.stats,
		}
		for _, other := range speakers {
			switch {
			case other == s:
			case len(addresses[other.id]) > 0:
				args = append(args, "--peer", addresses[other.id][0])
			default:
				args = append(args, "--peer", other.id)
			}
		}
		cmd := exec.CommandContext(ctx, chat, args...)
		var err error
		if s.input, err = cmd.StdinPipe(); err != nil {
			return err
		}
		if s.process, err = chatlab.Start(cmd); err != nil {
			return err
		}
		if addresses[s.id], err = s.process.Addresses(ctx); err != nil {
			return err
		}
		fmt.Printf("%-6s is %s\n", s.name, s.id)
	}
	return meet(ctx, speakers)
}

// meetPatience is how long the three may take to find each other.
const meetPatience = 20 * time.Second

func meet(ctx context.Context, speakers []*speaker) error {
	ctx, cancel := context.WithTimeout(ctx, meetPatience)
	defer cancel()
	for _, s := range speakers {
		for _, other := range speakers {
			if other == s {
				continue
			}
			_, err := s.process.Line(ctx, time.Time{}, func(text string) bool {
				return strings.HasPrefix(text, fmt.Sprintf("* %q", other.name)) && strings.Contains(text, " is here ")
			})
			if err != nil {
				return fmt.Errorf("%s doesn't find %s: %w", s.name, other.name, err)
			}
		}
	}
	return nil
}

// endAll makes all end, and waits for it.
func endAll(ctx context.Context, speakers []*speaker) error {
	for _, s := range speakers {
		if _, err := fmt.Fprintln(s.input, "quit"); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, s := range speakers {
		select {
		case <-s.process.Exited():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.process.Wait(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// adviseToTalk says how to talk oneself, where there is a sound card.
func adviseToTalk(chat string) {
	devices, err := portaudio.Devices()
	if err != nil || len(devices) == 0 {
		return
	}
	fmt.Printf("\nTo talk yourself:\n  %s --name you\nand on another machine, with the invite that it prints:\n  %s --name me --peer 'parley:...'\n", chat, chat)
}
