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
	started  bool
	muted    bool
	deafened bool
	peers    map[identity.PeerID]bool
}

func (m model) String() string {
	var ids []string
	for id := range m.peers {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return fmt.Sprintf("started %t, muted %t, deafened %t, with %v", m.started, m.muted, m.deafened, ids)
}

// call is one call on one member, with what it returned.
type call struct {
	name   string
	on     int
	peer   identity.PeerID
	do     func(m *member) error
	result error
}

// TestRandomSequences makes random calls from several goroutines at once, on
// several members that see each other, and compares with the model after each
// round; in the end those hear each other who should. Calls of one round may
// contradict each other: then the model takes any order in which they could
// have come.
func TestRandomSequences(t *testing.T) {
	for seed := range seeds(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
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
	}
	checkWhoHearsWhom(t, all, models)
}

// playRound draws calls for each member's life, its mute and deafening, and each
// of its peers, and makes them all at once.
func playRound(t *testing.T, rng *rand.Rand, all []*member, models []model) {
	t.Helper()
	var calls []*call
	add := func(name string, on int, peer identity.PeerID, do func(m *member) error) {
		calls = append(calls, &call{name: name, on: on, peer: peer, do: do})
	}
	for n := range all {
		life := rng.IntN(8)
		if life < 3 || life == 7 {
			add("Start", n, "", func(m *member) error { return m.Start(context.Background()) })
		}
		if life == 3 || life == 7 {
			add("Stop", n, "", func(m *member) error { return m.Stop() })
		}
		for range rng.IntN(3) {
			on := rng.IntN(2) == 0
			if rng.IntN(2) == 0 {
				add("SetMuted", n, "", func(m *member) error { m.SetMuted(on); return nil })
			} else {
				add("SetDeafened", n, "", func(m *member) error { m.SetDeafened(on); return nil })
			}
		}
		for k := range all {
			id := all[k].id
			what := rng.IntN(6)
			if what < 3 {
				add("PeerJoined", n, id, func(m *member) error { return m.PeerJoined(id) })
			}
			if what == 2 || what == 3 {
				add("PeerLeft", n, id, func(m *member) error { return m.PeerLeft(id) })
			}
		}
	}
	rng.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(func() { c.result = c.do(all[c.on]) })
	}
	wg.Wait()
	for n, m := range all {
		own := slices.DeleteFunc(slices.Clone(calls), func(c *call) bool { return c.on != n })
		after := observe(m)
		if !explains(models[n], own, after, m.id) {
			var said []string
			for _, c := range own {
				said = append(said, fmt.Sprintf("%s(%s) = %v", c.name, c.peer, c.result))
			}
			t.Errorf("member %d was %v and is %v; no order explains that of %q", n, models[n], after, said)
		}
		models[n] = after
	}
}

// observe makes a model of what a session says of itself.
func observe(m *member) model {
	after := model{started: m.Stats().Started, muted: m.Muted(), deafened: m.Deafened(), peers: map[identity.PeerID]bool{}}
	for _, id := range m.Peers() {
		after.peers[id] = true
	}
	return after
}

// explains tells whether there is an order of the calls with which a session
// that was before is after, and all returned what they did.
func explains(before model, calls []*call, after model, self identity.PeerID) bool {
	var life, mute, deafen []*call
	of := map[identity.PeerID][]*call{}
	for id := range before.peers {
		of[id] = nil
	}
	for id := range after.peers {
		of[id] = nil
	}
	for _, c := range calls {
		switch c.name {
		case "Start", "Stop":
			life = append(life, c)
		case "SetMuted":
			mute = append(mute, c)
		case "SetDeafened":
			deafen = append(deafen, c)
		default:
			of[c.peer] = append(of[c.peer], c)
		}
	}
	if len(mute) == 0 && after.muted != before.muted || len(deafen) == 0 && after.deafened != before.deafened {
		return false
	}
	for _, order := range orders(life) {
		all := true
		for id, own := range of {
			all = all && slices.ContainsFunc(orders(slices.Concat(order, own)), func(o []*call) bool {
				return inOrder(o, order) && replay(before, o, id, self, after)
			})
		}
		if all && (len(of) > 0 || replay(before, order, "", self, after)) {
			return true
		}
	}
	return false
}

// orders are all the orders that calls can come in.
func orders(calls []*call) [][]*call {
	if len(calls) == 0 {
		return [][]*call{nil}
	}
	var all [][]*call
	for i, c := range calls {
		for _, rest := range orders(slices.Delete(slices.Clone(calls), i, i+1)) {
			all = append(all, append([]*call{c}, rest...))
		}
	}
	return all
}

// inOrder tells whether the calls of part come in o in the order of part.
func inOrder(o, part []*call) bool {
	for _, c := range o {
		if len(part) > 0 && c == part[0] {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// replay makes calls one after the other on the model, as far as they concern a
// peer, and reports whether they return what they did and end as they did.
func replay(m model, calls []*call, id, self identity.PeerID, after model) bool {
	started, there := m.started, m.peers[id]
	for _, c := range calls {
		var want error
		switch c.name {
		case "Start":
			if errors.Is(c.result, context.Canceled) { // by the Stop beside it
				if !slices.ContainsFunc(calls, func(c *call) bool { return c.name == "Stop" }) {
					return false
				}
				continue
			}
			if started {
				want = session.ErrStarted
			}
			started = true
		case "Stop":
			started, there = false, false
		case "PeerJoined", "PeerLeft":
			if !started {
				want = session.ErrNotStarted
				break
			}
			there = c.name == "PeerJoined" && id != self
		}
		if !errors.Is(c.result, want) {
			return false
		}
	}
	return started == after.started && there == after.peers[id]
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
			should := models[i].peers[all[k].id] && models[k].peers[all[i].id] && !models[k].muted && !models[i].deafened
			does := after[[2]int{i, k}] > before[[2]int{i, k}]
			if should != does {
				t.Errorf("member %d hears %d: %t, want %t; Why: %s", i, k, does, should, all[i].Why(all[k].id))
			}
		}
	}
}
