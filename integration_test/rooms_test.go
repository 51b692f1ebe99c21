package integration_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
	"github.com/parley-voice/parley/pipe"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/wire"
)

// When a change must be heard: the other one is told and its packets come, a round
// trip; and what the frame, the jitter buffer, which is long at the beginning of a stay,
// and the fade take, changed or not.
const (
	roomsOneWay = 25 * time.Millisecond
	roomsChange = 2*roomsOneWay + 180*time.Millisecond
	// roomsJoin is the same for who joins: a connection, two hellos and what is said
	// of rooms come first, and where the first round trips look long little is sent for a
	// while: lean tones sound a little like each other.
	roomsJoin = 20*roomsOneWay + 2*time.Second
)

// guests are who takes part, by their letters: all say something all the time.
const guests = "abcd"

// guest is somebody in the house.
type guest struct {
	*session.Session

	spoken map[string]*session.Channel // by name
}

// house is several sessions on one network, and whom each of them hears.
type house struct {
	t   *testing.T
	all map[byte]*guest

	mu      sync.Mutex // guards what follows
	what    string     // the step
	checked bool       // what is heard and sent now must be right
	want    map[string]bool
	heard   map[string]int // blocks by pair: "ab" is what a hears of b
	unheard map[string]int
	leaked  map[string]int
}

// tapped sees what a guest sends.
type tapped struct {
	link.Transport
	sends func(to identity.PeerID, b []byte)
}

func (w *tapped) SendVoice(to identity.PeerID, b []byte) error {
	w.sends(to, b)
	return w.Transport.SendVoice(to, b)
}

// passToTeam opens the room "team" at guest d, who decides who may speak in it.
var passToTeam = []byte("swordfish")

func mayBeInTeam(c session.Claim) error {
	if room, ok := c.To.Room(); ok && room == "team" && string(c.Token) != string(passToTeam) {
		return errors.New("no pass")
	}
	return nil
}

// newHouse starts guests, who have all joined each other.
func newHouse(t *testing.T, transports []link.Transport) *house {
	t.Helper()
	h := &house{t: t, all: map[byte]*guest{}}
	for i, transport := range transports {
		name := guests[i]
		said := make([]float32, audio.SampleRate)
		for k := range said {
			said[k] = float32(0.1 * math.Sin(2*math.Pi*float64(300+100*i)*float64(k)/audio.SampleRate))
		}
		cfg := session.Config{
			Transport:  &tapped{transport, func(to identity.PeerID, b []byte) { h.sends(name, to, b) }},
			Codec:      opus.Codec{},
			OpenSource: func() (audio.Source, error) { return audiotest.NewLoop(said), nil },
		}
		if name == 'd' {
			cfg.Authorize = mayBeInTeam
		}
		s, err := session.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		h.all[name] = &guest{Session: s, spoken: map[string]*session.Channel{}}
	}
	for name, g := range h.all {
		for other, o := range h.all {
			if name != other {
				g.TapPeer(o.Self(), func(b *audio.Block) { h.hears(name, other, b) })
			}
		}
	}
	for i := range guests {
		h.enter(guests[i])
	}
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", h.what, err)
	}
}

// enter starts a guest's session and has it join everybody.
func (h *house) enter(name byte) {
	h.t.Helper()
	g := h.all[name]
	h.must(g.Start(context.Background()))
	for _, o := range h.all {
		h.must(g.PeerJoined(o.Self()))
	}
}

// hears notes 10 ms of what one hears of another.
func (h *house) hears(name, other byte, b *audio.Block) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch pair := string([]byte{name, other}); {
	case !h.checked:
	case slices.ContainsFunc(b[:], func(x float32) bool { return x > 0.01 || x < -0.01 }):
		h.heard[pair]++
	default:
		h.unheard[pair]++
	}
}

