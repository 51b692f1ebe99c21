package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/lobbywire"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

func TestRecordsOfOthersDontJoin(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, s *scene) []byte{
		"Ben's own record, played back": func(t *testing.T, s *scene) []byte { return sealed(t, s.net.Host(2)) },
		"Ben's ID, signed by another": func(t *testing.T, s *scene) []byte {
			e, err := record.Seal(&peer.PeerRecord{PeerID: s.net.Host(2).ID(), Seq: 1 << 62, Addrs: s.bad.Addrs()}, keyOf(s.bad))
			if err != nil {
				t.Fatal(err)
			}
			b, err := e.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		"a signature that is wrong": func(t *testing.T, s *scene) []byte {
			b := sealed(t, s.bad)
			b[len(b)-1] ^= 1
			return b
		},
		"no record": func(*testing.T, *scene) []byte { return nil },
		"33 addresses": func(t *testing.T, s *scene) []byte {
			rec := &peer.PeerRecord{PeerID: s.bad.ID(), Seq: 1, Addrs: slices.Repeat([]ma.Multiaddr{ma.StringCast("/ip4/1.2.3.4/tcp/1")}, 33)}
			e, err := record.Seal(rec, keyOf(s.bad))
			if err != nil {
				t.Fatal(err)
			}
			b, err := e.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, server.Config{}, func(s *scene) {
				r := s.open(s.bad)
				r.send(joinFrame(t, room, forge(t, s)))
				if got := r.outcome(time.Second); got != lobbywire.Code_BAD_RECORD {
					t.Errorf("bye %v", got)
				}
				s.refused(server.BadRecord, 1)
			})
		})
	}
}

// What is no join, or none that can be read.
func TestNonsenseInPlaceOfAJoin(t *testing.T) {
	long := func(n int) []byte {
		return frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Update{Update: &lobbywire.Update{Record: make([]byte, n)}}})
	}
	name65 := append([]byte{75, 0x0a, 73, 0x0a, 4, 'r', 'o', 'o', 'm', 0x12, 65}, []byte(strings.Repeat("x", 65))...)
	for name, c := range map[string]struct {
		bytes  []byte
		reason server.Reason
	}{
		"a name of 10 MB":    {append([]byte{0x8f, 0x80, 0x80, 0x05}, name65...), server.Malformed},
		"a name of 65 bytes": {name65, server.Malformed},
		"no protobuf":        {[]byte{3, 0xff, 0xff, 0xff}, server.Malformed},
		"a web browser":      {[]byte("GET / HTTP/1.1\r\nHost: lobby\r\nUser-Agent: " + strings.Repeat("x", 80) + "\r\n\r\n"), server.Malformed},
		"an update":          {long(100), server.Unexpected},
		"a beat":             {frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}}), server.Unexpected},
		"a welcome":          {frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Welcome{Welcome: &lobbywire.Welcome{}}}), server.Unexpected},
		"an empty message":   {[]byte{0}, server.Unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, server.Config{}, func(s *scene) {
				r := s.open(s.bad)
				r.send(c.bytes)
				if got := r.outcome(time.Second); got != lobbywire.Code_MALFORMED {
					t.Errorf("bye %v", got)
				}
				s.refused(c.reason, 1)
			})
		})
	}
}

// inOtherRoom joins a room without innocents.
func (s *scene) inOtherRoom() *raw {
	s.t.Helper()
	r := s.open(s.bad)
	r.send(joinFrame(s.t, "other room", sealed(s.t, s.bad)))
	for {
		_ = r.SetReadDeadline(time.Now().Add(time.Second))
		m, _, err := lobbywire.ReadFrame(r.r)
		if err != nil {
			s.t.Fatal(err)
		}
		if m.GetMembers().GetLast() {
			return r
		}
	}
}

