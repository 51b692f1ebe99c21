// Command linkem joins two network namespaces by an emulated IP link until it
// is told to end.
//
//	linkem -a la=10.77.0.1/24 -b lb=10.77.0.2/24 -delay 25ms -loss 0.05 -burst 3 &
//	ip netns exec la PROGRAM ...
//
// Namespaces that don't exist are made, and removed at the end. It prints "up"
// when the link stands, and its counters as one line of JSON when it gets
// SIGTERM or SIGINT. It needs root.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/parley-voice/parley/integration_test/linkem"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "linkem:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	var cfg linkem.Config
	flags := flag.NewFlagSet("linkem", flag.ContinueOnError)
	sides := [2]string{}
	flags.StringVar(&sides[linkem.A], "a", "la=10.77.0.1/24", "`namespace=address` of side A")
	flags.StringVar(&sides[linkem.B], "b", "lb=10.77.0.2/24", "`namespace=address` of side B")
	flags.DurationVar(&cfg.Delay, "delay", 0, "delay each way")
	flags.DurationVar(&cfg.Jitter, "jitter", 0, "mean of an exponential delay on top")
	flags.BoolVar(&cfg.Reorder, "reorder", false, "let jitter change the order of packets")
	flags.Float64Var(&cfg.Loss, "loss", 0, "share of packets lost each way, 0 to 1")
	flags.Float64Var(&cfg.Burst, "burst", 1, "mean number of packets lost in a row")
	flags.Float64Var(&cfg.Rate, "rate", 0, "bits per second each way, 0 for unlimited")
	flags.DurationVar(&cfg.Queue, "queue", 0, "longest wait behind -rate (default 200ms)")
	flags.DurationVar(&cfg.Stall, "stall", 0, "how long nothing arrives, once in a while")
	flags.DurationVar(&cfg.StallEvery, "every", 0, "time from one stall to the next (default 5s)")
	flags.IntVar(&cfg.MTU, "mtu", 0, "MTU in bytes (default 1500)")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "seed of losses and jitter")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := linkem.Supported(); err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)

	for side, spec := range sides {
		name, addr, err := parseSide(spec)
		if err != nil {
			return err
		}
		remove, err := provide(name)
		if err != nil {
			return err
		}
		defer remove()
		cfg.Addr[side], cfg.Namespace[side] = addr, namespacePath(name)
	}
	link, err := linkem.New(cfg)
	if err != nil {
		return err
	}
	defer link.Close() //nolint:errcheck // it never fails
	fmt.Fprintln(out, "up")
	<-end
	return json.NewEncoder(out).Encode(link.Stats())
}

// parseSide reads "namespace=address"; an address without a prefix length is
// of a /24.
func parseSide(spec string) (name string, addr netip.Prefix, err error) {
	name, text, ok := strings.Cut(spec, "=")
	if !ok || name == "" || strings.ContainsAny(name, "/ ") {
		return "", addr, fmt.Errorf("%q is not namespace=address", spec)
	}
	if !strings.Contains(text, "/") {
		text += "/24"
	}
	addr, err = netip.ParsePrefix(text)
	return name, addr, err
}

func namespacePath(name string) string { return filepath.Join("/run/netns", name) }

// provide makes a named namespace if there is none, and returns what removes
// it again.
func provide(name string) (remove func(), err error) {
	if _, err := os.Stat(namespacePath(name)); err == nil {
		return func() {}, nil
	}
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ip netns add %s: %w: %s", name, err, out)
	}
	return func() { _ = exec.Command("ip", "netns", "delete", name).Run() }, nil
}
