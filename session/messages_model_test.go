package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// seeds is how many of all seeds a model is tried with: fewer under the race
// detector, which makes each many times as much work.
func seeds(all uint64) uint64 {
	if raceEnabled {
		return all / 6
	}
	return all
}

// Three write to each other while ways break and come back, some leave and come
// anew, and some don't read for a while. What one gets of another is always later
// than what came before, none twice; and if neither left, all of it.
func TestRandomMessagesComeInOrder(t *testing.T) {
	for seed := range seeds(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			cfg := sessiontest.Config{Seed: seed, Link: sessiontest.LinkConfig{Delay: 15 * time.Millisecond, Loss: 0.05, Jitter: 10 * time.Millisecond}}
			party(t, cfg, func(t *testing.T, net *sessiontest.Network) { randomMessages(t, net, seed) })
		})
	}
}

func randomMessages(t *testing.T, net *sessiontest.Network, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	all := []*member{newMember(t, net, 1, nil), newMember(t, net, 2, tone(440, 0.2)), newMember(t, net, 3, nil)}
	defer closeAll(t, all...)
	meet(t, all...)
	restarts := seed%2 == 1
	sent := map[identity.PeerID]int{} // numbers of what each sent
	missed := false                   // there was no room for something
	last, got := map[[2]identity.PeerID]int{}, map[[2]identity.PeerID]int{}
	read := func(m *member) {
		for len(m.Events()) > 0 {
			from, text := identity.PeerID(""), ""
			switch e := (<-m.Events()).(type) {
			case session.TextReceived:
				from, text = e.Peer, e.Text
			case session.DataReceived:
				from, text = e.Peer, string(e.Data)
			default:
				continue
			}
			n, size := 0, 0
			if _, err := fmt.Sscanf(text, "%d %d ", &n, &size); err != nil || len(text) != size {
				t.Errorf("a message of %d bytes came damaged: %v", len(text), err)
			}
			way := [2]identity.PeerID{from, m.id}
			if n <= last[way] {
				t.Errorf("number %d came after %d", n, last[way])
			}
			last[way] = n
			got[way]++
		}
	}
	for range 60 {
		m, o := all[rng.IntN(3)], all[rng.IntN(3)]
		switch op := rng.IntN(12); {
		case op < 6:
			sent[m.id]++
			size := 20 + rng.IntN(1+rng.IntN(3000))
			text := fmt.Sprintf("%d %d ", sent[m.id], size)
			text += strings.Repeat("x", size-len(text))
			if rng.IntN(2) == 0 {
				must(t, m.SendText(session.Everyone(), text))
			} else {
				must(t, m.SendData(session.Everyone(), "", []byte(text)))
			}
		case op == 6 && m != o:
			net.Cut(m.id, o.id)
		case op == 7:
			net.Restore(m.id, o.id)
		case op == 8 && restarts:
			must(t, m.Stop())
			m.start(t)
			m.joined(t, all...)
		case op == 9 && restarts && m != o:
			must(t, m.PeerLeft(o.id))
			m.joined(t, o)
		default:
			read(m)
		}
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	}
	for i, m := range all {
		for _, o := range all[i+1:] {
			net.Restore(m.id, o.id)
		}
	}
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		for _, m := range all {
			read(m)
		}
	}
	for _, m := range all {
		for _, o := range all {
			if m == o {
				continue
			}
			st := m.peer(t, o).Messages
			missed = missed || st.Dropped > 0
			if st.Waiting > 0 || o.peer(t, m).Messages.Flooded > 0 {
				t.Errorf("%d wait, %d parts came too fast", st.Waiting, o.peer(t, m).Messages.Flooded)
			}
			if n := got[[2]identity.PeerID{m.id, o.id}]; !restarts && st.Dropped == 0 && n != sent[m.id] {
				t.Errorf("%d of %d came", n, sent[m.id])
			}
		}
	}
	if missed && !restarts {
		t.Error("something was dropped")
	}
}