func TestMembersThatMisbehave(t *testing.T) {
	beat := frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}})
	later := append([]byte{0xc8, 0x65, 0xea, 0x04, 0xc4, 0x65}, make([]byte, 13000-4)...) // field 77, unknown: 13 KB
	for name, c := range map[string]struct {
		do     func(s *scene, r *raw)
		code   lobbywire.Code
		reason server.Reason
	}{
		"a flood of messages": {func(_ *scene, r *raw) {
			for range 1000 {
				r.send(beat)
			}
		}, lobbywire.Code_FLOOD, server.Messages},
		"a flood of bytes": {func(_ *scene, r *raw) {
			for range 20 {
				r.send(later)
			}
		}, lobbywire.Code_FLOOD, server.Bytes},
		"a flood of updates": {func(s *scene, r *raw) {
			for range 16 {
				r.send(frame(s.t, &lobbywire.Message{Kind: &lobbywire.Message_Update{Update: &lobbywire.Update{Record: sealed(s.t, s.bad)}}}))
				time.Sleep(60 * time.Millisecond)
			}
		}, lobbywire.Code_FLOOD, server.Updates},
		"an update of somebody else": {func(s *scene, r *raw) {
			r.send(frame(s.t, &lobbywire.Message{Kind: &lobbywire.Message_Update{Update: &lobbywire.Update{Record: sealed(s.t, s.net.Host(2))}}}))
		}, lobbywire.Code_BAD_RECORD, server.BadRecord},
		"an old update": {func(s *scene, r *raw) {
			e, err := record.Seal(&peer.PeerRecord{PeerID: s.bad.ID(), Seq: 1}, keyOf(s.bad))
			if err != nil {
				s.t.Fatal(err)
			}
			b, err := e.Marshal()
			if err != nil {
				s.t.Fatal(err)
			}
			r.send(frame(s.t, &lobbywire.Message{Kind: &lobbywire.Message_Update{Update: &lobbywire.Update{Record: b}}}))
		}, lobbywire.Code_BAD_RECORD, server.BadRecord},
		"a second join": {func(s *scene, r *raw) { r.send(joinFrame(s.t, room, sealed(s.t, s.bad))) }, lobbywire.Code_MALFORMED, server.Unexpected},
		"what the lobby says": {func(s *scene, r *raw) {
			r.send(frame(s.t, &lobbywire.Message{Kind: &lobbywire.Message_Left{Left: &lobbywire.Left{Peer: []byte(s.net.Host(2).ID())}}}))
		}, lobbywire.Code_MALFORMED, server.Unexpected},
		"garbage": {func(_ *scene, r *raw) { r.send([]byte{0xff, 0xff, 0xff}) }, lobbywire.Code_MALFORMED, server.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, server.Config{}, func(s *scene) {
				r := s.inOtherRoom()
				c.do(s, r)
				if got := r.outcome(time.Second); got != c.code {
					t.Errorf("bye %v, want %v", got, c.code)
				}
				s.refused(c.reason, 1)
				time.Sleep(3 * time.Second)
				if st := s.lobby.Stats(); st.Members != 2 || st.Rooms != 1 {
					t.Errorf("it is still there: %+v", st)
				}
			})
		})
	}
}

// A message of a kind that this version doesn't know is none to be refused.
func TestMessagesOfALaterVersionAreIgnored(t *testing.T) {
	inScene(t, server.Config{}, func(s *scene) {
		r := s.inOtherRoom()
		r.send([]byte{6, 0xea, 0x04, 3, 'n', 'e', 'w'})
		if got := r.outcome(5 * time.Second); got != -2 {
			t.Errorf("bye %v", got)
		}
		if st := s.lobby.Stats(); len(st.Refused) > 0 || st.Members != 3 {
			t.Errorf("%+v", st)
		}
		_ = r.Reset()
	})
}

func TestHalfOpenStreams(t *testing.T) {
	t.Run("too many", func(t *testing.T) {
		inScene(t, server.Config{}, func(s *scene) {
			var open []*raw
			for range 20 {
				r := s.open(s.bad)
				r.send([]byte{100}) // the length of a message that never comes
				open = append(open, r)
			}
			s.refused(server.HalfOpen, 12)
			if st := s.lobby.Stats(); st.HalfOpen != 8 {
				t.Errorf("%+v", st)
			}
			for _, r := range open {
				_ = r.Reset()
			}
			time.Sleep(time.Second)
			if st := s.lobby.Stats(); st.HalfOpen != 0 {
				t.Errorf("%d are still open", st.HalfOpen)
			}
		})
	})
	t.Run("for too long", func(t *testing.T) {
		inScene(t, server.Config{}, func(s *scene) {
			r := s.open(s.bad)
			r.send([]byte{100})
			start := time.Now()
			if got := r.outcome(20 * time.Second); got != -1 {
				t.Errorf("bye %v", got)
			}
			if d := time.Since(start); d < 4*time.Second || d > 6*time.Second {
				t.Errorf("ended after %v, want 5 s", d)
			}
			s.refused(server.NoJoin, 1)
		})
	})
	t.Run("at the end of the lobby", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			net := p2ptest.NewNetwork(t, p2ptest.Config{})
			s := &scene{t: t, lobby: server.New(net.Host(0), server.Config{}), net: net, at: net.Host(0).ID()}
			if err := net.Connect(1, 0); err != nil {
				t.Fatal(err)
			}
			r := s.open(net.Host(1))
			r.send([]byte{100})
			time.Sleep(time.Second)
			start := time.Now()
			_ = s.lobby.Close()
			if d := time.Since(start); d > time.Second {
				t.Errorf("Close took %v", d)
			}
			if got := r.outcome(time.Second); got != -1 {
				t.Errorf("bye %v", got)
			}
		})
	})
}

func TestGuessingOfCodes(t *testing.T) {
	inScene(t, server.Config{}, func(s *scene) {
		let := 0
		for n := range 40 {
			r := s.open(s.bad)
			r.send(joinFrame(t, fmt.Sprintf("guess %d", n), sealed(t, s.bad)))
			r.send(frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Leave{Leave: &lobbywire.Leave{}}}))
			switch got := r.outcome(time.Second); got {
			case -1:
				let++
			case lobbywire.Code_TOO_MANY:
			default:
				t.Fatalf("bye %v", got)
			}
			time.Sleep(300 * time.Millisecond)
		}
		if let != 12 {
			t.Errorf("%d of 40 codes were tried", let)
		}
		s.refused(server.PeerCodes, 28)
	})
}

