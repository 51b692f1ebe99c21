package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/lobbywire"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const room = "lusab-babad-gutih"

// scene is a lobby with two innocent members who know each other, and a host
// that is up to no good.
type scene struct {
	t     *testing.T
	lobby *server.Server
	net   *p2ptest.Network
	anna  *client.Client
	ben   *client.Client
	bad   host.Host
	at    peer.ID
}

// inScene runs a test in virtual time. When it is over the innocents have
// noticed nothing, and a newcomer is let in.
func inScene(t *testing.T, cfg server.Config, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 5})
		s := &scene{t: t, lobby: server.New(net.Host(0), cfg), net: net, bad: net.Host(3), at: net.Host(0).ID()}
		defer s.lobby.Close()
		s.anna, s.ben = s.member(1), s.member(2)
		defer s.anna.Close()
		defer s.ben.Close()
		s.expect(s.anna, client.Joined{Peer: net.Host(2).ID(), Addrs: net.Host(2).Addrs()})
		s.expect(s.ben, client.Joined{Peer: net.Host(1).ID(), Addrs: net.Host(1).Addrs()})
		if err := net.Connect(3, 0); err != nil {
			t.Fatal(err)
		}
		f(s)
		s.noticedNothing()
	})
}

// hosts are those that each member or attacker has, by its number.
func (s *scene) member(n int) *client.Client {
	s.t.Helper()
	lobby := s.net.Host(0)
	c, err := client.Join(context.Background(), s.net.Host(n), client.Config{Lobby: peer.AddrInfo{ID: lobby.ID(), Addrs: lobby.Addrs()}, Room: room})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *scene) expect(c *client.Client, want client.Event) {
	s.t.Helper()
	select {
	case got := <-c.Events():
		if fmt.Sprint(got) != fmt.Sprint(want) {
			s.t.Errorf("%v, want %v", got, want)
		}
	case <-time.After(2 * time.Second):
		s.t.Errorf("no event, want %v", want)
	}
}

func (s *scene) noticedNothing() {
	s.t.Helper()
	for name, c := range map[string]*client.Client{"Anna": s.anna, "Ben": s.ben} {
		select {
		case e := <-c.Events():
			s.t.Errorf("%s notices %T %v", name, e, e)
		default:
		}
		if st := c.Stats(); st.Lost != 0 || st.BadRecords != 0 {
			s.t.Errorf("%s: %+v", name, st)
		}
	}
	start := time.Now()
	late := s.member(4)
	want := client.Joined{Peer: s.net.Host(4).ID(), Addrs: s.net.Host(4).Addrs()}
	s.expect(s.anna, want)
	s.expect(s.ben, want)
	if d := time.Since(start); d > time.Second {
		s.t.Errorf("a newcomer was let in after %v", d)
	}
	if err := late.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *scene) refused(want server.Reason, atLeast uint64) {
	s.t.Helper()
	time.Sleep(100 * time.Millisecond) // virtual: what is on the way arrives
	st := s.lobby.Stats()
	if st.Refused[want] < atLeast {
		s.t.Errorf("refused %v, want %d of %s", st.Refused, atLeast, want)
	}
	for reason := range st.Refused {
		if reason != want {
			s.t.Errorf("refused %v, want only %s", st.Refused, want)
		}
	}
}

// raw is a stream to the lobby without a client.
type raw struct {
	network.Stream
	t *testing.T
	r *bufio.Reader
}

func (s *scene) open(h host.Host) *raw {
	s.t.Helper()
	st, err := h.NewStream(context.Background(), s.at, lobbywire.ProtocolID)
	if err != nil {
		s.t.Fatal(err)
	}
	return &raw{st, s.t, bufio.NewReader(st)}
}

func frame(t *testing.T, m *lobbywire.Message) []byte {
	t.Helper()
	b, err := lobbywire.AppendFrame(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send writes, as far as the lobby lets it.
func (r *raw) send(b []byte) bool {
	_, err := r.Write(b)
	return err == nil
}

// outcome reads until the stream ends and returns the code of the lobby's bye,
// or -1 without one, or -2 if the stream goes on for a while.
func (r *raw) outcome(d time.Duration) lobbywire.Code {
	_ = r.SetReadDeadline(time.Now().Add(d))
	for {
		m, _, err := lobbywire.ReadFrame(r.r)
		var timeout interface{ Timeout() bool }
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return -2
		case err != nil:
			return -1
		case m.GetBye() != nil:
			_ = r.Reset()
			return m.GetBye().GetCode()
		}
	}
}

func keyOf(h host.Host) crypto.PrivKey { return h.Peerstore().PrivKey(h.ID()) }

func sealed(t *testing.T, h host.Host) []byte {
	t.Helper()
	b, err := lobbywire.SealRecord(keyOf(h), h.Addrs())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func joinFrame(t *testing.T, code string, rec []byte) []byte {
	t.Helper()
	return frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Join{Join: &lobbywire.Join{Room: code, Record: rec}}})
}
