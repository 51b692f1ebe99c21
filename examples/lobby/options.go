package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/server"
)

const usage = `lobby brings together who shares a room's code, and relays for who can't reach
each other.

  lobby                run a lobby
  lobby code           print a fresh room code

It prints its addresses and a command with which to join a room.

Flags:
`

// options is the command line.
type options struct {
	key           string
	listen        []string
	announce      []ma.Multiaddr
	metrics       string
	noRelay       bool
	relayData     int64
	relayDuration time.Duration
	limits        server.Limits
	log           *slog.Logger
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("lobby", flag.ContinueOnError)
	var level, format string
	fs.StringVar(&o.key, "key", defaultKey(), "`file` with the private key, made if there is none: with another one the lobby is another")
	fs.Func("listen", "`multiaddr` to listen on, may be repeated (default QUIC and TCP on port 4001, IPv4 and IPv6)", o.addListen)
	fs.Func("announce", "`multiaddr` at which others reach this machine if none of its interfaces has it, may be repeated", o.addAnnounce)
	fs.StringVar(&o.metrics, "metrics", "", "`address`, as 127.0.0.1:9090, to serve Prometheus metrics on at /metrics (default don't)")
	fs.BoolVar(&o.noRelay, "no-relay", false, "don't relay")
	fs.Int64Var(&o.relayData, "relay-limit-data", 1<<30, "`bytes` that one relayed connection may carry in each direction")
	fs.DurationVar(&o.relayDuration, "relay-limit-duration", 12*time.Hour, "`time` that one relayed connection may last")
	for _, f := range limitFlags(&o.limits) {
		fs.IntVar(f.n, f.name, 0, f.help)
	}
	fs.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&format, "log-format", "text", "text or json, on standard error")
	if err := parse(fs, usage, args); err != nil {
		return nil, err
	}
	if err := o.complete(level, format); err != nil {
		return nil, fmt.Errorf("%w; see lobby --help", err)
	}
	return o, nil
}

type limitFlag struct {
	name string
	n    *int
	help string
}

// limitFlags are the limits of package server that can be set; 0 is the
// default there, negative is none.
func limitFlags(l *server.Limits) []limitFlag {
	return []limitFlag{
		{"max-members", &l.Members, "members in all rooms (default 8192)"},
		{"max-room", &l.RoomMembers, "members in a room (default 256)"},
		{"peer-rooms", &l.PeerRooms, "rooms that one identity is in (default 8)"},
		{"address-rooms", &l.AddressRooms, "the same, summed over an IP address (default 1024)"},
		{"peer-codes", &l.PeerCodes, "different codes that one identity may try in a minute (default 12)"},
		{"address-codes", &l.AddressCodes, "the same for an IP address (default 120)"},
		{"peer-joins", &l.PeerJoins, "joins of one identity in a minute (default 60)"},
		{"address-joins", &l.AddressJoins, "the same for an IP address (default 3000)"},
		{"peer-messages", &l.PeerMessages, "messages of one identity in a second (default 20)"},
		{"address-messages", &l.AddressMessages, "the same for an IP address (default 2000)"},
		{"peer-bytes", &l.PeerBytes, "bytes of one identity in a second (default 16384)"},
		{"address-bytes", &l.AddressBytes, "the same for an IP address (default 1048576)"},
	}
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

func (o *options) addListen(text string) error {
	if _, err := ma.NewMultiaddr(text); err != nil {
		return err
	}
	o.listen = append(o.listen, text)
	return nil
}

func (o *options) addAnnounce(text string) error {
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return err
	}
	o.announce = append(o.announce, a)
	return nil
}

// complete fills in defaults and checks what flags alone can't.
func (o *options) complete(level, format string) error {
	if o.relayData <= 0 || o.relayDuration <= 0 {
		return errors.New("--relay-limit-data and --relay-limit-duration must be positive; --no-relay relays nothing")
	}
	if len(o.listen) == 0 {
		o.listen = []string{
			"/ip4/0.0.0.0/udp/4001/quic-v1", "/ip6/::/udp/4001/quic-v1",
			"/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001",
		}
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("--log-level %s: it is debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		o.log = slog.New(slog.NewTextHandler(os.Stderr, opts))
	case "json":
		o.log = slog.New(slog.NewJSONHandler(os.Stderr, opts))
	default:
		return fmt.Errorf("--log-format %s: it is text or json", format)
	}
	return nil
}

// defaultKey is where the key lives unless --key says otherwise.
func defaultKey() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		dir = "."
	}
	return filepath.Join(dir, "parley", "lobby.key")
}
