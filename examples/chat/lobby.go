package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/p2p"
)

// lobby is the room that this chat is in; nil if it is in none.
type lobby struct {
	*client.Client
	over bool
}

// joinLobby joins the room of --room, if there is one.
func joinLobby(ctx context.Context, opt *options, h host.Host, voice *parley.Voice) (*lobby, error) {
	if opt.lobby == nil {
		return nil, nil
	}
	if client.WeakCode(opt.room) {
		opt.notes.say("others may guess this room code; --room new makes one that nobody can")
	}
	c, err := client.Join(ctx, h, client.Config{
		Lobby:         *opt.lobby,
		Room:          opt.room,
		Name:          opt.name,
		HideAddresses: opt.relaying == p2p.OnlyRelayed,
		Addresses:     voice.Node().Addrs,
		NoLobbyRelay:  opt.relaying == p2p.NeverRelayed,
	})
	if err != nil {
		return nil, err
	}
	fmt.Println("room", c.Room())
	return &lobby{Client: c}, nil
}

// knownRelays are the relays of --relay, and the lobby, which is one.
func (o *options) knownRelays() []peer.AddrInfo {
	if o.lobby == nil || o.relaying == p2p.NeverRelayed {
		return o.relays
	}
	return append(slices.Clone(o.relays), *o.lobby)
}

// events is what the lobby says; nothing without one.
func (l *lobby) events() <-chan client.Event {
	if l == nil || l.over {
		return nil
	}
	return l.Events()
}

func (l *lobby) ended() { l.over = true }

func (l *lobby) close() error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// follow does what the lobby says: who is in the room takes part.
func (d *door) follow(e client.Event) {
	switch e := e.(type) {
	case client.Joined:
		d.members[e.Peer] = true
		d.rename(e.Peer, e.Name)
		if err := d.admit(e.Peer); err != nil {
			d.printf("* %s is in the room and can't be talked to: %v\n", d.call(e.Peer), err)
			return
		}
		d.printf("* %s is in the room\n", d.call(e.Peer))
	case client.Updated:
		d.rename(e.Peer, e.Name)
	case client.Left:
		if !d.members[e.Peer] {
			return
		}
		delete(d.members, e.Peer)
		d.printf("* %s %s\n", d.call(e.Peer), e.Reason)
		if d.listed(e.Peer) {
			return // by --peer too
		}
		if err := d.dismiss(e.Peer); err != nil {
			d.printf("* %s can't be taken off the list: %v\n", d.call(e.Peer), err)
		}
	case client.LobbyLost:
		d.printf("* the lobby is lost (%s); who is here stays here\n", e.Reason)
	case client.LobbyBack:
		d.printf("* the lobby is back\n")
	}
}

func (d *door) rename(id peer.ID, name string) {
	if len(d.names) < maxNames && name != "" {
		d.names[id] = name
	}
}
