// Demo runs the main job on real input, with no sound card and no internet:
// three chat processes on this machine talk to each other over libp2p with
// recorded speech. It prints who heard whom, how late and how well, and fails
// if anyone went unheard.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/integration_test/chatlab"
)

// speaker is one of the three.
type speaker struct {
	name    string
	id      string
	speech  string // file
	heard   string // file of what it heard
	stats   string // file
	process *chatlab.Process
}

func main() {
	out := flag.String("out", filepath.Join("out", "demo"), "`directory` for the recordings")
	duration := flag.Duration("duration", 15*time.Second, "how long they talk")
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
	if err := startAll(ctx, chat, speakers, duration); err != nil {
		return err
	}
	if err := watch(ctx, speakers, duration); err != nil {
		return err
	}
	if err := printTable(speakers); err != nil {
		return err
	}
	fmt.Printf("\nWhat each of them heard:\n")
	for _, s := range speakers {
		fmt.Printf("  %-6s %s\n", s.name, s.heard)
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
			stats:  filepath.Join(out, name+".jsonl"),
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
// known already, else by identity alone.
func startAll(ctx context.Context, chat string, speakers []*speaker, duration time.Duration) error {
	addresses := map[string][]string{}
	for i, s := range speakers {
		args := []string{
			"--headless", "--name", s.name, "--key", filepath.Join(filepath.Dir(s.heard), s.name+".key"),
			"--listen", "/ip4/127.0.0.1/udp/0/quic-v1",
			"--in", s.speech, "--loop", "--out", s.heard, "--stats", s.stats,
			// Those who start later hear the first ones to the end.
			"--duration", (duration + time.Duration(len(speakers)-1-i)*100*time.Millisecond).String(),
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
		p, err := chatlab.Start(exec.CommandContext(ctx, chat, args...))
		if err != nil {
			return err
		}
		s.process = p
		if addresses[s.id], err = p.Addresses(ctx); err != nil {
			return err
		}
		fmt.Printf("%-6s is %s\n", s.name, s.id)
	}
	return nil
}

// watch shows progress until all have ended.
func watch(ctx context.Context, speakers []*speaker, duration time.Duration) error {
	fmt.Printf("They talk for %v ", duration)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for _, s := range speakers {
		for ended := false; !ended; {
			select {
			case <-s.process.Exited():
				ended = true
			case <-second.C:
				fmt.Print(".")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := s.process.Wait(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Println(" done")
	return nil
}

// printTable prints a row for each pair, and fails if somebody went unheard.
func printTable(speakers []*speaker) error {
	fmt.Printf("\n%-6s %-7s %-5s %9s %9s %10s %6s  %s\n", "who", "heard", "", "latency", "buffer", "concealed", "lanes", "path")
	var unheard []string
	for _, listener := range speakers {
		final, err := chatlab.Final(listener.stats)
		if err != nil {
			return err
		}
		recording, err := audiotest.LoadWAV(listener.heard)
		if err != nil {
			return err
		}
		for _, talker := range speakers {
			if talker == listener {
				continue
			}
			talkerFinal, err := chatlab.Final(talker.stats)
			if err != nil {
				return err
			}
			voice, err := audiotest.LoadWAV(talker.speech)
			if err != nil {
				return err
			}
			st, err := during(listener.stats, talker.id)
			if err != nil {
				return err
			}
			whole := final.Peers[talker.id]
			latency, ok := measure(voice, chatlab.At(talkerFinal.InT0), recording, chatlab.At(final.OutT0))
			verdict, late := "yes", fmt.Sprintf("%.0f ms", float64(latency)/1e6)
			if !ok {
				verdict, late = "NO", "-"
				unheard = append(unheard, fmt.Sprintf("%s by %s", talker.name, listener.name))
			}
			fmt.Printf("%-6s %-7s %-5s %9s %6.0f ms %8.2f %% %6d  %s, %s\n", listener.name, talker.name, verdict, late, whole.Buffer, whole.ConcealedPct, st.Lanes, st.Path, st.Transport)
		}
	}
	fmt.Println("\nLatency is found in the recordings: from the talker's file to the listener's, packets of 20 ms and the codec's 6 ms included.")
	if len(unheard) > 0 {
		return fmt.Errorf("unheard: %v", unheard)
	}
	return nil
}

// during returns what a listener last said of a talker while it was there: the
// final line may be written after the others have gone.
func during(stats, talker string) (chatlab.Peer, error) {
	lines, err := chatlab.ReadStats(stats)
	if err != nil {
		return chatlab.Peer{}, err
	}
	for _, line := range slices.Backward(lines) {
		if p := line.Peers[talker]; p.Path != "none" && !line.Final {
			return p, nil
		}
	}
	return chatlab.Peer{}, nil
}

// measure looks in a recording for what the talker said in the second round of
// its looped speech, by when everybody is there. It looks for half seconds, each
// by itself: a jitter buffer that stretches speech changes the delay within a
// sentence. The latency is the median of those found.
func measure(voice []float32, spoken time.Time, recording []float32, heard time.Time) (time.Duration, bool) {
	const window = 1500 * time.Millisecond
	round := audiotest.Duration(float64(len(voice)))
	start := spoken.Add(round).Sub(heard) // where it would be without delay
	from, to := audiotest.Samples(start), audiotest.Samples(start+round+window)
	if from < 0 || from >= len(recording) {
		return 0, false
	}
	pieces := audiotest.Offsets(voice, recording[from:min(to, len(recording))], audiotest.OffsetsConfig{From: 1, To: window})
	var found []time.Duration
	for _, p := range pieces {
		if p.Confidence > enough {
			found = append(found, p.Offset)
		}
	}
	if 2*len(found) <= len(pieces) {
		return 0, false
	}
	slices.Sort(found)
	return found[len(found)/2], true
}

// enough is the correlation from which on half a second counts as heard although
// another voice speaks at the same time: two voices of equal power leave each
// 0.7, and what is not there seldom has more than 0.2.
const enough = 0.35

// adviseToTalk says how to talk oneself, where there is a sound card.
func adviseToTalk(chat string) {
	devices, err := portaudio.Devices()
	if err != nil || len(devices) == 0 {
		return
	}
	fmt.Printf("\nTo talk yourself (with headphones: there is no echo cancellation yet):\n  %s --name you\nand on another machine, with the invite that it prints:\n  %s --name me --peer 'parley:...'\n", chat, chat)
}
