// Package parley adds voice to an application whose players are already
// together. The application owns the libp2p host, the identities and the
// lobby; Parley owns the conversation.
//
//	voice, err := parley.New(host, parley.Config{}) // microphone, speakers, Opus, libp2p streams
//	err = voice.Start(ctx)                          // the lobby says: we are in
//	err = voice.PeerJoined(id)                      // ... someone came
//	err = voice.PeerLeft(id)                        // ... someone went
//	err = voice.Stop()                              // we are out; Start works again
//
// This package only wires the parts together: [session] is the conversation,
// [p2p] the network, [opus] the codec and [portaudio] the devices. An
// application with parts of its own makes a [session.Session] directly.
package parley

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/audio/portaudio"
	"github.com/parley-voice/parley/audio/spatial"
	"github.com/parley-voice/parley/audio/speex"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/session"
)

// Config says how to talk. The zero value is the good default: the system's
// microphone and speaker, without echo and noise, Opus at 26 kb/s in packets of
// 20 ms, always open.
type Config struct {
	Session string // keeps several sessions on one host apart; at most 64 bytes; default ""
	Name    string // what others may call this peer; at most 64 bytes; default none

	Microphone string // name of the recording device, or a part of it; default: the system's
	Speaker    string // name of the playback device, or a part of it; default: the system's

	// OpenSource and OpenSink replace the devices: a file, a game's audio
	// engine, a bot. They are called at each Start. Default: the devices.
	OpenSource func() (audio.Source, error)
	OpenSink   func() (audio.Sink, error)

	LowDelay       bool         // packets of 10 ms and small buffers: about 20 ms less delay for twice the packets
	Encoding       codec.Config // how to encode; default: see codec.Config, and LowDelay
	Mode           session.Mode // when to talk; default session.Open
	VoiceThreshold float64      // see session.Config
	VoiceMargin    float64      // see session.Config
	Clean          Clean        // what is done about echo, noise and loudness; default all, to what a device recorded
	Chain          audio.Chain  // processors of the application's own, behind Clean; default none
	Network        p2p.Config   // of the host's node; the first New of a host decides
	Logger         *slog.Logger // default: silence

	Authorize           func(session.Claim) error // who may be heard here, and who may hear us; default everyone; see session.Config
	PriorityAttenuation float64                   // dB, of voices while one of a higher priority is heard; see session.Config
	Ducking             float64                   // dB, of what is heard while somebody speaks here; default not at all; see session.Config
	SharePose           time.Duration             // how often at most peers are told where we are; default never; see session.Config
	Distance            spatial.Model             // how voices sound that come from somewhere; see session.Session.SetPose
}

// Voice is a session on a libp2p host. Close gives back what New took.
type Voice struct {
	*session.Session

	node      *p2p.Node
	transport *p2p.Transport
	canceller *speex.Processor // nil if neither echo nor noise is taken away
	once      sync.Once
}

// New prepares voice on a host. It registers Parley's stream handler at once,
// which refuses until Start, and opens no device. Several sessions on one host
// need different names; a second one of the same name is an error.
func New(h host.Host, cfg Config) (*Voice, error) {
	device := cfg.OpenSource == nil
	cfg = cfg.withDefaults()
	node, err := p2p.Shared(h, cfg.Network)
	if err != nil {
		return nil, fmt.Errorf("parley: %w", err)
	}
	transport, err := node.Session(cfg.Session)
	if err != nil {
		_ = node.Close() // err is what matters
		return nil, fmt.Errorf("parley: %w", err)
	}
	v := &Voice{node: node, transport: transport}
	processors, err := v.clean(cfg, device)
	if err == nil {
		v.Session, err = session.New(cfg.session(transport, processors))
	}
	if err != nil {
		_ = v.giveBack() // err is what matters
		return nil, fmt.Errorf("parley: %w", err)
	}
	return v, nil
}

// Node is Parley's presence on the host, which all its sessions share: its
// relays, its addresses, and what it counts.
func (v *Voice) Node() *p2p.Node { return v.node }

// Close stops the session for good and gives back the session's name and, with
// the host's last session, the stream handler. Idempotent.
func (v *Voice) Close() error {
	err := v.Session.Close()
	v.once.Do(func() { err = errors.Join(err, v.giveBack()) })
	return err
}

// giveBack returns what New took.
func (v *Voice) giveBack() error {
	v.transport.Release()
	if v.canceller != nil {
		_ = v.canceller.Close() // it never fails
	}
	return v.node.Close()
}

// clean makes the processors of the microphone.
func (v *Voice) clean(cfg Config, device bool) (chain audio.Chain, err error) {
	chain, v.canceller, err = cfg.Clean.chain(device)
	return append(chain, cfg.Chain...), err
}

// session is the configuration of the conversation.
func (cfg Config) session(transport *p2p.Transport, chain audio.Chain) session.Config {
	return session.Config{
		Transport:      transport,
		Codec:          opus.Codec{},
		Encoding:       cfg.Encoding,
		OpenSource:     cfg.OpenSource,
		OpenSink:       cfg.OpenSink,
		Chain:          chain,
		Mode:           cfg.Mode,
		VoiceThreshold: cfg.VoiceThreshold,
		VoiceMargin:    cfg.VoiceMargin,
		Name:           cfg.Name,
		Jitter:         jitter.Config{},
		Logger:         cfg.Logger,

		Authorize:           cfg.Authorize,
		PriorityAttenuation: cfg.PriorityAttenuation,
		Ducking:             cfg.Ducking,
		SharePose:           cfg.SharePose,
		Distance:            cfg.Distance,
	}
}

func (cfg Config) withDefaults() Config {
	latency := portaudio.DefaultLatency
	if cfg.LowDelay {
		latency = portaudio.LowDelay
		cfg.Encoding.LowDelay = true
		if cfg.Encoding.FrameDuration == 0 {
			cfg.Encoding.FrameDuration = 10 * time.Millisecond
		}
	}
	if cfg.Network.PacketInterval == 0 {
		cfg.Network.PacketInterval = cfg.Encoding.FrameDuration
	}
	if cfg.Network.Logger == nil {
		cfg.Network.Logger = cfg.Logger
	}
	if cfg.OpenSource == nil {
		cfg.OpenSource = func() (audio.Source, error) {
			return portaudio.OpenSource(portaudio.Config{Device: cfg.Microphone, Latency: latency, Logger: cfg.Logger})
		}
	}
	if cfg.OpenSink == nil {
		cfg.OpenSink = func() (audio.Sink, error) {
			return portaudio.OpenSink(portaudio.Config{Device: cfg.Speaker, Latency: latency, Logger: cfg.Logger})
		}
	}
	return cfg
}
