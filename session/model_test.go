package session_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// model is what a session should be, in the simplest words.
type model struct {
	started bool
	muted   bool
	peers   map[identity.PeerID]bool
}

// action is one call on one member; actions of one round touch different parts
// of the model, so that their order doesn't matter.
type action struct {
	name string
	on   int
	peer identity.PeerID
	do   func(m *member) error
}

// TestRandomSequences makes random calls from several goroutines at once, on
// several members that see each other, and compares with the model after each
// round; in the end those hear each other who should.
func TestRandomSequences(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			net := sessiontest.Config{Seed: seed, Link: sessiontest.LinkConfig{Delay: 15 * time.Millisecond, Loss: 0.02, Jitter: 3 * time.Millisecond, Duplicate: 0.01, Reorder: 0.01}}
			party(t, net, func(t *testing.T, net *sessiontest.Network) { randomSequence(t, net, seed) })
		})
	}
}

func randomSequence(t *testing.T, net *sessiontest.Network, seed uint64) {
	const members, rounds = 4, 10
	rng := rand.New(rand.NewPCG(seed, 99))
	var all []*member
	models := make([]model, members)
	for n := range members {
		all = append(all, newMember(t, net, n, tone(200+100*float64(n), 0.1)))
		models[n].peers = map[identity.PeerID]bool{}
	}
	defer closeAll(t, all...)
	for range rounds {
		playRound(t, rng, all, models)
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		for n, m := range all {
			checkState(t, m, &models[n])
		}
	}
	checkWhoHearsWhom(t, all, models)
}

// playRound draws an action for each member's life, mute and each of its
// peers, and does them all at once.
func playRound(t *testing.T, rng *rand.Rand, all []*member, models []model) {
	var actions []action
	for n := range all {
		switch rng.IntN(6) {
		case 0, 1:
			actions = append(actions, action{"Start", n, "", func(m *member) error { return m.Start(context.Background()) }})
		case 2:
			actions = append(actions, action{"Stop", n, "", func(m *member) error { return m.Stop() }})
		case 3:
			muted := rng.IntN(2) == 0
			models[n].muted = muted
			actions = append(actions, action{"SetMuted", n, "", func(m *member) error { m.SetMuted(muted); return nil }})
		}
		for k := range all {
			id := all[k].id
			switch rng.IntN(4) {
			case 0, 1:
				actions = append(actions, action{"PeerJoined", n, id, func(m *member) error { return m.PeerJoined(id) }})
			case 2:
				actions = append(actions, action{"PeerLeft", n, id, func(m *member) error { return m.PeerLeft(id) }})
			}
		}
	}
	rng.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
	results := make([]error, len(actions))
	var wg sync.WaitGroup
	for i, a := range actions {
		wg.Go(func() { results[i] = a.do(all[a.on]) })
	}
	wg.Wait()
	applyRound(t, actions, results, all, models)
}

// applyRound does to the model what was done to the sessions. Where a call ran
// beside Start or Stop its result says which came first.
func applyRound(t *testing.T, actions []action, results []error, all []*member, models []model) {
	t.Helper()
	for n := range all {
		m := &models[n]
		was, starts, stops := m.started, false, false
		for i, a := range actions {
			if a.on != n {
				continue
			}
			switch a.name {
			case "Start":
				starts = true
				if want := wantStart(was); !errors.Is(results[i], want) {
					t.Errorf("Start of member %d: %v, want %v", n, results[i], want)
				}
			case "Stop":
				stops = true
				if results[i] != nil {
					t.Errorf("Stop of member %d: %v", n, results[i])
				}
			}
		}
		m.started = (was || starts) && !stops
		for i, a := range actions {
			if a.on != n || a.peer == "" {
				continue
			}
			err := results[i]
			may := errors.Is(err, session.ErrNotStarted) && (!was || stops) || err == nil && (was || starts)
			if !may {
				t.Errorf("%s on member %d (started %t, starting %t, stopping %t): %v", a.name, n, was, starts, stops, err)
			}
			if err == nil && a.peer != all[n].id {
				m.peers[a.peer] = a.name == "PeerJoined"
			}
		}
		if !m.started {
			clear(m.peers)
		}
	}
}

func wantStart(started bool) error {
	if started {
		return session.ErrStarted
	}
	return nil
}

func checkState(t *testing.T, m *member, want *model) {
	t.Helper()
	got := m.Peers()
	var joined []identity.PeerID
	for id, in := range want.peers {
		if in {
			joined = append(joined, id)
		}
	}
	slices.Sort(got)
	slices.Sort(joined)
	if !slices.Equal(got, joined) {
		t.Errorf("peers of %s: %v, want %v", m.id, got, joined)
	}
	if st := m.Stats(); st.Started != want.started || m.Muted() != want.muted {
		t.Errorf("%s: started %t muted %t, want %t %t", m.id, st.Started, m.Muted(), want.started, want.muted)
	}
}

// checkWhoHearsWhom lets everything settle, then compares who is heard with the
// model.
func checkWhoHearsWhom(t *testing.T, all []*member, models []model) {
	t.Helper()
	time.Sleep(4 * time.Second)
	heard := func() map[[2]int]uint64 {
		h := map[[2]int]uint64{}
		for i, m := range all {
			for _, p := range m.Stats().Peers {
				for k := range all {
					if all[k].id == p.ID {
						h[[2]int{i, k}] = p.Jitter.PlayedSamples
					}
				}
			}
		}
		return h
	}
	before := heard()
	time.Sleep(time.Second)
	after := heard()
	for i := range all {
		for k := range all {
			if i == k {
				continue
			}
			should := models[i].peers[all[k].id] && models[k].peers[all[i].id] && !models[k].muted
			does := after[[2]int{i, k}] > before[[2]int{i, k}]
			if should != does {
				t.Errorf("member %d hears %d: %t, want %t; Why: %s", i, k, does, should, all[i].Why(all[k].id))
			}
		}
	}
}
