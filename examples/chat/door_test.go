package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/record"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// house is a chat with a door, on a network in memory.
type house struct {
	*door

	net      *sessiontest.Network
	said     *bytes.Buffer
	visitors []*session.Session
}

// visit runs f in virtual time.
func visit(t *testing.T, opt options, f func(*testing.T, *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(sessiontest.Config{})
		h := &house{net: net, said: &bytes.Buffer{}}
		voice := &parley.Voice{Session: h.newSession(t, 0, "host")}
		stats, err := newStatsWriter(opt.stats, voice)
		if err != nil {
			t.Fatal(err)
		}
		stopRecording, err := startRecording(&opt, voice)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := stopRecording(); err != nil {
				t.Error(err)
			}
		}()
		h.door = newDoor(&opt, voice, stats, h.said)
		f(t, h)
		for _, s := range h.visitors {
			_ = s.Close() // the house's own is among them
		}
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (h *house) newSession(t *testing.T, n int, name string) *session.Session {
	t.Helper()
	s, err := session.New(session.Config{
		Transport: h.net.Transport(sessiontest.PeerID(n)), Codec: &sessiontest.Codec{}, Name: name,
		OpenSource: func() (audio.Source, error) { return audio.NewTone(440, -20), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.visitors = append(h.visitors, s)
	return s
}

// comes makes the n-th peer and has it knock.
func (h *house) comes(t *testing.T, n int, name string) *session.Session {
	t.Helper()
	s := h.newSession(t, n, name)
	if err := s.PeerJoined(h.voice.Self()); err != nil {
		t.Fatal(err)
	}
	h.passes(500 * time.Millisecond)
	return s
}

// passes lets time go by, as runTerminal does.
func (h *house) passes(d time.Duration) {
	over := time.After(d)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case e := <-h.voice.Events():
			h.tell(e)
		case now := <-second.C:
			h.stats.write(now)
			h.look(now)
		case <-over:
			return
		}
	}
}

func (h *house) wantPeers(t *testing.T, want int) {
	t.Helper()
	if got := len(h.voice.Peers()); got != want {
		t.Errorf("%d peers are on the list, want %d; it said:\n%s", got, want, h.said)
	}
}

func TestAGuestWhoTakesLeaveIsTakenOffTheList(t *testing.T) {
	dir := t.TempDir()
	opt := options{accept: "any", record: filepath.Join(dir, "tapes"), recordFormat: record.WAV, stats: filepath.Join(dir, "stats")}
	visit(t, opt, func(t *testing.T, h *house) {
		ben := h.comes(t, 1, "ben")
		h.wantPeers(t, 1)
		if !strings.Contains(h.said.String(), `"ben"`) {
			t.Errorf("ben's name isn't shown: %s", h.said)
		}
		_ = ben.Stop()
		h.passes(5 * time.Second)
		h.wantPeers(t, 0)
		if err := h.stats.final(); err != nil {
			t.Fatal(err)
		}
		checkLastLines(t, opt.stats, ben.Self())
		// He may come back, and goes on in his track.
		if err := ben.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ben.PeerJoined(h.voice.Self()); err != nil {
			t.Fatal(err)
		}
		h.passes(time.Second)
		h.wantPeers(t, 1)
	})
	for n, least := range map[int]time.Duration{0: 6 * time.Second, 1: time.Second} {
		pcm, err := audiotest.LoadWAV(filepath.Join(opt.record, sessiontest.PeerID(n).String()+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		heard := time.Duration(0)
		for block := range slices.Chunk(pcm, audio.BlockSamples) {
			if audio.Measure(block).RMS > -30 {
				heard += audio.BlockDuration
			}
		}
		if heard < least {
			t.Errorf("peer %d is heard for %v in its track", n, heard)
		}
	}
}

// checkLastLines checks that a guest who left is in the final line of
// statistics, and not in the one before.
func checkLastLines(t *testing.T, path string, guest identity.PeerID) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i, text := range lines[len(lines)-2:] {
		var line statsLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if _, ok := line.Peers[guest.String()]; ok != (i == 1) || line.Final != (i == 1) {
			t.Errorf("a line of statistics is final %t and has the guest %t, want the last one alone to have both", line.Final, ok)
		}
	}
}

func TestAGuestWhoIsAwayForLongIsTakenOffTheList(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		h.comes(t, 1, "ben")
		h.net.Cut(h.voice.Self(), sessiontest.PeerID(1))
		h.passes(guestPatience / 2)
		h.wantPeers(t, 1)
		h.passes(guestPatience)
		h.wantPeers(t, 0)
	})
}

func TestWhoIsOnTheCommandLineStaysOnTheList(t *testing.T) {
	ben := identity.Peer{ID: sessiontest.PeerID(1)}
	visit(t, options{accept: "any", peers: []identity.Peer{ben}}, func(t *testing.T, h *house) {
		if err := h.admit(ben.ID); err != nil {
			t.Fatal(err)
		}
		s := h.comes(t, 1, "ben")
		_ = s.Stop()
		h.passes(3 * guestPatience)
		h.wantPeers(t, 1)
	})
}

func TestAcceptAnyHasABound(t *testing.T) {
	visit(t, options{accept: "any"}, func(t *testing.T, h *house) {
		for n := range maxGuests + 3 {
			h.knock(sessiontest.PeerID(n + 1))
		}
		h.wantPeers(t, maxGuests)
		if !strings.Contains(h.said.String(), "64 guests are here already") {
			t.Errorf("it said %s", h.said)
		}
		h.gone(sessiontest.PeerID(1))
		h.knock(sessiontest.PeerID(maxGuests + 3))
		h.wantPeers(t, maxGuests)
	})
}

func TestLetTakesANameOrTheEndOfAnID(t *testing.T) {
	visit(t, options{accept: "ask"}, func(t *testing.T, h *house) {
		ben := h.comes(t, 1, "ben")
		id := ben.Self()
		h.wantPeers(t, 0)
		for _, text := range []string{tail(id), identity.PairFingerprint(id, h.voice.Self())} {
			if !strings.Contains(h.said.String(), text) {
				t.Errorf("a knock doesn't show %q: %s", text, h.said)
			}
		}
		for _, nobody := range []string{"let ben", "let x", "let …"} {
			if answer := h.command(nobody); !strings.Contains(answer, "0 of those who knocked") {
				t.Errorf("%s: %s", nobody, answer)
			}
		}
		if answer := h.command("let …" + tail(id)); answer != "let in" {
			t.Errorf("by the end of the ID: %s", answer)
		}
		h.passes(time.Second)
		h.wantPeers(t, 1)
		if who := h.command("who"); !strings.Contains(who, identity.PairFingerprint(h.voice.Self(), id)) {
			t.Errorf("who doesn't show the numbers to compare: %s", who)
		}
		_ = ben.Stop()
		h.passes(time.Second)
		h.wantPeers(t, 0)
		if err := ben.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ben.PeerJoined(h.voice.Self()); err != nil {
			t.Fatal(err)
		}
		h.passes(time.Second)
		if answer := h.command("let ben"); answer != "let in" {
			t.Errorf("by the name of somebody who was here: %s", answer)
		}
		h.passes(time.Second)
		if answer := h.command("let " + sessiontest.PeerID(7).String()); answer != "let in" {
			t.Errorf("by the whole ID of somebody who didn't knock: %s", answer)
		}
		h.wantPeers(t, 2)
	})
}

func TestKnocksThatWaitAreBounded(t *testing.T) {
	visit(t, options{accept: "ask"}, func(t *testing.T, h *house) {
		for n := range maxKnocks + 5 {
			h.knock(sessiontest.PeerID(n + 1))
		}
		if len(h.knocks) != maxKnocks || h.knocks[0] != sessiontest.PeerID(6) {
			t.Errorf("%d knocks wait", len(h.knocks))
		}
	})
}

// Whoever gets tired of waiting for the devices ends the program as well as
// later: without an error, and with a final line.
func TestASignalDuringTheStartEndsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(sessiontest.Config{})
		release := make(chan struct{})
		s, err := session.New(session.Config{
			Transport: net.Transport(sessiontest.PeerID(1)), Codec: &sessiontest.Codec{},
			OpenSource: func() (audio.Source, error) { <-release; return &audio.Silence{}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "stats")
		voice := &parley.Voice{Session: s}
		stats, err := newStatsWriter(path, voice)
		if err != nil {
			t.Fatal(err)
		}
		ctx, signal := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, signal)
		if err := converse(ctx, &options{headless: true}, nil, voice, stats); err != nil {
			t.Error(err)
		}
		close(release)
		if err := errors.Join(s.Close(), stats.close(), net.Close()); err != nil {
			t.Error(err)
		}
		if content, err := os.ReadFile(path); err != nil || !strings.Contains(string(content), `"final":true`) {
			t.Errorf("statistics: %s, %v", content, err)
		}
	})
}
