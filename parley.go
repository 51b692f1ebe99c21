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
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
)

// Config says how to talk. The zero value is the good default: the system's
// microphone and speaker, without echo and noise, Opus at 26 kb/s in packets of
// 20 ms, always open.
type Config struct {
	Session string // keeps several sessions on one host apart; at most 64 bytes; default ""
	Name    string // what others may call this peer; at most 64 bytes; default none

	Microphone string // name of the recording device, or a part of it; default: the system's; see SetMicrophone
	Speaker    string // name of the playback device, or a part of it; default: the system's; see SetSpeaker

	// OpenSource and OpenSink replace the devices: a file, a game's audio
	// engine, a bot. They are called at each Start. Default: the devices.
	OpenSource func() (audio.Source, error)
	OpenSink   func() (audio.Sink, error)

	LowDelay       bool         // packets of 10 ms and small buffers: about 20 ms less delay for twice the packets
	Encoding       codec.Config // how to encode; default: see codec.Config, and LowDelay
	Mode           session.Mode // when to talk; default session.Open
	VoiceThreshold float64      // see session.Config
	VoiceMargin    float64      // see session.Config
	Clean          Clean        // what is done about echo, noise and loudness; default all, to what a device recorded; see SetClean
	Chain          audio.Chain  // processors of the application's own, behind Clean; default none
	Network        p2p.Config   // of the host's node; the first New of a host decides
	Logger         *slog.Logger // default: silence

	Authorize           func(session.Claim) error // who may be heard here, and who may hear us; default everyone; see session.Config
	PriorityAttenuation float64                   // dB, of voices while one of a higher priority is heard; see session.Config
	Moderators          []identity.PeerID         // whose MuteForAll counts here, in sessions of this name; default nobody; see session.Config
	Ducking             float64                   // dB, of what is heard while somebody speaks here; default not at all; see session.Config
	SharePose           time.Duration             // how often at most peers are told where we are; default never; see session.Config
	Distance            spatial.Model             // how voices sound that come from somewhere; see session.Session.SetPose
}

// Voice is a session on a libp2p host. Close gives back what New took.
type Voice struct {
	*session.Session

	node       *p2p.Node
	transport  *p2p.Transport
	cleaner    *cleaner // nil in a New that failed early
	microphone device
	speaker    device
	once       sync.Once
}

// New prepares voice on a host. It registers Parley's stream handler at once,
// which refuses until Start, and opens no device. Several sessions on one host
// need different names; a second one of the same name is an error.
func New(h host.Host, cfg Config) (*Voice, error) {
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
	if v.cleaner, err = newCleaner(cfg.Clean, cfg.OpenSource == nil); err == nil {
		conversation := v.connect(cfg).session(transport)
		conversation.Sign = signer(h)
		v.Session, err = session.New(conversation)
	}
	if err != nil {
		_ = v.giveBack() // err is what matters
		return nil, fmt.Errorf("parley: %w", err)
	}
	return v, nil
}

// connect puts what may be chosen anew later into the configuration.
func (v *Voice) connect(cfg Config) Config {
	cfg.Chain = append(audio.Chain{v.cleaner}, cfg.Chain...)
	device := portaudio.Config{Latency: portaudio.DefaultLatency, Logger: cfg.Logger}
	if cfg.LowDelay {
		device.Latency = portaudio.LowDelay
	}
	if cfg.OpenSource == nil {
		v.microphone.init(cfg.Microphone, portaudio.FindMicrophone)
		cfg.OpenSource = func() (audio.Source, error) { return v.microphone.openSource(device) }
	}
	if cfg.OpenSink == nil {
		v.speaker.init(cfg.Speaker, portaudio.FindSpeaker)
		cfg.OpenSink = func() (audio.Sink, error) { return v.speaker.openSink(device) }
	}
	return cfg
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
	if v.cleaner != nil {
		v.cleaner.close()
	}
	return v.node.Close()
}

// signer signs by the host's key, which its peerstore holds.
func signer(h host.Host) func(data []byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		key := h.Peerstore().PrivKey(h.ID())
		if key == nil {
			return nil, errors.New("parley: the host's peerstore doesn't hold its key")
		}
		return key.Sign(data)
	}
}

// session is the configuration of the conversation.
func (cfg Config) session(transport link.Transport) session.Config {
	return session.Config{
		Transport:      transport,
		Codec:          opus.Codec{},
		Encoding:       cfg.Encoding,
		OpenSource:     cfg.OpenSource,
		OpenSink:       cfg.OpenSink,
		Chain:          cfg.Chain,
		Mode:           cfg.Mode,
		VoiceThreshold: cfg.VoiceThreshold,
		VoiceMargin:    cfg.VoiceMargin,
		Name:           cfg.Name,
		Jitter:         jitter.Config{},
		Logger:         cfg.Logger,

		Authorize:           cfg.Authorize,
		PriorityAttenuation: cfg.PriorityAttenuation,
		Session:             cfg.Session,
		Moderators:          cfg.Moderators,
		Ducking:             cfg.Ducking,
		SharePose:           cfg.SharePose,
		Distance:            cfg.Distance,
	}
}

func (cfg Config) withDefaults() Config {
	if cfg.LowDelay {
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
	return cfg
}