// sends notes a packet of a guest.
func (h *house) sends(name byte, to identity.PeerID, b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var v wire.Voice
	if err := v.Parse(b); err != nil {
		h.t.Errorf("%s: %c sends %x: %v", h.what, name, b, err)
	}
	if !h.checked || len(v.Payload) == 0 { // the end of a spurt tells nothing
		return
	}
	for other, o := range h.all {
		if pair := string([]byte{other, name}); o.Self() == to && !h.want[pair] {
			h.leaked[pair]++
		}
	}
}

// then does something, and when a round trip is over checks for half a second who
// hears whom: want is pairs, of whom the first hears the second.
func (h *house) then(what, want string, within time.Duration, do func()) {
	h.t.Helper()
	h.what = what
	do()
	time.Sleep(within)
	h.mu.Lock()
	h.heard, h.unheard, h.leaked, h.want = map[string]int{}, map[string]int{}, map[string]int{}, map[string]bool{}
	for pair := range strings.FieldsSeq(want) {
		h.want[pair] = true
	}
	h.checked = true
	h.mu.Unlock()
	const blocks = 50
	time.Sleep(blocks * audio.BlockDuration)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked = false
	for _, a := range guests {
		for _, b := range guests {
			pair := string(a) + string(b)
			wants, does, not := h.want[pair], h.heard[pair], h.unheard[pair]
			switch {
			case a == b:
			case wants && (does < blocks-1 || not > 0):
				h.t.Errorf("%s: %c hears %c in %d of %d blocks: %s", what, a, b, does, does+not, h.all[byte(a)].Why(h.all[byte(b)].Self()))
			case !wants && does > 0:
				h.t.Errorf("%s: %c hears %c in %d of %d blocks, and must not", what, a, b, does, does+not)
			case h.leaked[pair] > 0:
				h.t.Errorf("%s: %d packets leak from %c to %c", what, h.leaked[pair], b, a)
			}
		}
	}
}

func (h *house) speak(name byte, to session.Target) {
	h.t.Helper()
	c, err := h.all[name].Speak(to)
	h.must(err)
	h.all[name].spoken[to.String()] = c
}

func (h *house) speakNoMore(name byte, to session.Target) {
	h.all[name].spoken[to.String()].Close()
}

// Rooms, whispers, blocks and permissions on real networks, with the real codec: who
// hears whom is right within a round trip, and no packet goes to who isn't to hear it.
func TestRoomsOverRealNetworks(t *testing.T) {
	for name, network := range map[string]func(*testing.T) (transports []link.Transport, end func()){
		"p2p":  overP2P,
		"pipe": overPipe,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transports, end := network(t)
				h := newHouse(t, transports)
				h.play()
				for _, g := range h.all {
					if err := g.Close(); err != nil {
						t.Error(err)
					}
				}
				end()
			})
		})
	}
}

