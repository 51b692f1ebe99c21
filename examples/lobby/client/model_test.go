package client_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/examples/lobby/client"
	"github.com/parley-voice/parley/examples/lobby/server"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// seat is where somebody may be: a host, what happened to its network, and who
// joined from there.
type seat struct {
	member *member // nil if nobody is in the room from here
	cut    bool
	saw    []peer.ID // what it saw last with a network
}

// TestRandomComingAndGoing has members join, leave, lose their network and get
// it back at random, and the lobby restart; after each step, and the time that
// the lobby's protocol allows, those with a network see just each other, and
// those without still see whom they saw.
func TestRandomComingAndGoing(t *testing.T) {
	seeds := uint64(12)
	if audiotest.UnderRaceDetector() {
		seeds = 3 // many times as much work
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomParty(t, rand.New(rand.NewPCG(seed, 3))) })
		})
	}
}

func randomParty(t *testing.T, rng *rand.Rand) {
	const seats, steps = 5, 25
	net := p2ptest.NewNetwork(t, p2ptest.Config{Hosts: seats + 1})
	lobby := server.New(net.Host(0), server.Config{})
	all := make([]seat, seats+1)
	defer func() {
		for i := range all {
			if all[i].member != nil {
				_ = all[i].member.Close()
			}
		}
		_ = lobby.Close()
	}()
	for step := range steps {
		i := 1 + rng.IntN(seats)
		s := &all[i]
		what := ""
		switch n := rng.IntN(10); {
		case n == 0:
			what = "the lobby restarts"
			_ = lobby.Close()
			lobby = server.New(net.Host(0), server.Config{})
		case n < 4 && s.member != nil && !s.cut:
			what = fmt.Sprintf("%d loses its network", i)
			s.cut, s.saw = true, ids(s.member)
			net.Cut(i)
		case s.cut:
			what = fmt.Sprintf("%d has its network back", i)
			s.cut = false
			net.Restore(i)
		case s.member == nil:
			what = fmt.Sprintf("%d joins", i)
			s.member = join(t, net.Host(i), client.Config{Lobby: info(net.Host(0))})
		default:
			what = fmt.Sprintf("%d leaves", i)
			_ = s.member.Close()
			s.member = nil
		}
		// 8 s until a cut is noticed, or until it is back; 8 s of grace; and
		// what QUIC needs to notice that a path works again.
		time.Sleep(30 * time.Second)
		if !agree(t, all) {
			t.Fatalf("after step %d, %s", step, what)
		}
	}
}

func agree(t *testing.T, all []seat) bool {
	t.Helper()
	ok := true
	var there []peer.ID
	for _, s := range all {
		if s.member != nil && !s.cut {
			there = append(there, s.member.id)
		}
	}
	slices.Sort(there)
	for i, s := range all {
		if s.member == nil {
			continue
		}
		want := slices.DeleteFunc(slices.Clone(there), func(id peer.ID) bool { return id == s.member.id })
		if s.cut {
			want = s.saw
		}
		if got := ids(s.member); !slices.Equal(got, want) {
			t.Errorf("%d (cut: %t) sees %v, want %v; events %q", i, s.cut, got, want, s.member.said())
			ok = false
		}
	}
	return ok
}

func ids(m *member) (out []peer.ID) {
	for _, o := range m.Members() {
		out = append(out, o.Peer)
	}
	return out
}
