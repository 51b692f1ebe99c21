package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// act changes something at random, and returns how long it may take.
func (p *plaza) act(rng *rand.Rand) (what string, slack time.Duration) {
	n := rng.IntN(plazaMembers)
	m, is := p.all[n], &p.is[n]
	room := plazaRooms[rng.IntN(len(plazaRooms))]
	other := (n + 1 + rng.IntN(plazaMembers-1)) % plazaMembers
	switch rng.IntN(22) {
	case 0, 1, 2, 3:
		must(p.t, m.Listen(room))
		is.rooms[room], is.named = true, true
		return fmt.Sprintf("%d listens to %s", n, room), plazaSlack
	case 4, 5, 6:
		must(p.t, m.Leave(room))
		delete(is.rooms, room)
		return fmt.Sprintf("%d leaves %s", n, room), plazaSlack
	case 7:
		m.ListenToAll()
		clear(is.rooms)
		is.named = is.decides
		return fmt.Sprintf("%d listens to all", n), plazaSlack
	case 8, 9, 10:
		return p.speak(n, rng, session.Room(room)), plazaSlack
	case 11, 12:
		return p.speak(n, rng, session.Whisper(p.all[other].id)), plazaSlack
	case 13:
		return p.speak(n, rng, session.Everyone()), plazaSlack
	case 14:
		is.muted = !is.muted && rng.IntN(3) == 0
		m.SetMuted(is.muted)
		return fmt.Sprintf("%d muted: %t", n, is.muted), plazaSlack
	case 15:
		is.deafened = rng.IntN(3) == 0
		m.SetDeafened(is.deafened)
		p.ears[n].settle(plazaFade)
		return fmt.Sprintf("%d deafened: %t", n, is.deafened), plazaSlack
	case 16, 17:
		is.blocked[other] = !is.blocked[other] && rng.IntN(2) == 0
		m.SetPeerBlocked(p.all[other].id, is.blocked[other])
		p.ears[n].settle(plazaFade)
		return fmt.Sprintf("%d blocks %d: %t", n, other, is.blocked[other]), plazaSlack
	case 18:
		is.token = !is.token
		var token []byte
		if is.token {
			token = plazaToken
		}
		must(p.t, m.SetToken(token))
		return fmt.Sprintf("%d has the key: %t", n, is.token), plazaSlack + time.Second + 100*time.Millisecond
	case 19, 20:
		is.silenced[other] = !is.silenced[other] && rng.IntN(2) == 0
		m.SetPeerMuted(p.all[other].id, is.silenced[other])
		p.ears[n].settle(plazaFade)
		return fmt.Sprintf("%d silences %d: %t", n, other, is.silenced[other]), plazaFade
	}
	return p.come(p.missing(n, other)), plazaJoin
}

// missing returns who is to come or go: who is away before all others.
func (p *plaza) missing(n, other int) (int, int) {
	for k := range p.is {
		if !p.is[k].started {
			return k, other
		}
	}
	for k := range p.is {
		for o := range p.is {
			if k != o && !p.is[k].joined[o] {
				return k, o
			}
		}
	}
	return n, other
}

// speak opens a channel, or closes one if there are some.
func (p *plaza) speak(n int, rng *rand.Rand, to session.Target) string {
	is := &p.is[n]
	if len(is.channels) > 0 && rng.IntN(5) < 2 || len(is.channels) > 5 {
		i := rng.IntN(len(is.channels))
		c := is.channels[i]
		c.Close()
		is.channels = slices.Delete(is.channels, i, i+1)
		return fmt.Sprintf("%d ends speaking %s", n, c.Target())
	}
	c, err := p.all[n].Speak(to)
	must(p.t, err)
	is.addressed = true
	is.channels = append(is.channels, c)
	return fmt.Sprintf("%d speaks %s", n, to)
}

