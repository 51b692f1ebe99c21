package parley_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/session"
)

// quiet needs no sound device.
func quiet(name string) parley.Config {
	return parley.Config{
		Session:    name,
		OpenSource: func() (audio.Source, error) { return &audio.Silence{}, nil },
		OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
	}
}

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func offersVoice(h host.Host) bool { return slices.Contains(h.Mux().Protocols(), p2p.ProtocolID) }

func TestSessionsOfOneHostNeedDifferentNames(t *testing.T) {
	h := newHost(t)
	a, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parley.New(h, quiet("")); !errors.Is(err, p2p.ErrSessionExists) {
		t.Errorf("a second session of the same name: %v, want ErrSessionExists", err)
	}
	b, err := parley.New(h, quiet("two"))
	if err != nil {
		t.Fatalf("a session of another name: %v", err)
	}
	for _, v := range []*parley.Voice{a, b} {
		if err := v.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if !offersVoice(h) {
		t.Error("the handler is gone with the first of two sessions")
	}
	again, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatalf("a name that was given back: %v", err)
	}
	for _, v := range []*parley.Voice{again, b} {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	if offersVoice(h) {
		t.Error("the handler is left with no session")
	}
}

// What New took it gives back when it fails.
func TestAFailedNewLeavesNothing(t *testing.T) {
	h := newHost(t)
	wrong := quiet("")
	wrong.Encoding = codec.Config{Bitrate: 1}
	if _, err := parley.New(h, wrong); !errors.Is(err, session.ErrConfig) {
		t.Errorf("New = %v, want ErrConfig", err)
	}
	wrong = quiet(string(make([]byte, 65)))
	if _, err := parley.New(h, wrong); !errors.Is(err, p2p.ErrSessionName) {
		t.Errorf("New = %v, want ErrSessionName", err)
	}
	if _, err := parley.New(nil, quiet("")); !errors.Is(err, p2p.ErrNoHost) {
		t.Errorf("New = %v, want ErrNoHost", err)
	}
	if offersVoice(h) {
		t.Error("a handler is left")
	}
	v, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatalf("New after a failure: %v", err)
	}
	if !offersVoice(h) {
		t.Error("no handler after New")
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// A second Close gives back nothing of what another session has taken since.
func TestCloseTwiceIsOnce(t *testing.T) {
	h := newHost(t)
	a, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	b, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if !offersVoice(h) {
		t.Error("the handler of the second session went with the first")
	}
	if err := a.Start(t.Context()); !errors.Is(err, session.ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// An application that closes its host first makes a mistake, but not one that
// hangs.
func TestTheHostMayBeClosedFirst(t *testing.T) {
	h, other := newHost(t), newHost(t)
	v, err := parley.New(h, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := v.PeerJoined(other.ID()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := errors.Join(v.PeerLeft(other.ID()), v.Stop(), v.Close()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Stop and Close took %v", took)
	}
}
