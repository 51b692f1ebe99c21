package session_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/sessiontest"
)

// Two moderators contradict each other while ways break, and people come and go. When
// all can talk again all agree: the newest that was said about each counts.
func TestRandomRulingsConverge(t *testing.T) {
	for seed := range seeds(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			party(t, sessiontest.Config{Seed: seed, Link: nearby.Link}, func(t *testing.T, net *sessiontest.Network) { randomRulings(t, net, seed) })
		})
	}
}

func randomRulings(t *testing.T, net *sessiontest.Network, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	var all []*member
	for n := range 5 {
		all = append(all, naming(t, net, n, nil, 0, 1))
	}
	defer closeAll(t, all...)
	meet(t, all...)
	muted := map[identity.PeerID]bool{}
	for range 60 {
		i, k := rng.IntN(5), rng.IntN(5)
		switch m, o := all[i], all[k]; {
		case i == k:
		case i < 2 && rng.IntN(2) == 0:
			if muted[o.id] = rng.IntN(3) > 0; muted[o.id] {
				must(t, m.MuteForAll(o.id, ""))
			} else {
				must(t, m.UnmuteForAll(o.id))
			}
		case rng.IntN(3) > 0:
			net.Cut(m.id, o.id)
		case rng.IntN(2) == 0:
			net.Restore(m.id, o.id)
		default:
			must(t, o.Stop())
			o.start(t)
			o.joined(t, all...)
			for _, m := range all {
				must(t, m.PeerLeft(o.id))
				m.joined(t, o)
			}
		}
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
	}
	for i, m := range all {
		for _, o := range all[i+1:] {
			net.Restore(m.id, o.id)
		}
	}
	time.Sleep(10 * time.Second)
	for _, m := range all {
		st := m.Stats()
		for _, p := range st.Peers {
			if p.Moderated != muted[p.ID] {
				t.Errorf("%s sees %s muted: %t, want %t", m.id, p.ID, p.Moderated, muted[p.ID])
			}
		}
		if st.Moderated != muted[m.id] || st.RulingsRefused != 0 || len(st.Peers) != len(all)-1 {
			t.Errorf("%s sees itself muted: %t, want %t; %d refused, %d peers", m.id, st.Moderated, muted[m.id], st.RulingsRefused, len(st.Peers))
		}
	}
}