// come makes a member take another one off its list or put it there, or leave
// and come back.
func (p *plaza) come(n, other int) string {
	m, is := p.all[n], &p.is[n]
	p.ears[n].settle(plazaFade) // of who was heard and isn't on the list any more
	switch {
	case !is.started:
		must(p.t, m.Start(context.Background()))
		is.started = true
		for k := range p.all {
			if k != n {
				must(p.t, m.PeerJoined(p.all[k].id))
				is.joined[k] = true
			}
		}
		return fmt.Sprintf("%d starts", n)
	case n < other:
		is.started = false
		clear(is.joined)
		p.updateLocked(plazaJoin)
		p.mu.Unlock() // taps are waited for
		must(p.t, m.Stop())
		p.mu.Lock()
		return fmt.Sprintf("%d stops", n)
	case is.joined[other]:
		must(p.t, m.PeerLeft(p.all[other].id))
		delete(is.joined, other)
		return fmt.Sprintf("%d takes %d off", n, other)
	}
	must(p.t, m.PeerJoined(p.all[other].id))
	is.joined[other] = true
	return fmt.Sprintf("%d takes %d in", n, other)
}

// Eight peers in four rooms, who whisper, come and go, mute themselves and each other,
// deafen and block, for half an hour: each 10 ms of what each hears of each other, and
// of all together, is what the simplest model says, as soon as a round trip allows, and
// no packet goes to somebody who is not to get it.
func TestWhoHearsWhomInRooms(t *testing.T) {
	lengths := slices.Repeat([]time.Duration{10 * time.Minute}, 3)
	switch {
	case raceEnabled:
		lengths = []time.Duration{30 * time.Second} // many times as much work
	case testing.Short():
		lengths = []time.Duration{2 * time.Minute}
	}
	for seed, length := range lengths {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			t.Parallel()
			plazaFor(t, length, uint64(seed+1))
		})
	}
}

func TestSoakWhoHearsWhomInRooms(t *testing.T) {
	if os.Getenv("PARLEY_SOAK") == "" {
		t.Skip("ten times half an hour takes minutes: make soak")
	}
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed %d", 101+seed), func(t *testing.T) { plazaFor(t, 30*time.Minute, 101+seed) })
	}
}

// plazaFor checks who hears whom for a time of random changes.
func plazaFor(t *testing.T, length time.Duration, seed uint64) {
	t.Helper()
	net := sessiontest.Config{Link: sessiontest.LinkConfig{Delay: plazaRTT / 2}}
	party(t, net, func(t *testing.T, net *sessiontest.Network) {
		p := newPlaza(t, net)
		defer closeAll(t, p.all...)
		rng := rand.New(rand.NewPCG(seed, 2))
		p.mu.Lock()
		for n := range p.all {
			p.come(n, 0)
		}
		p.updateLocked(plazaJoin)
		p.mu.Unlock()
		var trace []string
		for end := time.Now().Add(length); time.Now().Before(end) && !p.failed(); {
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
			p.mu.Lock()
			what, slack := p.act(rng)
			p.updateLocked(slack)
			trace = append(trace, what)
			p.mu.Unlock()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.over = true
		p.judgeLocked(length, trace)
	})
}

// judgeLocked says what came of it, and fails if too little was checked.
func (p *plaza) judgeLocked(length time.Duration, trace []string) {
	if p.failures > 0 {
		p.t.Errorf("%d failures; before them: %q", p.failures, trace[max(0, len(trace)-20):])
	}
	var whole, without int
	for _, ear := range p.ears {
		whole, without = whole+ear.blocks[0], without+ear.blocks[1]
	}
	lasts := func(blocks int) time.Duration {
		return (time.Duration(blocks) * audio.BlockDuration).Round(time.Second)
	}
	p.t.Logf("%d changes; checked %v heard and %v silent, %v of mixes, %v of them without somebody who speaks; %d packets",
		len(trace), lasts(p.blocks[1]), lasts(p.blocks[0]), lasts(whole), lasts(without), p.packets)
	one := int(length / audio.BlockDuration) // pair's, or member's, blocks
	if p.blocks[0] < one || p.blocks[1] < one || whole < 6*one || length >= 10*time.Minute && without < one/4 {
		p.t.Errorf("too little was checked in %v", length)
	}
}
