//go:build linux

package integration_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/natlab"
)

// patience is how long a row waits for what has a bar before it gives up.
const patience = 30 * time.Second

// TestNATLab is the table of who can talk to whom, and what people notice of
// it.
func TestNATLab(t *testing.T) {
	requireLab(t)
	runRows(t, os.Stdout, natRows())
}

func natRows() []row {
	open := func(f natlab.Family) natlab.Home { return natlab.Home{NAT: natlab.NoNAT, Family: f} }
	nat, symmetric := natlab.Home{}, natlab.Home{NAT: natlab.Symmetric}
	tcpOnly := natlab.Home{BlockUDP: true}
	return []row{
		{name: "no NAT, known by address", bar: "direct, audio 1 s", run: knownByAddress},
		{name: "no NAT, IPv4", bar: "direct, audio 1 s", run: public(open(natlab.IPv4))},
		{name: "no NAT, IPv6 only", bar: "direct, audio 1 s", run: public(open(natlab.IPv6))},
		{name: "no NAT, IPv6 broken", bar: "direct, audio 1 s", run: public(open(natlab.BrokenIPv6))},
		{name: "NAT and NAT", bar: "relayed audio 2 s, punched 3 s later, nothing lost", run: punched},
		{name: "NAT and symmetric NAT", bar: "relayed, audio 2 s, stays up", run: relayed(nat, symmetric)},
		{name: "symmetric NATs", bar: "relayed, audio 2 s, stays up", run: relayed(symmetric, symmetric)},
		{name: "symmetric NAT is left", alone: true, bar: "audio back 1.5 s, punched 10 s later", run: symmetricLeft},
		{name: "UDP blocked on one side", bar: "TCP, audio 3 s", run: overTCP(nat, tcpOnly)},
		{name: "UDP blocked on both sides", bar: "TCP, audio 3 s", run: overTCP(tcpOnly, tcpOnly)},
		{name: "one LAN, no hairpin", bar: "lan 5 s, nothing lost", run: sameLAN},
		{name: "public address changes", bar: "audio back 1.5 s", run: addressChanges},
		{name: "direct path black-holed", bar: "audio back 1.5 s", run: blackHoled},
		{name: "relay killed, another known", bar: "audio back 3 s", run: relayKilled},
		{name: "only relay restarted", bar: "audio back 5 s", run: relayRestarted},
		{name: "limited relay, 60 s", bar: "nothing lost, no gap over 200 ms", run: limitedRelay(time.Minute)},
		{name: "limited relay, 5 min", bar: "nothing lost, no gap over 200 ms", soak: true, run: limitedRelay(5 * time.Minute)},
		{name: "one allows only relays", bar: "relayed, audio 2 s, no packet between the two", run: onlyRelayed},
		{name: "never relay, NATs", bar: "punched, voice never through the relay", run: neverRelayed},
		{name: "never relay, symmetric NATs", bar: "not reached, and says so", run: neverReached},
		{name: "lobby restarted", bar: "nothing lost, presence 10 s", run: lobbyRestarted},
		{name: "7 and 7 peers, one relay", bar: "all hear the talker", alone: true, run: func(t *testing.T, v *verdict) { crowd(t, v, 7) }},
		{name: "12 and 12 peers, one relay", bar: "all hear the talker", alone: true, soak: true, run: func(t *testing.T, v *verdict) { crowd(t, v, 12) }}, // too many for two slow processors
		{name: "member leaves", bar: "lists right 1 s", run: presence(time.Second, leaves)},
		{name: "member is killed", bar: "lists right 3 s", run: presence(3*time.Second, isKilled)},
		{name: "member's cable is pulled", bar: "lists right 15 s", run: presence(15*time.Second, isUnplugged)},
		{name: "member is suspended for 5 s", bar: "no leave", run: suspended},
		{name: "application's own streams", bar: "none reset or stalled", run: ownStreams},
	}
}

