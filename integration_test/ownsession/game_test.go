package ownsession_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/follow"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/pipe"
	"github.com/parley-voice/parley/session"
)

// server stands for a game that exists: it knows who plays, and passes messages on.
type server struct {
	mu      sync.Mutex
	players map[identity.PeerID]*player
	wg      sync.WaitGroup
}

// player is one player's connection to the server.
type player struct {
	server    *server
	id        identity.PeerID
	mail      chan letter
	onMessage func(from identity.PeerID, b []byte)
	onPlayers func()
}

type letter struct {
	from identity.PeerID
	b    []byte
}

// Send has the server pass a message on. It is an error if the other's queue is full.
func (p *player) Send(to identity.PeerID, b []byte, _ bool) error {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	other := p.server.players[to]
	if other == nil {
		return errors.New("game: no such player")
	}
	select {
	case other.mail <- letter{p.id, slices.Clone(b)}:
		return nil
	default:
		return errors.New("game: full")
	}
}

// Players returns who plays.
func (p *player) Players() (ids []identity.PeerID) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for id := range p.server.players {
		ids = append(ids, id)
	}
	return ids
}

// enter has a player take part; leave ends it.
func (s *server) enter(p *player) {
	s.mu.Lock()
	s.players[p.id] = p
	s.mu.Unlock()
	s.wg.Go(func() {
		for m := range p.mail {
			p.onMessage(m.from, m.b)
		}
	})
	s.changed()
}

func (s *server) leave(p *player) {
	s.mu.Lock()
	delete(s.players, p.id)
	close(p.mail)
	s.mu.Unlock()
	s.changed()
}

func (s *server) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.players {
		p.onPlayers()
	}
}

// talker is a player who talks: the game, with voice in it.
type talker struct {
	*player
	session *session.Session
	end     context.CancelFunc
	done    chan error
}

// addVoice gives a player of the game a voice.
func addVoice(me *player, key crypto.PrivKey, name string, source audio.Source, sink audio.Sink) (*talker, error) {
	transport, err := pipe.New(pipe.Config{
		Key:  key,     // the player's identity: what is said is sealed with it
		Send: me.Send, // the game's own function
		Name: "game",  // what the path is called
	})
	if err != nil {
		return nil, err
	}
	voice, err := session.New(session.Config{
		Transport:  transport,
		Codec:      opus.Codec{},
		Name:       name,
		OpenSource: func() (audio.Source, error) { return source, nil }, // or portaudio.OpenSource
		OpenSink:   func() (audio.Sink, error) { return sink, nil },     // or portaudio.OpenSink
	})
	if err != nil {
		return nil, err
	}

	// What arrives goes to the transport. It never blocks, and drops what isn't
	// for it or isn't by whom it says it is.
	me.onMessage = func(from identity.PeerID, b []byte) { _ = transport.Receive(from, b) }

	// Voice follows the game's list of players.
	players := follow.List(me.Players)
	me.onPlayers = players.Changed

	ctx, cancel := context.WithCancel(context.Background())
	t := &talker{player: me, session: voice, end: cancel, done: make(chan error, 1)}
	go func() { t.done <- follow.Follow(ctx, voice, players, follow.Config{}) }()
	return t, nil
}

// Voice rides on a game that exists: its server passes the messages on, and its list of
// players says who talks.
func Example_voiceOverAGame() {
	game := &server{players: make(map[identity.PeerID]*player)}
	heard := &listener{loud: make(chan struct{})}
	anna, err := join(game, "Anna", audio.NewTone(440, -20), &audio.Null{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ben, err := join(game, "Ben", &audio.Silence{}, heard)
	if err != nil {
		fmt.Println(err)
		return
	}

	there := event[session.PeerReachable](ben.session)
	fmt.Printf("Ben reaches %s: %s over the %s, sealed by %s\n",
		there.Name, there.Path.Kind, there.Path.Transport, there.Path.Security)
	<-heard.loud
	fmt.Println("Ben hears something")

	// Anna's game ends.
	anna.end()
	fmt.Println("Anna's voice ends:", <-anna.done)
	fmt.Println("Anna took leave:", event[session.PeerGone](ben.session).Reason)
	game.leave(anna.player)
	ben.end()
	<-ben.done
	game.leave(ben.player)
	game.wg.Wait()
	// Output:
	// Ben reaches Anna: relayed over the game, sealed by noise
	// Ben hears something
	// Anna's voice ends: <nil>
	// Anna took leave: stopped
}

// join makes a player with a new identity and a voice, and has the player enter.
func join(game *server, name string, source audio.Source, sink audio.Sink) (*talker, error) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	t, err := addVoice(&player{server: game, id: id, mail: make(chan letter, 100)}, key, name, source, sink)
	if err == nil {
		game.enter(t.player)
	}
	return t, err
}

// listener is a Sink that says when it hears something.
type listener struct {
	once sync.Once
	loud chan struct{}
}

func (l *listener) WriteBlock(b *audio.StereoBlock) error {
	if audio.Measure(b[:]).RMS > -30 {
		l.once.Do(func() { close(l.loud) })
	}
	return nil
}

func (l *listener) Close() error { return nil }

// event waits for the next event of a type.
func event[E session.Event](s *session.Session) (e E) {
	for next := range s.Events() {
		if e, ok := next.(E); ok {
			return e
		}
	}
	return e
}

// TestOwnSessionShowsTheExamples keeps the code in the tutorial compiled and tested:
// every paragraph of it is part of these files.
func TestOwnSessionShowsTheExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/own-session.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range []string{"game_test.go", "hosts_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	blocks := strings.Split(string(text), "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		for part := range strings.SplitSeq(block, "\n\n") {
			if !strings.Contains(code.String(), strings.TrimSpace(part)) {
				t.Errorf("the tutorial shows what isn't in the examples:\n%s", part)
			}
		}
	}
	if len(blocks) < 3 {
		t.Errorf("%d blocks of code in the tutorial", len(blocks))
	}
}