// A member that never reads is dropped, and those in the same room don't wait
// for it.
func TestAMemberThatNeverReads(t *testing.T) {
	limits := server.Limits{PeerJoins: -1, PeerBytes: -1, PeerMessages: -1}
	synctest.Test(t, func(t *testing.T) {
		net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: 4})
		lobby := server.New(net.Host(0), server.Config{Limits: limits})
		defer lobby.Close()
		s := &scene{t: t, lobby: lobby, net: net, bad: net.Host(3), at: net.Host(0).ID()}
		anna := s.member(1)
		defer anna.Close()
		deaf, noisy := net.Host(3), net.Host(2)
		for _, n := range []int{2, 3} {
			if err := net.Connect(n, 0); err != nil {
				t.Fatal(err)
			}
		}
		stuck := s.open(deaf)
		stuck.send(joinFrame(t, room, sealed(t, deaf)))
		// Somebody comes and goes, each time with 8 KB of addresses.
		var addrs []ma.Multiaddr
		for n := range 16 {
			addrs = append(addrs, ma.StringCast(fmt.Sprintf("/dns4/%s%d/tcp/1", strings.Repeat("x", 400), n)))
		}
		rounds, late := 0, 0
		for ; rounds < 1000 && lobby.Stats().Refused[server.Slow] == 0; rounds++ {
			rec, err := lobbywire.SealRecord(keyOf(noisy), addrs)
			if err != nil {
				t.Fatal(err)
			}
			r := s.open(noisy)
			start := time.Now()
			r.send(joinFrame(t, room, rec))
			for came := false; !came; {
				e := <-anna.Events()
				j, ok := e.(client.Joined)
				came = ok && j.Peer == noisy.ID()
			}
			if time.Since(start) > 200*time.Millisecond {
				late++
			}
			// Not before: a Left takes away a Joined that nobody has read.
			r.send(frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Leave{Leave: &lobbywire.Leave{}}}))
			for left := false; !left; {
				e := <-anna.Events()
				l, ok := e.(client.Left)
				left = ok && l.Peer == noisy.ID()
			}
			_ = r.Reset()
			// The deaf one beats, or its silence would end it.
			stuck.send(frame(t, &lobbywire.Message{Kind: &lobbywire.Message_Beat{Beat: &lobbywire.Beat{}}}))
		}
		t.Logf("dropped after %d rounds of 7 KB", rounds)
		if st := lobby.Stats(); st.Refused[server.Slow] != 1 {
			t.Fatalf("the deaf member is still served: %+v", st)
		}
		if late > 0 {
			t.Errorf("the others waited in %d of %d rounds", late, rounds)
		}
		time.Sleep(3 * time.Second)
		if st := lobby.Stats(); st.Members != 1 || st.Silent != 0 {
			t.Errorf("%+v", st)
		}
		if st := anna.Stats(); st.Lost != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAThousandGarbageStreamsDisturbNobody(t *testing.T) {
	inScene(t, server.Config{}, func(s *scene) {
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 1000 {
			st, err := s.bad.NewStream(context.Background(), s.at, lobbywire.ProtocolID)
			if err != nil {
				t.Fatal(err)
			}
			g := make([]byte, random.IntN(600))
			for j := range g {
				g[j] = byte(random.Uint32())
			}
			switch i % 4 {
			case 0:
				g = append([]byte{byte(random.IntN(128))}, g...)
			case 1:
				g = joinFrame(t, room, sealed(t, s.bad))[:random.IntN(100)]
			case 2:
				g = append(joinFrame(t, "other room", sealed(t, s.bad)), g...)
			}
			_, _ = st.Write(g)
			if i%3 == 0 {
				_ = st.CloseWrite()
			}
			time.Sleep(20 * time.Millisecond)
			_ = st.Reset()
		}
		time.Sleep(5 * time.Second)
		st := s.lobby.Stats()
		if st.Members != 2 || st.HalfOpen != 0 || st.Refused[server.Malformed] == 0 || st.Refused[server.PeerJoins] == 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestFullRoomsSayWhy(t *testing.T) {
	inScene(t, server.Config{Limits: server.Limits{RoomMembers: 3}}, func(s *scene) {
		r := s.open(s.bad)
		r.send(joinFrame(t, room, sealed(t, s.bad)))
		s.expect(s.anna, client.Joined{Peer: s.bad.ID(), Addrs: s.bad.Addrs()})
		s.expect(s.ben, client.Joined{Peer: s.bad.ID(), Addrs: s.bad.Addrs()})
		lobby := s.net.Host(0)
		_, err := client.Join(context.Background(), s.net.Host(4), client.Config{Lobby: peer.AddrInfo{ID: lobby.ID(), Addrs: lobby.Addrs()}, Room: room})
		if !errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), "full") {
			t.Errorf("%v, want ErrRefused", err)
		}
		s.refused(server.RoomFull, 1)
		_ = r.Reset()
		time.Sleep(3 * time.Second)
		left := client.Left{Peer: s.bad.ID(), Reason: client.Vanished}
		s.expect(s.anna, left)
		s.expect(s.ben, left)
	})
}
