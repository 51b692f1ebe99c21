package client

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/lobbywire"
)

// Config says which room to join, and as whom. Lobby and Room are required.
type Config struct {
	// Lobby is the lobby's peer ID and addresses. An address for one of QUIC
	// and TCP is tried for the other too, at the same port; names are
	// resolved.
	Lobby peer.AddrInfo

	// Room is the room's code; NormalizeCode is applied to it.
	Room string

	// Name is what people may call this member; cut at 64 bytes. It is not
	// signed.
	Name string

	// HideAddresses tells others the addresses through relays only, and
	// notes no others of them, for to dial somebody is to tell where one is.
	// The lobby itself sees where its members connect from.
	HideAddresses bool

	// Addresses returns the host's addresses, those through relays included;
	// called at least every 5 s, never twice at once; it must not call the
	// client. Default: what the host announces, and those of all interfaces
	// that it listens on.
	Addresses func() []ma.Multiaddr

	// NoPeerstore leaves it to the application to note members' addresses.
	NoPeerstore bool

	// NoLobbyRelay doesn't note an address through the lobby's relay for
	// every member. Such an address works when that member reserved a place
	// at the relay.
	NoLobbyRelay bool

	// Logger receives what happens, at debug level, and losses of the lobby at
	// info level. Default none.
	Logger *slog.Logger
}

// Errors of this package beside ErrCode. They are wrapped, so compare with
// errors.Is.
var (
	ErrConfig  = errors.New("client: unusable configuration")
	ErrLobby   = errors.New("client: the lobby can't be reached")
	ErrRefused = errors.New("client: the lobby refuses")
)

// The times of docs/lobby-protocol.md, section 5. They are counted in ticks of
// a running process, not by the clock: a process that was suspended and wakes
// up doesn't take the lobby for dead.
const (
	tick          = 250 * time.Millisecond
	beatTicks     = 8               // 2 s without a message to the lobby: send a beat
	silenceTicks  = 24              // 6 s without a message from the lobby: it is lost
	graceTicks    = 32              // 8 s for a member to come back to a lobby that we came back to
	checkTicks    = 20              // 5 s between looks at our own addresses
	updateTicks   = 8               // 2 s at least between updates
	tcpTimeout    = 3 * time.Second // for a connection of its own
	headStart     = 300 * time.Millisecond
	dialTimeout   = 4 * time.Second // for that, or else the host's
	joinTimeout   = 5 * time.Second
	writeTimeout  = 2 * time.Second
	closeTimeout  = 350 * time.Millisecond // to write a leave, and again for the lobby's answer
	minBackoff    = 250 * time.Millisecond
	maxBackoff    = 2 * time.Second
	firstUpgrade  = 2 * time.Second // for a connection of its own, when presence is on the host's
	maxUpgrade    = time.Minute
	refusedAgain  = 5 * time.Second // back-off when the lobby refuses
	maxMembers    = 1024            // in a room; more are refused and counted
	maxDials      = 8               // at once
	protectPrefix = "parley-lobby/"
)

// complete checks a configuration and fills in defaults.
func (cfg *Config) complete(h host.Host) error {
	code, err := NormalizeCode(cfg.Room)
	if err != nil {
		return err
	}
	cfg.Room = code
	if err := cfg.Lobby.ID.Validate(); err != nil {
		return fmt.Errorf("%w: the lobby's peer ID: %w", ErrConfig, err)
	}
	if cfg.Lobby.ID == h.ID() {
		return fmt.Errorf("%w: the lobby's peer ID is the host's own", ErrConfig)
	}
	if h.Peerstore().PrivKey(h.ID()) == nil {
		return fmt.Errorf("%w: the host has no private key to sign its addresses with", ErrConfig)
	}
	cfg.Name = lobbywire.Clip(cfg.Name, lobbywire.MaxName)
	if cfg.Addresses == nil {
		cfg.Addresses = func() []ma.Multiaddr { return hostAddrs(h) }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
