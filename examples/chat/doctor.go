package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
)

const doctorUsage = `chat doctor says what kind of network this is and what a call would use, or how you
sound.

  chat doctor [--lobby MULTIADDR] [--relay MULTIADDR]... [--peer PEER]
  chat doctor [--microphone] [--echo] [--mic NAME] [--speaker NAME]

About the network it needs somebody to ask: a lobby or a relay on a public machine.
With --peer, who must be running a chat that knows us, it tries a call without sound.
About sound it needs nobody.

Flags:
`

// examine is "chat doctor".
func examine(args []string) error {
	opt := &options{preset: "default", accept: "listed"}
	sound := &selfTest{}
	var lobby, relays, peers []string
	fs := flag.NewFlagSet("chat doctor", flag.ContinueOnError)
	fs.StringVar(&opt.key, "key", defaultKey(), "`file` with the private key, made if there is none")
	fs.Func("listen", "`multiaddr` to listen on, may be repeated", collect(&opt.listen))
	fs.Func("lobby", "`multiaddr` of a lobby", collect(&lobby))
	fs.Func("relay", "`multiaddr` of a relay, may be repeated", collect(&relays))
	fs.Func("peer", "address, invite or `peer` ID of somebody to try a call to", collect(&peers))
	sound.addFlags(fs, opt)
	patience := fs.Duration("patience", 8*time.Second, "how long to wait for answers")
	if err := parse(fs, doctorUsage, args); err != nil {
		return err
	}
	var err error
	if opt.relays, err = parseInfos(append(relays, lobby...)); err != nil {
		return fmt.Errorf("--lobby and --relay: %w", err)
	}
	if err = opt.complete(peers, "open"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if sound.asked() {
		if err = sound.run(ctx, opt, os.Stdout); err != nil || len(opt.relays)+len(opt.peers) == 0 {
			return err
		}
	}
	return diagnose(ctx, opt, *patience, os.Stdout)
}

// doctor examines a host and tells what it finds.
type doctor struct {
	host     host.Host
	voice    *parley.Voice
	patience time.Duration
	out      io.Writer
}

func diagnose(ctx context.Context, opt *options, patience time.Duration, out io.Writer) error {
	h, err := newHost(opt)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // all has been told by then
	voice, err := parley.New(h, parley.Config{
		OpenSource: func() (audio.Source, error) { return &audio.Silence{}, nil },
		OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
		Network:    p2p.Config{Relays: opt.relays},
	})
	if err != nil {
		return err
	}
	defer voice.Close() //nolint:errcheck // likewise
	d := &doctor{host: h, voice: voice, patience: patience, out: out}
	d.settings()
	d.addresses()
	reached := d.relays(ctx, opt.relays)
	d.network(reached)
	for _, p := range opt.peers {
		d.call(ctx, p)
	}
	return nil
}

func (d *doctor) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// settings tells what the host lacks.
func (d *doctor) settings() {
	fine := true
	for _, f := range p2p.CheckHost(d.host) {
		if f.Severity != p2p.Note { // those are about what the relays below tell
			d.say("%s: %s. %s.", f.Severity, f.What, f.WhatToDo)
			fine = false
		}
	}
	if fine {
		d.say("This program's own network settings are in order.")
	}
}

// addresses tells where this machine is.
func (d *doctor) addresses() {
	public, local := 0, 0
	for _, a := range d.voice.Node().Addrs() {
		switch {
		case manet.IsPublicAddr(a):
			public++
			d.say("This machine has a public address: %s", a)
		case !manet.IsIPLoopback(a):
			local++
		}
	}
	if public == 0 && local > 0 {
		d.say("This machine has addresses on a local network only: there is a router (NAT) between it and the internet.")
	}
	if public+local == 0 {
		d.say("This machine has no address that others could reach. Is it connected?")
	}
}

// relays asks each relay over UDP and TCP and tells what becomes of it. It
// returns those that answered.
func (d *doctor) relays(ctx context.Context, infos []peer.AddrInfo) (reached []peer.ID) {
	if len(infos) == 0 {
		d.say("Give a lobby or a relay (--lobby, --relay) to learn how the internet sees this machine.")
		return nil
	}
	d.wait(ctx, func() bool {
		for _, st := range d.voice.Node().Relays() {
			if !st.Live {
				return false
			}
		}
		return true
	})
	for _, st := range d.voice.Node().Relays() {
		if !st.Live {
			d.say("Relay %s doesn't serve us: %s. Is its address right, and does it run?", st.ID, st.Reason)
			continue
		}
		reached = append(reached, st.ID)
		limits := "without limits"
		if st.LimitData > 0 {
			limits = fmt.Sprintf("%d KiB and %v a connection", st.LimitData>>10, st.LimitDuration)
		}
		d.say("Relay %s answers over %s and takes us in (%s): others reach us through it.", st.ID, d.transports(st.ID), limits)
	}
	return reached
}

func (d *doctor) transports(id peer.ID) string {
	for _, c := range d.host.Network().ConnsToPeer(id) {
		if t := c.ConnState().Transport; t == "quic-v1" {
			return "UDP"
		}
	}
	return "TCP only (UDP seems to be blocked here, voice will stutter when packets are lost)"
}

// network tells what kind of network this is, by what the relays saw of us.
func (d *doctor) network(reached []peer.ID) {
	if len(reached) == 0 {
		return
	}
	d.wait(context.Background(), func() bool { return len(d.publicAddrs()) > 0 })
	seen := d.publicAddrs()
	switch {
	case len(seen) == 0:
		d.say("Nobody on the internet has told under which address it sees us: a relay on the same local network can't. Hole punching won't work; calls go through the relay.")
	case d.own(seen[0]):
		d.say("The internet sees us at our own address %s: peers can connect directly, unless a firewall is in between.", seen[0])
	default:
		d.say("The internet sees us at %s: behind a router. Direct calls work by hole punching with most others; else the relay carries them.", seen[0])
	}
}

// publicAddrs are the addresses under which the internet sees this host.
func (d *doctor) publicAddrs() (list []ma.Multiaddr) {
	for _, a := range d.voice.Node().Addrs() {
		if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err != nil && manet.IsPublicAddr(a) {
			list = append(list, a)
		}
	}
	return list
}

func (d *doctor) own(a ma.Multiaddr) bool {
	local, err := d.host.Network().InterfaceListenAddresses()
	if err != nil {
		return false
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	for _, l := range local {
		if have, err := manet.ToIP(l); err == nil && have.Equal(ip) {
			return true
		}
	}
	return false
}

// call tries a call and tells what it would use.
func (d *doctor) call(ctx context.Context, p identity.Peer) {
	remember(d.host, p)
	if err := d.voice.Start(ctx); err != nil {
		d.say("A call to %s can't be tried: %v", p.ID, err)
		return
	}
	defer d.voice.Stop() //nolint:errcheck // there is no sound to be stuck
	if err := d.voice.PeerJoined(p.ID); err != nil {
		d.say("A call to %s can't be tried: %v", p.ID, err)
		return
	}
	var st session.PeerStats
	d.wait(ctx, func() bool {
		st = d.voice.Stats().Peers[0]
		return st.Path.Kind != link.None && st.Path.RTT > 0
	})
	if st.Path.Kind == link.None {
		why := d.voice.Why(p.ID)
		d.say("A call to %s isn't possible now. %s", p.ID, why)
		if d.host.Network().Connectedness(p.ID) != network.NotConnected && !strings.Contains(why, "protocol") {
			d.say("The connection itself works: the other side must let us in (it sees %s).", d.host.ID())
		}
		return
	}
	d.say("A call to %s would be %s over %s, %d ms there and back. %s",
		p.ID, st.Path.Kind, st.Path.Transport, st.Path.RTT.Milliseconds(), st.Path.Reason)
}

// wait waits until cond holds, for as long as the doctor's patience lasts.
func (d *doctor) wait(ctx context.Context, cond func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	over := time.NewTimer(d.patience)
	defer over.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
