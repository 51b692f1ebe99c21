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

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/record"
	"github.com/parley-voice/parley/session"
)

const usage = `chat talks to peers over libp2p.

  chat --lobby MULTIADDR --room CODE       talk to those who use the same code
  chat --peer ADDRESS|INVITE|PEER-ID ...   talk to these
  chat doctor [--lobby MULTIADDR] ...      say what this network lets through
  chat doctor --microphone --echo          say how you sound, and let you hear it
  chat id [--key FILE]                     print the own peer ID

With a lobby, "--room new" makes a code to give to the others. Without, start one
chat; it prints its addresses and an invite. Give either to another:

  chat --peer 'parley:...'

In a terminal it is a screen with a key for everything, which ? lists; otherwise
type help. Those who talk may part into rooms (--hear, --speak), which are no
rooms of a lobby (--room): that is where they meet.

Flags:
`

// options is the command line.
type options struct {
	name     string
	key      string
	listen   []string
	peers    []identity.Peer
	judges   []identity.PeerID // moderators
	lobby    *peer.AddrInfo    // nil if there is none
	room     string
	hear     []string // rooms within the conversation, not the lobby's
	speak    []string
	relays   []peer.AddrInfo
	relaying p2p.Relaying
	in, out  string
	loop     bool
	mic      string
	speaker  string
	mode     session.Mode
	clean    parley.Clean
	preset   string
	headless bool
	stdin    bool
	plain    bool
	screen   bool   // the full screen is used: see tui
	notes    *notes // for what goes wrong aside
	duration time.Duration
	stats    string
	record   string
	accept   string
	log      string
	settings string // file; empty if nothing is kept

	recordFormat record.Format
	given        map[string]bool // flags that were given
}

