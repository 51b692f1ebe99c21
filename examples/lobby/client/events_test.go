package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestEventsThatNobodyReadsAreMerged(t *testing.T) {
	a, b := peer.ID("a"), peer.ID("b")
	x := []ma.Multiaddr{ma.StringCast("/ip4/1.2.3.4/tcp/1")}
	for name, c := range map[string]struct{ in, want []Event }{
		"all of different peers":       {[]Event{Joined{Peer: a}, Joined{Peer: b}, Left{Peer: a + "x"}}, []Event{Joined{Peer: a}, Joined{Peer: b}, Left{Peer: a + "x"}}},
		"came and went":                {[]Event{Joined{Peer: a}, Joined{Peer: b}, Left{Peer: a}}, []Event{Joined{Peer: b}}},
		"went and came":                {[]Event{Left{Peer: a}, Joined{Peer: a}}, []Event{Left{Peer: a}, Joined{Peer: a}}},
		"went, came and went":          {[]Event{Left{Peer: a}, Joined{Peer: a}, Left{Peer: a, Reason: Vanished}}, []Event{Left{Peer: a}}},
		"an update of who came":        {[]Event{Joined{Peer: a}, Updated{Peer: a, Addrs: x}}, []Event{Joined{Peer: a, Addrs: x}}},
		"two updates":                  {[]Event{Updated{Peer: a}, Joined{Peer: b}, Updated{Peer: a, Addrs: x}}, []Event{Updated{Peer: a, Addrs: x}, Joined{Peer: b}}},
		"an update of who went":        {[]Event{Updated{Peer: a, Addrs: x}, Left{Peer: a}}, []Event{Left{Peer: a}}},
		"lost and back":                {[]Event{LobbyLost{}, LobbyBack{}}, []Event{LobbyLost{}, LobbyBack{}}},
		"lost, back and lost":          {[]Event{LobbyLost{}, LobbyBack{}, LobbyLost{Reason: "x"}}, []Event{LobbyLost{}}},
		"back and lost":                {[]Event{LobbyBack{}, LobbyLost{}}, nil},
		"back and lost for good":       {[]Event{LobbyBack{}, LobbyLost{Final: true}}, []Event{LobbyBack{}, LobbyLost{Final: true}}},
		"came, was updated and left":   {[]Event{Joined{Peer: a}, Updated{Peer: a}, Left{Peer: a}}, nil},
		"left, came back, was updated": {[]Event{Left{Peer: a}, Joined{Peer: a}, Updated{Peer: a, Addrs: x}}, []Event{Left{Peer: a}, Joined{Peer: a, Addrs: x}}},
	} {
		q := newEventQueue()
		for _, e := range c.in {
			q.push(e)
		}
		if fmt.Sprint(q.events) != fmt.Sprint(c.want) && len(q.events)+len(c.want) > 0 {
			t.Errorf("%s: %v, want %v", name, q.events, c.want)
		}
	}
}

// Whatever is merged, an application that reads now and then ends up with what
// is so, and is never told nonsense; and what waits stays bounded.
func TestMergedEventsTellTheTruth(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		q := newEventQueue()
		const peers = 5
		actual, told := map[peer.ID]string{}, map[peer.ID]string{}
		deliver := func() bool {
			e, ok, _ := q.next()
			switch e := e.(type) {
			case Joined:
				if _, here := told[e.Peer]; here {
					t.Fatalf("seed %d: %s joined twice", seed, e.Peer)
				}
				told[e.Peer] = e.Name
			case Updated:
				if _, here := told[e.Peer]; !here {
					t.Fatalf("seed %d: %s updated and not there", seed, e.Peer)
				}
				told[e.Peer] = e.Name
			case Left:
				if _, here := told[e.Peer]; !here {
					t.Fatalf("seed %d: %s left and not there", seed, e.Peer)
				}
				delete(told, e.Peer)
			}
			return ok
		}
		for n := range 400 {
			id, name := peer.ID(rune('a'+rng.IntN(peers))), fmt.Sprint(n)
			_, here := actual[id]
			switch {
			case !here:
				actual[id] = name
				q.push(Joined{Peer: id, Name: name})
			case rng.IntN(2) == 0:
				actual[id] = name
				q.push(Updated{Peer: id, Name: name})
			default:
				delete(actual, id)
				q.push(Left{Peer: id})
			}
			if rng.IntN(10) == 0 {
				for range rng.IntN(4) {
					deliver()
				}
			}
			if len(q.events) > 2*peers {
				t.Fatalf("seed %d: %d events wait for %d peers", seed, len(q.events), peers)
			}
		}
		for deliver() {
		}
		if fmt.Sprint(actual) != fmt.Sprint(told) {
			t.Fatalf("seed %d: told %v, want %v", seed, told, actual)
		}
	}
}

func TestTheLastEventsAreDeliveredBeforeTheEnd(t *testing.T) {
	q := newEventQueue()
	q.push(Joined{Peer: "a"}, LobbyLost{Final: true})
	q.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.runPump(context.Background())
	}()
	var got []Event
	for e := range q.out {
		got = append(got, e)
	}
	<-done
	if want := []Event{Joined{Peer: "a"}, LobbyLost{Final: true}}; !slices.EqualFunc(got, want, func(a, b Event) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("%v, want %v", got, want)
	}
}