// play is what they do. Guest d names its rooms, since it decides who may be in them.
func (h *house) play() {
	team, hall := session.Room("team"), session.Room("hall")
	a, b, c, d := h.all['a'], h.all['b'], h.all['c'], h.all['d']
	h.then("everyone to everyone", "ab ac ad ba bc bd ca cb cd da db dc", roomsJoin, func() {})
	h.then("a and b are in a room", "ab ac ad ba bc bd cd dc", roomsChange, func() {
		for _, g := range []*guest{a, b} {
			h.must(g.Listen("team"))
		}
		h.must(c.Listen("hall"))
		h.speak('a', team)
		h.speak('b', team)
	})
	h.then("a whispers to c", "ab ac ad ba bc bd ca cd dc", roomsChange, func() { h.speak('a', session.Whisper(c.Self())) })
	h.then("a whispers no more", "ab ac ad ba bc bd cd dc", roomsChange, func() { h.speakNoMore('a', session.Whisper(c.Self())) })
	h.then("a speaks in the hall too", "ab ac ad ba bc bd ca cd dc", roomsChange, func() { h.speak('a', hall) })
	h.then("c leaves the hall", "ab ac ad ba bc bd cd dc", roomsChange, func() { h.must(c.Leave("hall")) })
	h.then("d listens to a room in which a may not speak", "ab ac ad ba bc bd cd dc", roomsChange, func() { h.must(d.Listen("team")) })
	h.then("a shows a pass", "ab ac ad ba bc bd cd da dc", roomsChange, func() { h.must(a.SetToken(passToTeam)) })
	h.then("a shows none", "ab ac ad ba bc bd cd dc", roomsChange+time.Second, func() { h.must(a.SetToken(nil)) })
	h.then("b blocks a", "ac ad bc bd cd dc", roomsChange, func() { b.SetPeerBlocked(a.Self(), true) })
	h.then("b doesn't", "ab ac ad ba bc bd cd dc", roomsChange, func() { b.SetPeerBlocked(a.Self(), false) })
	h.then("c is muted, d deafened", "ab ad ba bd cd", roomsChange, func() { c.SetMuted(true); d.SetDeafened(true) })
	h.then("both no more", "ab ac ad ba bc bd cd dc", roomsChange, func() { c.SetMuted(false); d.SetDeafened(false) })
	h.then("b leaves", "ac ad cd dc", roomsChange, func() { h.must(b.Stop()) })
	h.then("b comes back", "ab ac ad ba bc bd cd dc", roomsJoin, func() { h.enter('b') })
	h.then("c takes b off its list", "ab ac ad ba bd cd dc", roomsChange, func() { h.must(c.PeerLeft(b.Self())) })
	h.then("and takes it in, in the hall", "ab ac ad ba bc bd ca cd dc", roomsJoin, func() {
		h.must(c.Listen("hall"))
		h.must(c.PeerJoined(b.Self()))
	})
	h.then("a speaks to nobody", "ab ac ad bc bd cd dc", roomsChange, func() { h.speakNoMore('a', team); h.speakNoMore('a', hall) })
	h.then("a speaks to everyone", "ab ac ad ba bc bd ca cd da dc", roomsChange, func() { h.speak('a', session.Everyone()) })
}

// overP2P is hosts with the real QUIC stack on a simulated network.
func overP2P(t *testing.T) (transports []link.Transport, end func()) {
	net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: len(guests), Delay: roomsOneWay})
	var nodes []*p2p.Node
	for i := range guests {
		node, err := p2p.New(net.Host(i), p2p.Config{})
		if err != nil {
			t.Fatal(err)
		}
		transport, err := node.Session("")
		if err != nil {
			t.Fatal(err)
		}
		nodes, transports = append(nodes, node), append(transports, transport)
		for j := range i {
			net.Introduce(i, j)
			net.Introduce(j, i)
		}
	}
	return transports, func() {
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// overPipe is an application's own messages, sealed.
func overPipe(t *testing.T) (transports []link.Transport, end func()) {
	var (
		byID   = map[identity.PeerID]*pipe.Transport{}
		mail   sync.WaitGroup
		queues []chan func()
	)
	for i := range guests {
		key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize)))
		if err != nil {
			t.Fatal(err)
		}
		var self identity.PeerID
		out := make(chan func(), 1024) // in the order in which it was sent
		queues = append(queues, out)
		mail.Go(func() {
			for deliver := range out {
				deliver()
			}
		})
		transport, err := pipe.New(pipe.Config{Key: key, Send: func(to identity.PeerID, b []byte, _ bool) error {
			b, due := slices.Clone(b), time.Now().Add(roomsOneWay)
			select {
			case out <- func() { time.Sleep(time.Until(due)); _ = byID[to].Receive(self, b) }:
				return nil
			default:
				return fmt.Errorf("%d messages are under way", len(out))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		self = transport.Self()
		byID[self] = transport
		transports = append(transports, transport)
	}
	return transports, func() {
		for _, q := range queues {
			close(q)
		}
		mail.Wait()
	}
}