func parseOptions(args []string) (*options, error) {
	o := &options{recordFormat: record.WAV, notes: &notes{}}
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	var peers, judges []string
	var lobby, relays []string
	var mode, policy string
	var echo, noise, agc string
	var noSettings bool
	fs.StringVar(&o.name, "name", "", "what others may call you")
	fs.StringVar(&o.key, "key", defaultKey(), "`file` with the private key, made if there is none")
	fs.Func("listen", "`multiaddr` to listen on, may be repeated (default QUIC and TCP on all interfaces)", collect(&o.listen))
	fs.Func("peer", "address, invite or bare `peer` ID of somebody to talk to, may be repeated", collect(&peers))
	fs.Func("lobby", "`multiaddr` of a lobby, /p2p/ID included, where others with the same --room are met; may be repeated for one lobby", collect(&lobby))
	fs.StringVar(&o.room, "room", "", "`code` of the room in the lobby; \"new\" makes one and prints it")
	fs.Func("moderator", "`peer` ID of somebody who may mute others for all, may be repeated; all must name the same", collect(&judges))
	fs.Func("relay", "`multiaddr` of a relay, /p2p/ID included, through which peers are reached that can't be reached directly, may be repeated (a lobby is one)", collect(&relays))
	fs.StringVar(&policy, "relay-policy", "allow", "allow relays, use only them (no peer learns our address), or never")
	fs.Func("hear", "`name` of a room to listen to within the conversation, may be repeated (default every room)", collect(&o.hear))
	fs.Func("speak", "`name` of a room to speak in within the conversation, may be repeated (default speak to everyone)", collect(&o.speak))
	fs.StringVar(&o.in, "in", "", "what you say: mic, silence or a WAV `file` (default mic; silence with --headless)")
	fs.BoolVar(&o.loop, "loop", false, "play the file of --in again and again")
	fs.StringVar(&o.out, "out", "", "where you hear: speaker, null or a WAV `file` to write (default speaker; null with --headless)")
	fs.StringVar(&o.mic, "mic", "", "`name` of the recording device or a part of it (default the system's)")
	fs.StringVar(&o.speaker, "speaker", "", "`name` of the playback device or a part of it (default the system's)")
	fs.StringVar(&mode, "mode", "open", "when to talk: open, voice (activation) or ptt (push to talk)")
	fs.StringVar(&echo, "echo", "auto", "what to do when the microphone hears the speakers: cancel that, halfduplex (turn the microphone down while others speak), off (headphones), or auto: cancel with --in mic, off with a file")
	fs.StringVar(&noise, "noise", "", "suppress noise: on or off (default on with --in mic, off with a file)")
	fs.StringVar(&agc, "agc", "", "make quiet and loud voices equally loud: on or off (default on with --in mic, off with a file)")
	fs.StringVar(&o.preset, "preset", "default", "default or low-delay")
	fs.BoolVar(&o.headless, "headless", false, "use neither terminal nor sound devices unless asked for")
	fs.BoolVar(&o.stdin, "stdin", false, "with --headless, do what the lines of standard input say, as at a terminal; it may end before the conversation")
	fs.BoolVar(&o.plain, "plain", false, "lines instead of the full screen, as where standard input or output is no terminal")
	fs.DurationVar(&o.duration, "duration", 0, "stop after this `time` (default talk until interrupted)")
	fs.StringVar(&o.stats, "stats", "", "`file` to append statistics to, a JSON object per second")
	fs.StringVar(&o.record, "record", "", "`directory` for a file of every voice, our own included, all on one time line")
	fs.Func("record-format", "`format` of these files: wav, or ogg for Opus as it was received (default wav)", o.setRecordFormat)
	fs.StringVar(&o.log, "log", "", "`file` to append to what happens to paths, lanes and devices, for when something goes wrong")
	fs.StringVar(&o.accept, "accept", "", "who may knock without being listed: ask, any or listed (default ask; listed with --headless)")
	fs.StringVar(&o.settings, "settings", "", "`file` that keeps devices, mode, volumes and who is blocked for the next time; what a flag says holds for this time only (default "+defaultSettings()+"; none with --headless)")
	fs.BoolVar(&noSettings, "no-settings", false, "neither read nor keep settings")
	if err := parse(fs, usage, args); err != nil {
		return nil, err
	}
	o.given = map[string]bool{}
	fs.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if err := o.completeWays(lobby, relays, policy); err != nil {
		return nil, fmt.Errorf("%w; see chat --help", err)
	}
	if err := o.completeModerators(judges); err != nil {
		return nil, fmt.Errorf("%w; see chat --help", err)
	}
	if err := o.complete(peers, mode); err != nil {
		return nil, fmt.Errorf("%w; see chat --help", err)
	}
	if err := o.completeClean(echo, noise, agc); err != nil {
		return nil, fmt.Errorf("%w; see chat --help", err)
	}
	if err := o.completeSettings(noSettings); err != nil {
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
	if o.stdin && !o.headless {
		return errors.New("--stdin is for --headless: a terminal is read anyway")
	}
	o.screen = !o.headless && !o.plain && tui.Possible()
	if o.duration < 0 {
		return fmt.Errorf("--duration %v is negative", o.duration)
	}
	if len(o.listen) == 0 && o.relaying != p2p.OnlyRelayed {
		o.listen = []string{
			"/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1",
			"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0",
		}
	}
	return nil
}

// completeClean checks what is done to what the microphone records. What isn't
// said is Parley's choice: it cleans what a device recorded, and no file.
func (o *options) completeClean(echo, noise, agc string) error {
	echoes := map[string]parley.Echo{"auto": parley.EchoAuto, "cancel": parley.EchoCancel, "halfduplex": parley.EchoHalfDuplex, "off": parley.EchoOff}
	switches := map[string]parley.Switch{"": parley.Auto, "on": parley.On, "off": parley.Off}
	var ok bool
	if o.clean.Echo, ok = echoes[echo]; !ok {
		return fmt.Errorf("--echo %s: it is auto, cancel, halfduplex or off", echo)
	}
	if o.clean.Noise, ok = switches[noise]; !ok {
		return fmt.Errorf("--noise %s: it is on or off", noise)
	}
	if o.clean.Gain, ok = switches[agc]; !ok {
		return fmt.Errorf("--agc %s: it is on or off", agc)
	}
	return nil
}

// modes are what --mode and the command mode take.
var modes = map[string]session.Mode{"open": session.Open, "voice": session.VoiceActivation, "ptt": session.PushToTalk}

// completeModerators finds out who they are.
func (o *options) completeModerators(judges []string) error {
	peers, err := identity.ParsePeers(judges...)
	if err != nil {
		return fmt.Errorf("--moderator: %w", err)
	}
	for _, p := range peers {
		o.judges = append(o.judges, p.ID)
	}
	return nil
}

// completeWays checks what says how peers are met and reached.
func (o *options) completeWays(lobby, relays []string, policy string) (err error) {
	policies := map[string]p2p.Relaying{"allow": p2p.AllowRelayed, "only": p2p.OnlyRelayed, "never": p2p.NeverRelayed}
	var ok bool
	if o.relaying, ok = policies[policy]; !ok {
		return fmt.Errorf("--relay-policy %s: it is allow, only or never", policy)
	}
	if o.relays, err = parseInfos(relays); err != nil {
		return fmt.Errorf("--relay: %w", err)
	}
	lobbies, err := parseInfos(lobby)
	switch {
	case err != nil:
		return fmt.Errorf("--lobby: %w", err)
	case len(lobbies) > 1:
		return errors.New("--lobby: these addresses are of different lobbies")
	case len(lobbies) == 0 && o.room != "":
		return errors.New("--room is a room in a lobby: say with --lobby where that is")
	case len(lobbies) == 0:
		return nil
	case o.room == "":
		return errors.New(`--lobby needs --room: the code that the others use too, or "new"`)
	case o.room == "new":
		o.room = client.NewCode()
	}
	o.lobby = &lobbies[0]
	if o.room, err = client.NormalizeCode(o.room); err != nil {
		return fmt.Errorf("--room: %w", err)
	}
	return nil
}

// parseInfos reads addresses that end with a peer ID, and puts together those of
// one peer.
func parseInfos(texts []string) ([]peer.AddrInfo, error) {
	var all []ma.Multiaddr
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no multiaddr: %w", text, err)
		}
		all = append(all, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(all...)
	if err != nil {
		return nil, fmt.Errorf("an address needs /p2p/ and the peer ID at its end: %w", err)
	}
	return infos, nil
}

func (o *options) setRecordFormat(s string) error {
	for _, f := range []record.Format{record.WAV, record.OggOpus} {
		if s == f.String() {
			o.recordFormat = f
			return nil
		}
	}
	return errors.New("it is wav or ogg")
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
