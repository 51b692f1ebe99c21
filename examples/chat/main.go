// Chat talks to peers over libp2p: it is the example of how Parley is used,
// the demo, and the instrument with which Parley is measured.
//
// It shows, in the order of the files: reading options (options.go), an
// application's own libp2p host and what it knows of its peers (host.go), where
// the sound comes from and goes to (sound.go), the four calls that make a
// conversation (main.go), the lobby that says who takes part (lobby.go), who is
// let in and when it is taken to have left (door.go), what to tell people while
// they talk (terminal.go, commands.go; screen.go and desk.go for the screen in tui),
// rooms and whispering (speech.go), what is kept for the next time (keep.go), the
// statistics that can be had (stats.go), and what to tell people whom the network gets
// in the way (doctor.go) or who wonder how they sound (selftest.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/gologshim"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/examples/chat/tui"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
)

func main() {
	// One warning of quic-go on standard error, of no use to somebody who
	// wants to talk.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	// libp2p logs there what chat says in its own words.
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		gologshim.SetDefaultHandler(slog.DiscardHandler)
	}
	err := run(os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		if ended, ok := errors.AsType[*tui.EndedError](err); ok {
			os.Exit(ended.Code) // it has said why itself
		}
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// endings are the signals that end a conversation in good order. The end of the
// terminal does if it is used: nohup is for the others.
func endings(opt *options) []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if opt.screen {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "id" {
		return printID(args[1:])
	}
	if len(args) > 0 && args[0] == "doctor" {
		return examine(args[1:])
	}
	opt, err := parseOptions(args)
	if err != nil {
		return err
	}
	if opt.screen {
		if done, err := tui.Supervise(); done {
			return err
		}
	}
	shareProcessors()
	ctx, stop := signal.NotifyContext(context.Background(), endings(opt)...)
	defer stop()
	if opt.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.duration)
		defer cancel()
	}
	return talk(ctx, opt)
}

// leastProcessors is how many goroutines may run at once, for the system to share few
// processors among. Go lets as many as there are processors, and a call into a sound
// system that is held up counts as one of them until that is noticed, up to 20 ms later:
// on two processors a speaker ran dry meanwhile.
const leastProcessors = 4

// shareProcessors is what an application decides, not a library. It leaves alone what
// was asked for in the environment.
func shareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < leastProcessors {
		runtime.GOMAXPROCS(leastProcessors)
	}
}

// talk is a whole conversation.
func talk(ctx context.Context, opt *options) (err error) {
	// The application brings its libp2p host ...
	h, err := newHost(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()

	// ... and Parley adds voice to it.
	sound, err := newSound(opt)
	if err != nil {
		return err
	}
	log, closeLog, err := openLog(opt.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	voice, err := parley.New(h, parley.Config{
		Name:       opt.name,
		Microphone: opt.mic,
		Speaker:    opt.speaker,
		OpenSource: sound.source,
		OpenSink:   sound.sink,
		LowDelay:   opt.preset == "low-delay",
		Mode:       opt.mode,
		Clean:      opt.clean,
		Moderators: opt.judges,
		Network:    p2p.Config{Relaying: opt.relaying, Relays: opt.knownRelays()},
		Logger:     log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, voice.Close(), sound.err()) }()
	stats, err := newStatsWriter(opt.stats, voice)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stats.close()) }()

	return converse(ctx, opt, h, voice, stats)
}

// converse is the conversation: the four calls are here, and in door.go.
func converse(ctx context.Context, opt *options, h host.Host, voice *parley.Voice, stats *statsWriter) (err error) {
	keeper, err := openKeeper(opt, voice, opt.notes.say)
	if err != nil {
		return err
	}

	// First call: we are in. It may take the devices a while; who doesn't want
	// to wait so long ends the program in the same way as later.
	if err = voice.Start(ctx); ctx.Err() != nil {
		return stats.final()
	} else if err != nil {
		return err
	}
	lobby, err := joinLobby(ctx, opt, h, voice)
	if ctx.Err() != nil {
		return stats.final()
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lobby.close()) }()
	invite, err := printAddresses(ctx, opt, h, voice)
	if err != nil {
		return err
	}

	// Second call: so are they. The lobby says so, or the command line, with
	// voice.PeerJoined in door.admit. Whoever else knocks may be let in later.
	stopRecording, err := startRecording(opt, voice)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopRecording()) }()
	door := newDoor(opt, voice, stats, os.Stdout)
	door.keeper = keeper
	for _, p := range opt.peers {
		if p.ID == h.ID() {
			return fmt.Errorf("--peer %s is this very identity: give one of the two another --key", p.ID)
		}
		remember(h, p)
		if err = door.admit(p.ID); err != nil {
			return err
		}
	}

	if err = door.enterRooms(); err != nil {
		return err
	}

	// Third call, when somebody has left: voice.PeerLeft, in door.dismiss.
	err = runTerminal(ctx, lobby, door, invite)

	// Fourth call: we are out. voice.Start would work again.
	return errors.Join(err, keeper.keep(), stats.final(), voice.Stop())
}

// printID is "chat id".
func printID(args []string) error {
	fs := flag.NewFlagSet("chat id", flag.ContinueOnError)
	path := fs.String("key", defaultKey(), "`file` with the private key, made if there is none")
	if err := parse(fs, "chat id prints the own peer ID.\n\nFlags:\n", args); err != nil {
		return err
	}
	key, err := identity.LoadOrCreateKey(*path)
	if err != nil {
		return err
	}
	id, err := peerIDOf(key)
	if err != nil {
		return err
	}
	fmt.Println(id)
	return nil
}
