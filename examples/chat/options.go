package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

const usage = `chat talks to peers over libp2p.

  chat --peer ADDRESS|INVITE|PEER-ID ...   talk
  chat id [--key FILE]                     print the own peer ID

Start one chat; it prints its addresses and an invite. Give either to another:

  chat --peer 'parley:...'

Flags:
`

// options is the command line.
type options struct {
	name     string
	key      string
	listen   []string
	peers    []identity.Peer
	in, out  string
	loop     bool
	mic      string
	speaker  string
	mode     session.Mode
	preset   string
	headless bool
	duration time.Duration
	stats    string
	record   string
	accept   string
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	var peers []string
	var mode string
	fs.StringVar(&o.name, "name", "", "what others may call you")
	fs.StringVar(&o.key, "key", defaultKey(), "`file` with the private key, made if there is none")
	fs.Func("listen", "`multiaddr` to listen on, may be repeated (default QUIC and TCP on all interfaces)", collect(&o.listen))
	fs.Func("peer", "address, invite or bare `peer` ID of somebody to talk to, may be repeated", collect(&peers))
	fs.StringVar(&o.in, "in", "", "what you say: mic, silence or a WAV `file` (default mic; silence with --headless)")
	fs.BoolVar(&o.loop, "loop", false, "play the file of --in again and again")
	fs.StringVar(&o.out, "out", "", "where you hear: speaker, null or a WAV `file` to write (default speaker; null with --headless)")
	fs.StringVar(&o.mic, "mic", "", "`name` of the recording device or a part of it (default the system's)")
	fs.StringVar(&o.speaker, "speaker", "", "`name` of the playback device or a part of it (default the system's)")
	fs.StringVar(&mode, "mode", "open", "when to talk: open, voice (activation) or ptt (push to talk)")
	fs.StringVar(&o.preset, "preset", "default", "default or low-delay")
	fs.BoolVar(&o.headless, "headless", false, "use neither terminal nor sound devices unless asked for")
	fs.DurationVar(&o.duration, "duration", 0, "stop after this `time` (default talk until interrupted)")
	fs.StringVar(&o.stats, "stats", "", "`file` to append statistics to, a JSON object per second")
	fs.StringVar(&o.record, "record", "", "`directory` for a WAV file of every peer's voice")
	fs.StringVar(&o.accept, "accept", "", "who may knock without being listed: ask, any or listed (default ask; listed with --headless)")
	if err := parse(fs, usage, args); err != nil {
		return nil, err
	}
	if err := o.complete(peers, mode); err != nil {
		return nil, fmt.Errorf("%w; see chat --help", err)
	}
	return o, nil
}

// parse prints the help on standard output if it is asked for. What is wrong is
// said in one line, not on top of all that help.
func parse(fs *flag.FlagSet, usage string, args []string) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
	case err != nil:
		err = fmt.Errorf("%w; see %s --help", err, fs.Name())
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; see %s --help", fs.Arg(0), fs.Name())
	}
	return err
}

// complete fills in defaults and checks what flags alone can't.
func (o *options) complete(peers []string, mode string) (err error) {
	if o.peers, err = identity.ParsePeers(peers...); err != nil {
		return fmt.Errorf("--peer: %w", err)
	}
	modes := map[string]session.Mode{"open": session.Open, "voice": session.VoiceActivation, "ptt": session.PushToTalk}
	var ok bool
	if o.mode, ok = modes[mode]; !ok {
		return fmt.Errorf("--mode %s: it is open, voice or ptt", mode)
	}
	o.in = either(o.in, o.headless, "silence", "mic")
	o.out = either(o.out, o.headless, "null", "speaker")
	o.accept = either(o.accept, o.headless, "listed", "ask")
	if err := oneOf("--preset", o.preset, "default", "low-delay"); err != nil {
		return err
	}
	if err := oneOf("--accept", o.accept, "ask", "any", "listed"); err != nil {
		return err
	}
	if o.headless && o.accept == "ask" {
		return errors.New("--accept ask needs a terminal, which --headless does without")
	}
	if o.duration < 0 {
		return fmt.Errorf("--duration %v is negative", o.duration)
	}
	if len(o.listen) == 0 {
		o.listen = []string{
			"/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1",
			"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0",
		}
	}
	return nil
}

func either(value string, condition bool, yes, no string) string {
	switch {
	case value != "":
		return value
	case condition:
		return yes
	}
	return no
}

func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %s: it is %s", flag, value, strings.Join(allowed, " or "))
}

func collect(into *[]string) func(string) error {
	return func(s string) error {
		*into = append(*into, s)
		return nil
	}
}

// defaultKey is where the key lives unless --key says otherwise.
func defaultKey() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		dir = "."
	}
	return filepath.Join(dir, "parley", "identity.key")
}
