//go:build linux

package integration_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/natlab"
)

// trio is anna and ben and a third, each behind a NAT, who all know of each
// other.
func (s *stage) trio(name string) (*pair, *member) {
	s.t.Helper()
	p := s.pair(natlab.Home{}, natlab.Home{})
	third := s.listener(s.lab.Household(s.t, natlab.Home{}), natlab.IPv4, name)
	s.join(third)
	for _, m := range p.who {
		m.onPath(s.t, third, patience, "relayed", "punched", "direct")
	}
	return p, third
}

// presence is a row in which clara goes, as go says, and anna and ben notice
// within a bar.
func presence(bar time.Duration, gone func(*stage, *member)) func(*testing.T, *verdict) {
	return func(t *testing.T, v *verdict) {
		s := newStage(t, 1)
		p, clara := s.trio("clara")
		s.talk(3 * time.Second)
		at := time.Now()
		gone(s, clara)
		for _, m := range p.who {
			noticed, ok := m.left(clara, at, bar+5*time.Second)
			if !ok {
				v.fault("%s did not notice within %v", m.name, bar+5*time.Second)
				continue
			}
			v.atMost(m.name+" noticed after", noticed.Sub(at), bar)
		}
		s.checkNobodyLeft(v, p)
		s.end()
	}
}

// checkNobodyLeft judges that anna and ben are still there for each other.
func (s *stage) checkNobodyLeft(v *verdict, p *pair) {
	for i, m := range p.who {
		if _, gone := m.left(p.who[1-i], time.Time{}, time.Millisecond); gone {
			v.fault("%s took %s for gone", m.name, p.who[1-i].name)
		}
	}
}

func leaves(s *stage, m *member) {
	if err := m.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

func isKilled(_ *stage, m *member) {
	m.killed = true
	m.Kill()
}

func isUnplugged(s *stage, m *member) { m.host.Unplug(s.t) }

func suspended(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p, clara := s.trio("clara")
	s.talk(3 * time.Second)
	at := time.Now()
	if err := clara.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wake := func() { _ = clara.Signal(syscall.SIGCONT) }
	t.Cleanup(wake) // else she can't be ended
	s.talk(5 * time.Second)
	wake()
	s.talk(10 * time.Second)
	for _, m := range p.who {
		if gone, ok := m.left(clara, at, time.Millisecond); ok {
			v.fault("%s took clara for gone after %.1f s", m.name, gone.Sub(at).Seconds())
		}
		if gone, ok := clara.left(m, at, time.Millisecond); ok {
			v.fault("clara took %s for gone after %.1f s", m.name, gone.Sub(at).Seconds())
		}
	}
	s.checkNobodyLeft(v, p)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
}

// lobbyRestarted kills the lobby while clara leaves unseen, and starts it again:
// nobody hears anything of it, clara is gone for all, and dan can come.
func lobbyRestarted(t *testing.T, v *verdict) {
	s := newStage(t, 1)
	p, clara := s.trio("clara")
	p.onPath(patience, "punched", "direct")
	s.talk(5 * time.Second)
	broke := time.Now()
	s.lobby.kill()
	s.talk(2 * time.Second)
	isKilled(s, clara)
	s.talk(time.Second)
	s.restart(s.lobby)
	back := time.Now()
	dan := s.listener(s.lab.Household(t, natlab.Home{}), natlab.IPv4, "dan")
	s.join(dan)
	for _, m := range p.who {
		gone, ok := m.left(clara, broke, 20*time.Second)
		if !ok {
			v.fault("%s never noticed that clara was gone", m.name)
		} else {
			v.atMost(m.name+" misses clara after", gone.Sub(back), 10*time.Second)
		}
		here, ok := m.waitLine(20*time.Second, back, m.mentionsPath(dan))
		if !ok {
			v.fault("%s never noticed dan", m.name)
		} else {
			v.atMost(m.name+" knows dan after", here.Sub(back), 10*time.Second)
		}
	}
	s.talk(3 * time.Second)
	s.checkNobodyLeft(v, p)
	both := p.end()
	v.conversation(p, both, 2*time.Second)
	for _, h := range both {
		if lost := h.lost(span{broke, broke.Add(10 * time.Second)}); lost.most() > 0 {
			v.fault("%v frames of %s lost", lost, h.talker.name)
		}
	}
}

// settles waits until the machine has time to spare again, or not for so long: where
// dozens of programs connect to each other at once on two processors, what they have
// to do is late, and what is late is done again.
func settles(t *testing.T, patience time.Duration) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		before := processorsNow()
		time.Sleep(500 * time.Millisecond)
		now := processorsNow()
		if spare := float64(now.idle-before.idle) / float64(max(1, now.all-before.all)); spare > 0.25 {
			return
		}
	}
	t.Logf("the machine has nothing to spare after %v", patience)
}

// crowd is so many peers behind one NAT and as many behind another, who reach those of
// the other household through the relay alone. One talks.
func crowd(t *testing.T, v *verdict, each int) {
	s := newStage(t, 1)
	home := natlab.Home{NAT: natlab.Symmetric}
	houses := [2]*natlab.Household{s.lab.Household(t, home), s.lab.Household(t, home)}
	var listeners []*member
	anna := s.speaker(houses[0], natlab.IPv4, "anna")
	for n := 1; n < 2*each; n++ {
		listeners = append(listeners, s.listener(houses[n%2], natlab.IPv4, fmt.Sprintf("peer%d", n)))
	}
	for _, m := range append(listeners, anna) {
		s.join(m)
		settles(t, patience)
	}
	for _, m := range listeners {
		m.onPath(t, anna, 2*patience, "relayed", "lan", "punched", "direct")
	}
	settles(t, 2*patience)
	began := time.Now()
	s.talk(10 * time.Second)
	ended := time.Now()
	s.end()
	relayed := 0
	for _, m := range listeners {
		h := s.heard(anna, m)
		if h.last().kind == "relayed" {
			relayed++
		}
		r := h.during(span{began, ended.Add(-time.Second)})
		v.lost.recorded += r.Lost()
		v.gap = max(v.gap, r.Longest().Length())
		if len(r) == 0 || r.Lost() > len(r)/10 { // all these programs share this machine
			v.fault("%s heard %d of %d frames", m.name, len(r)-r.Lost(), len(r))
		}
	}
	v.path = fmt.Sprintf("%d of %d relayed", relayed, len(listeners))
	if relayed < each {
		v.fault("%d listeners were relayed, want the %d of the other household", relayed, each)
	}
}
