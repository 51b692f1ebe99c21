// Lobby is a server for a machine that everybody reaches: people who share a
// room's code find each other there, and those who can't reach each other
// directly talk through its relay.
//
// It shows, in the order of the files: reading options (options.go), a host and
// a relay with room for many (host.go, relay.go), the lobby on it (main.go), and
// metrics (metrics.go). What a lobby says to whom is package server; package
// client is the other end, for applications.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/libp2p/go-libp2p/gologshim"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
)

func main() {
	// One warning of quic-go on standard error, of no use here.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	// libp2p logs there what lobby says in its own words.
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		gologshim.SetDefaultHandler(slog.DiscardHandler)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "lobby:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "code" {
		return printCode(args[1:])
	}
	opt, err := parseOptions(args)
	if err != nil {
		return err
	}
	return serve(ctx, opt)
}

// printCode is "lobby code".
func printCode(args []string) error {
	fs := flag.NewFlagSet("lobby code", flag.ContinueOnError)
	if err := parse(fs, "lobby code prints a fresh room code.\n", args); err != nil {
		return err
	}
	fmt.Println(client.NewCode())
	return nil
}

// serve runs a lobby until ctx ends.
func serve(ctx context.Context, opt *options) (err error) {
	host, err := newHost(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()

	lobby := server.New(host, server.Config{Limits: opt.limits, Relay: !opt.noRelay, Logger: opt.log})
	defer func() { err = errors.Join(err, lobby.Close()) }()

	metrics, err := newMetrics(opt.metrics, lobby, opt.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.close()) }()

	if !opt.noRelay {
		relay, err := newRelay(opt, lobby.RelayHost(), metrics.registry)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, relay.Close()) }()
	}

	printAddresses(host)
	opt.log.Info("started", "peer", host.ID(), "relay", !opt.noRelay, "metrics", metrics.address())
	<-ctx.Done()
	opt.log.Info("shutting down", "members", lobby.Stats().Members)
	return nil
}
