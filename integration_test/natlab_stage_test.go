//go:build linux

package integration_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/hearing"
	"github.com/parley-voice/parley/integration_test/natlab"
)

// mostDelay is how late speech may come and still be recognised: far more than
// any buffer should hold.
const mostDelay = time.Second

// stage is a lab with programs in it.
type stage struct {
	t       *testing.T
	lab     *natlab.Lab
	lobby   *server // nil: members know each other by --peer
	relays  []*server
	members []*member
}

// newStage makes a lab with a lobby that doesn't relay, and relays of their
// own.
func newStage(t *testing.T, relays int, relayArgs ...string) *stage {
	t.Helper()
	s := &stage{t: t, lab: natlab.Start(t, natlab.Config{})}
	s.lobby = s.serve("lobby", false)
	for n := range relays {
		s.relays = append(s.relays, s.serve(fmt.Sprintf("relay%d", n+1), true, relayArgs...))
	}
	return s
}

// pair are anna and ben, each in a household of its own, who both talk and are
// both in the room.
func (s *stage) pair(a, b natlab.Home) *pair {
	s.t.Helper()
	return s.pairOf(a, b, nil, nil)
}

// pairOf is a pair with arguments of each its own.
func (s *stage) pairOf(a, b natlab.Home, annas, bens []string) *pair {
	s.t.Helper()
	p := &pair{s: s, homes: [2]*natlab.Household{s.lab.Household(s.t, a), s.lab.Household(s.t, b)}}
	p.who = [2]*member{s.speaker(p.homes[0], a.Family, "anna"), s.speaker(p.homes[1], b.Family, "ben")}
	s.join(p.who[0], annas...)
	s.join(p.who[1], bens...)
	return p
}

// housemates are anna and ben in one household.
func (s *stage) housemates(home natlab.Home) *pair {
	s.t.Helper()
	h := s.lab.Household(s.t, home)
	p := &pair{s: s, homes: [2]*natlab.Household{h, h}}
	p.who = [2]*member{s.speaker(h, home.Family, "anna"), s.speaker(h, home.Family, "ben")}
	for _, m := range p.who {
		s.join(m)
	}
	return p
}

// end ends all members, then the servers, and fails if one went wrong. Who has
// been killed meanwhile is left out.
func (s *stage) end() {
	s.t.Helper()
	var all []*chatter
	for _, m := range s.members {
		if !m.killed {
			all = append(all, m.chatter)
		}
	}
	end(s.t, all...)
	for _, v := range append([]*server{s.lobby}, s.relays...) {
		if v == nil || v.killed {
			continue
		}
		if err := v.Stop(); err != nil {
			s.t.Errorf("%s: %v", v.host.Name, err)
		}
	}
}

// talk lets everybody talk for a time, and fails if a program ends meanwhile
// that wasn't killed.
func (s *stage) talk(d time.Duration) {
	s.t.Helper()
	over := time.NewTimer(d)
	defer over.Stop()
	early := make(chan *chatter, len(s.members))
	stop := make(chan struct{})
	var watching sync.WaitGroup
	defer watching.Wait()
	defer close(stop)
	for _, m := range s.members {
		if m.killed {
			continue
		}
		watching.Go(func() {
			select {
			case <-m.Exited():
				early <- m.chatter
			case <-stop:
			}
		})
	}
	select {
	case <-over.C:
	case c := <-early:
		s.t.Fatalf("%s ended early: %v", c.name, c.Wait())
	}
}

// pair is two who talk to each other.
type pair struct {
	s     *stage
	who   [2]*member
	homes [2]*natlab.Household
}

// onPath waits until both have a path of one of some kinds, and returns when
// the later had.
func (p *pair) onPath(patience time.Duration, kinds ...string) time.Time {
	p.s.t.Helper()
	a := p.who[0].onPath(p.s.t, p.who[1], patience, kinds...)
	b := p.who[1].onPath(p.s.t, p.who[0], patience, kinds...)
	return later(a, b)
}

// comesToPath is onPath where it is the row that is judged by it.
func (p *pair) comesToPath(patience time.Duration, kinds ...string) (time.Time, bool) {
	a, first := p.who[0].comesToPath(p.who[1], patience, kinds...)
	b, second := p.who[1].comesToPath(p.who[0], patience, kinds...)
	return later(a, b), first && second
}