// knownByAddress needs no lobby: it shows that the lab and the measuring work.
func knownByAddress(t *testing.T, v *verdict) {
	s := &stage{t: t, lab: natlab.Start(t, natlab.Config{})}
	p := &pair{s: s}
	for i, name := range []string{"anna", "ben"} {
		p.homes[i] = s.lab.Household(t, natlab.Home{NAT: natlab.NoNAT})
		p.who[i] = s.speaker(p.homes[i], natlab.IPv4, name)
	}
	anna, ben := p.who[0], p.who[1]
	s.join(anna, "--peer", ben.id)
	list, err := anna.Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range list {
		if strings.Contains(address, anna.host.Addr4.String()+"/udp/") {
			s.join(ben, "--peer", address)
			break
		}
	}
	s.talk(8 * time.Second)
	cut := time.Now()
	p.homes[0].Unplug(t)
	s.talk(500 * time.Millisecond)
	p.homes[0].Plug(t)
	s.talk(5 * time.Second)
	both := p.end()
	v.conversation(p, both, time.Second)
	v.kind(both, "direct")
	for _, h := range both {
		// What was said while the cable was out and one way before.
		for _, g := range h.during(span{cut.Add(-200 * time.Millisecond), cut.Add(3 * time.Second)}).Gaps() {
			if g.Length() > 400*time.Millisecond && g.Length() < time.Second {
				v.notes = append(v.notes, "cable out for 0.5 s: gap of "+g.Length().String())
				return
			}
		}
	}
	v.fault("the cable was out for 0.5 s and no gap of about that was measured")
}

func public(home natlab.Home) func(*testing.T, *verdict) {
	return func(t *testing.T, v *verdict) {
		s := newStage(t, 0)
		p := s.pair(home, home)
		s.talk(10 * time.Second)
		both := p.end()
		v.conversation(p, both, time.Second)
		v.kind(both, "direct")
	}
}

func punched(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p := s.pair(natlab.Home{}, natlab.Home{})
	moved := p.onPath(patience, "punched", "direct")
	s.talk(8 * time.Second)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "punched", "direct")
	v.atMost("punched after the first audio", moved.Sub(p.together())-max(0, v.first), 3*time.Second)
	v.losesNothing(both, moved)
}

// staysUp is how long a gap may be that nobody takes for an end.
const staysUp = 200 * time.Millisecond

func relayed(a, b natlab.Home) func(*testing.T, *verdict) {
	return func(t *testing.T, v *verdict) {
		s := newStage(t, 1)
		p := s.pair(a, b)
		p.onPath(patience, "relayed")
		s.talk(25 * time.Second) // three attempts to punch take 15 s
		both := p.end()
		v.conversation(p, both, 2*time.Second)
		v.kind(both, "relayed")
		if v.gap > staysUp {
			v.fault("a gap of %v", v.gap)
		}
	}
}

// symmetricLeft shows that a direct way is tried again when the network changes:
// somebody comes home with a laptop from a network where none could be had.
func symmetricLeft(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p := s.pair(natlab.Home{}, natlab.Home{NAT: natlab.Symmetric})
	p.onPath(patience, "relayed")
	s.talk(40 * time.Second) // by now attempts are 20 s to a minute apart
	home := s.lab.Household(t, natlab.Home{})
	moved := time.Now()
	p.who[1].host.MoveTo(t, home)
	direct, there := p.comesToPath(patience, "punched", "direct")
	if there {
		s.talk(5 * time.Second)
	}
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "punched", "direct")
	if !there {
		return
	}
	v.back(both, moved, 1500*time.Millisecond)
	v.atMost("punched after the move", direct.Sub(moved), 10*time.Second)
}

func overTCP(a, b natlab.Home) func(*testing.T, *verdict) {
	return func(t *testing.T, v *verdict) {
		s := newStage(t, 1)
		p := s.pair(a, b)
		p.onPath(patience, "relayed", "punched", "direct")
		s.talk(12 * time.Second)
		tried := p.homes[0].Counters(t).UDP + p.homes[1].Counters(t).UDP
		both := p.end()
		v.conversation(p, both, 3*time.Second)
		for _, h := range both {
			if last := h.last(); last.kind != "relayed" && last.transport != "tcp" {
				v.fault("%s has a path %s, want TCP", h.listener.name, last)
			}
		}
		if tried > 0 {
			v.notes = append(v.notes, fmt.Sprintf("%d packets of UDP dropped", tried))
		}
	}
}

func sameLAN(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p := s.housemates(natlab.Home{})
	moved := p.onPath(patience, "lan")
	s.talk(8 * time.Second)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "lan")
	v.atMost("lan path after", moved.Sub(p.together()), 5*time.Second)
	v.losesNothing(both, moved)
	if n := p.homes[0].Counters(t).Hairpin; n > 0 {
		v.notes = append(v.notes, "the router dropped hairpins")
	}
}

func addressChanges(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p := s.pair(natlab.Home{}, natlab.Home{})
	p.onPath(patience, "punched", "direct")
	s.talk(6 * time.Second)
	broke := time.Now()
	p.homes[0].ChangeAddress(t)
	s.talk(12 * time.Second)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.back(both, broke, 1500*time.Millisecond)
}

