//go:build linux

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/natlab"
)

var buildOwnStreams = sync.OnceValues(func() (string, error) {
	if _, err := buildChat(); err != nil { // it makes the directory
		return "", err
	}
	return chatlab.BuildProgram(context.Background(), chatDir, "integration_test/natlab/cmd/ownstreams")
})

// stalls is how long an application's stream may be silent that writes every
// 100 ms: as much as a TCP connection takes to repeat what was lost twice.
const stalls = time.Second

// ownStreams is an application that has streams of its own on the host that
// Parley uses: through the punch, a black hole in the direct path and its end,
// and through the move to the LAN.
func ownStreams(t *testing.T, v *verdict) {
	t.Run("punch and black hole", func(t *testing.T) {
		s := &stage{t: t, lab: natlab.Start(t, natlab.Config{})}
		s.relays = []*server{s.serve("relay", true)}
		a, b := s.lab.Household(t, natlab.Home{}), s.lab.Household(t, natlab.Home{})
		apps := s.applications(a.Host(t, "anna"), b.Host(t, "ben"))
		apps.onPath(v, "punched", "direct")
		time.Sleep(3 * time.Second)
		s.lab.BlackHole(t, a, b)
		time.Sleep(8 * time.Second)
		s.lab.Restore(t, a, b)
		time.Sleep(5 * time.Second)
		apps.end(v)
	})
	t.Run("one LAN", func(t *testing.T) {
		s := &stage{t: t, lab: natlab.Start(t, natlab.Config{})}
		s.relays = []*server{s.serve("relay", true)}
		home := s.lab.Household(t, natlab.Home{})
		apps := s.applications(home.Host(t, "anna"), home.Host(t, "ben"))
		apps.onPath(v, "lan")
		time.Sleep(5 * time.Second)
		apps.end(v)
	})
}

// applications are two of ownstreams, one on each host.
type applications struct {
	s    *stage
	both [2]*chatlab.Process
}

func (s *stage) applications(hosts ...*natlab.Host) *applications {
	s.t.Helper()
	program, err := buildOwnStreams()
	if err != nil {
		s.t.Fatal(err)
	}
	who := [2]*chatter{newChatter(s.t, "anna"), newChatter(s.t, "ben")}
	a := &applications{s: s}
	for i, host := range hosts {
		p, err := chatlab.Start(host.Command(program, "--key", who[i].key(), "--peer", who[1-i].id,
			"--relay", s.relays[0].address(natlab.IPv4, "/udp/"+labPort+"/quic-v1")))
		if err != nil {
			s.t.Fatal(err)
		}
		a.both[i] = p
		s.t.Cleanup(func() {
			p.Kill()
			if s.t.Failed() {
				s.t.Logf("%s printed:\n%s", host.Name, p.Output())
			}
		})
	}
	return a
}

// onPath waits until Parley has a path of one of some kinds.
func (a *applications) onPath(v *verdict, kinds ...string) {
	a.s.t.Helper()
	ctx, cancel := context.WithTimeout(a.s.t.Context(), patience)
	defer cancel()
	for _, p := range a.both {
		_, err := p.Line(ctx, time.Time{}, func(text string) bool {
			for _, kind := range kinds {
				if strings.HasPrefix(text, "path "+kind) {
					return true
				}
			}
			return false
		})
		if err != nil {
			v.fault("no %s path for voice: %v", strings.Join(kinds, " or "), err)
		}
	}
}

// end ends both and judges what they tell.
func (a *applications) end(v *verdict) {
	a.s.t.Helper()
	for _, p := range a.both { // at the same time: the first to end breaks the other's stream
		if err := p.Signal(syscall.SIGTERM); err != nil {
			v.fault("%v", err)
		}
	}
	for i, p := range a.both {
		opened := ""
		for _, l := range p.Lines() {
			if strings.HasPrefix(l.Text, "open ") && opened == "" {
				opened = l.Text
			}
		}
		if !strings.Contains(opened, "p2p-circuit") {
			v.fault("the stream isn't over the relay, where it is to live through all this: %q", opened)
		}
		if err := p.Stop(); err != nil {
			v.fault("%v", err)
			continue
		}
		lines := p.Lines()
		var (
			records, broken int
			silence         string
		)
		last := lines[len(lines)-1].Text
		if _, err := fmt.Sscanf(last, "records %d, longest silence %s broken %d", &records, &silence, &broken); err != nil {
			v.fault("%q: %v", last, err)
			continue
		}
		longest, err := time.ParseDuration(strings.TrimSuffix(silence, ","))
		if err != nil {
			v.fault("%q: %v", last, err)
			continue
		}
		v.notes = append(v.notes, fmt.Sprintf("%d records, silent for %v", records, longest.Round(time.Millisecond)))
		if broken > 0 || longest > stalls || records < 20 {
			v.fault("the application %d's own stream: %s", i+1, last)
		}
	}
	for _, r := range a.s.relays {
		if err := r.Stop(); err != nil {
			v.fault("%s: %v", r.host.Name, err)
		}
	}
}