// together is when both were in the room.
func (p *pair) together() time.Time { return later(p.who[0].ready(), p.who[1].ready()) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// heard is what became of one talker's voice at one listener.
type heard struct {
	talker, listener *member

	report hearing.Report
	lines  []chatlab.Line // of the listener
	paths  []pathEvent
}

// end ends the conversation and returns both directions.
func (p *pair) end() [2]*heard {
	p.s.t.Helper()
	p.s.end()
	return [2]*heard{p.s.heard(p.who[0], p.who[1]), p.s.heard(p.who[1], p.who[0])}
}

// hearing compares what a talker said with what a listener recorded, after both
// have ended.
func (s *stage) heard(talker, listener *member) *heard {
	s.t.Helper()
	said, rec := talker.final(s.t), listener.final(s.t)
	from, to := chatlab.At(said.InT0), chatlab.At(said.T)
	voice := talker.spoken(s.t, to.Sub(from))
	return &heard{
		talker: talker, listener: listener,
		report: hearing.Compare(
			hearing.Track{PCM: voice[:audiotest.Samples(to.Sub(from))], Start: from},
			hearing.Track{PCM: listener.recording(s.t), Start: chatlab.At(rec.OutT0)}, mostDelay),
		lines: listener.lines(s.t),
		paths: listener.paths(talker),
	}
}

// span is a part of a call.
type span struct{ from, to time.Time }

// during is what was said in a part of the call.
func (h *heard) during(s span) hearing.Report { return h.report.Between(s.from, s.to) }

// losses are spoken frames of 20 ms that weren't heard: that the recording
// hasn't, and that the listener counted as never played, in the whole seconds of
// its statistics.
type losses struct{ recorded, counted int }

func (l losses) most() int { return max(l.recorded, l.counted) }

func (l losses) String() string { return fmt.Sprintf("%d (%d)", l.recorded, l.counted) }

// lost is what wasn't heard of a span.
func (h *heard) lost(s span) losses {
	return losses{h.during(s).Lost(), chatlab.Unheard(h.lines, h.talker.id, s.from, s.to)}
}

// began is when the listener first heard the talker, and whether it did.
func (h *heard) began() (time.Time, bool) { return h.report.First(time.Time{}) }

// first is how long after a time the listener first heard the talker, and
// whether it did.
func (h *heard) first(after time.Time) (time.Duration, bool) {
	at, ok := h.report.First(after)
	return at.Sub(after), ok
}

// back is how long after something broke the talker was heard again, and went
// on being heard: until the end of the first gap that matters, and of those that
// follow it before half a second was heard. 0 if there is no gap in the first
// seconds. It is false if nothing was heard afterwards.
func (h *heard) back(broke time.Time) (time.Duration, bool) {
	const (
		matters = 3 * hearing.Frame
		soon    = 3 * time.Second
		enough  = 500 * time.Millisecond
	)
	end := broke
	for _, g := range h.report.Gaps() {
		if g.Length() < matters || !g.To.After(broke) {
			continue
		}
		if end.Equal(broke) && g.From.Before(broke.Add(soon)) || end.After(broke) && g.From.Before(end.Add(enough)) {
			end = g.To
		}
	}
	rest := h.report.Between(end, end.Add(time.Hour))
	return end.Sub(broke), rest.Lost() < len(rest)
}

// path is the paths that the listener had, in their order.
func (h *heard) path() string {
	var names []string
	for _, e := range h.paths {
		if name := e.String(); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	if len(names) == 0 { // as the statistics have it
		p := lastTogether(h.lines, h.talker.id)
		return fmt.Sprintf("%s (%s)", p.Path, p.Transport)
	}
	return strings.Join(names, " → ")
}

// last is the path that the listener had at last.
func (h *heard) last() pathEvent {
	if len(h.paths) > 0 {
		return h.paths[len(h.paths)-1]
	}
	p := lastTogether(h.lines, h.talker.id)
	return pathEvent{kind: p.Path, transport: p.Transport}
}

func TestBackIsTheEndOfTheOutageNotOfLaterGaps(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(1000, 0).Add(time.Duration(n) * hearing.Frame) }
	speak := func(n int, lost ...[2]int) *heard {
		h := &heard{}
		for i := range n {
			m := hearing.Moment{At: at(i), Heard: true}
			for _, l := range lost {
				m.Heard = m.Heard && (i < l[0] || i >= l[1])
			}
			h.report = append(h.report, m)
		}
		return h
	}
	for _, c := range []struct {
		name string
		h    *heard
		want int // frames after the break at 100
		ok   bool
	}{
		{"nothing lost", speak(500), 0, true},
		{"before it", speak(500, [2]int{40, 60}), 0, true},
		{"from just after it", speak(500, [2]int{104, 150}), 50, true},
		{"from before it", speak(500, [2]int{90, 150}), 50, true},
		{"in pieces", speak(500, [2]int{104, 150}, [2]int{160, 170}), 70, true},
		{"and again much later", speak(900, [2]int{104, 150}, [2]int{400, 420}), 50, true},
		{"single frames don't matter", speak(500, [2]int{104, 106}), 0, true},
		{"for good", speak(500, [2]int{104, 500}), 400, false},
	} {
		back, ok := c.h.back(at(100))
		if want := time.Duration(c.want) * hearing.Frame; back != want || ok != c.ok {
			t.Errorf("%s: %v, %t; want %v, %t", c.name, back, ok, want, c.ok)
		}
	}
}