func blackHoled(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p := s.pair(natlab.Home{}, natlab.Home{})
	p.onPath(patience, "punched", "direct")
	s.talk(6 * time.Second)
	broke := time.Now()
	s.lab.BlackHole(t, p.homes[0], p.homes[1])
	s.talk(12 * time.Second)
	dropped := p.homes[0].Counters(t).Holed
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.back(both, broke, 1500*time.Millisecond)
	v.kind(both, "relayed")
	if dropped == 0 {
		v.fault("the black hole swallowed nothing")
	}
}

// busiest is the relay that carries the call, by what it receives in a second.
func (s *stage) busiest() *server {
	s.t.Helper()
	before := make(map[*server]uint64)
	for _, r := range s.relays {
		before[r] = r.host.Received(s.t)
	}
	s.talk(time.Second)
	best, most := s.relays[0], uint64(0)
	for _, r := range s.relays {
		if n := r.host.Received(s.t) - before[r]; n > most {
			best, most = r, n
		}
	}
	return best
}

func relayKilled(t *testing.T, v *verdict) {
	symmetric := natlab.Home{NAT: natlab.Symmetric}
	s := newStage(t, 2)
	p := s.pair(symmetric, symmetric)
	p.onPath(patience, "relayed")
	s.talk(8 * time.Second)
	used := s.busiest()
	broke := time.Now()
	used.kill()
	s.talk(15 * time.Second)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "relayed")
	v.back(both, broke, 3*time.Second)
}

func relayRestarted(t *testing.T, v *verdict) {
	symmetric := natlab.Home{NAT: natlab.Symmetric}
	s := newStage(t, 1)
	p := s.pair(symmetric, symmetric)
	p.onPath(patience, "relayed")
	s.talk(8 * time.Second)
	s.relays[0].kill()
	s.restart(s.relays[0])
	broke := time.Now()
	s.talk(20 * time.Second)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "relayed")
	v.back(both, broke, 5*time.Second)
}

func limitedRelay(length time.Duration) func(*testing.T, *verdict) {
	return func(t *testing.T, v *verdict) {
		symmetric := natlab.Home{NAT: natlab.Symmetric}
		s := newStage(t, 1, "--relay-limit-data", relayLimitData, "--relay-limit-duration", relayLimitDuration)
		p := s.pair(symmetric, symmetric)
		p.onPath(patience, "relayed")
		s.talk(length)
		both := p.end()
		v.conversation(p, both, 2*time.Second)
		v.kind(both, "relayed")
		if v.lost.most() > 0 {
			s.tell(both)
			v.fault("%v frames lost", v.lost)
		}
		if v.gap > staysUp {
			v.fault("a gap of %v", v.gap)
		}
	}
}

// onlyRelayed shows that who wants to be reached through relays only tells nobody
// where it is: the other would come to it, for nothing is in its way.
func onlyRelayed(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	open := natlab.Home{NAT: natlab.NoNAT}
	p := s.pairOf(open, open, []string{"--relay-policy", "only"}, nil)
	p.onPath(patience, "relayed")
	s.talk(15 * time.Second)
	direct := p.homes[0].Counters(t).Direct + p.homes[1].Counters(t).Direct
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	v.kind(both, "relayed")
	if v.gap > staysUp {
		v.fault("a gap of %v", v.gap)
	}
	if direct > 0 {
		v.fault("%d packets went from one household to the other", direct)
	}
}

// neverRelayed shows that relays still help two who don't want to talk through
// them to find each other.
func neverRelayed(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	never := []string{"--relay-policy", "never"}
	p := s.pairOf(natlab.Home{}, natlab.Home{}, never, never)
	p.onPath(patience, "punched", "direct")
	s.talk(8 * time.Second)
	both := p.end()
	v.conversation(p, both, patience)
	for _, h := range both {
		for _, e := range h.paths {
			if e.kind == "relayed" {
				v.fault("%s had a path %s", h.listener.name, e)
			}
		}
	}
}

func neverReached(t *testing.T, v *verdict) {
	symmetric := natlab.Home{NAT: natlab.Symmetric}
	s := newStage(t, 1)
	never := []string{"--relay-policy", "never"}
	p := s.pairOf(symmetric, symmetric, never, never)
	s.talk(20 * time.Second)
	both := p.end()
	for _, h := range both {
		if len(h.paths) > 0 {
			v.fault("%s had a path %s", h.listener.name, h.last())
		}
		if at, ok := h.began(); ok {
			v.fault("%s heard %s at %v", h.listener.name, h.talker.name, at)
		}
		if !strings.Contains(h.listener.Output(), "can't be reached") {
			v.fault("%s isn't told that %s can't be reached", h.listener.name, h.talker.name)
		}
	}
}
