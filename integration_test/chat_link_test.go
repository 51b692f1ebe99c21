package integration_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/linkem"
)

var chatTime = flag.Duration("chat.time", 30*time.Second, "how long two chat processes talk through an emulated link")

func talking(c *chatter) []string { return c.says() }

func silent(*chatter) []string { return []string{"--in", "silence"} }

// Not parallel to anything: how long packets wait depends on how soon processes
// run.
func TestTwoProcessesTalkThroughALink(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for _, c := range []struct {
		name      string
		loss      float64
		concealed float64 // percent, at most
		buffer    float64 // ms, at most
	}{
		{"clean", 0, 0.5, 60},
		{"5 % loss", 0.05, 1.5, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			judge(t, func() (faults []string) {
				lab := linkem.Start(t, linkem.Config{Impairment: linkem.Impairment{Delay: oneWay, Loss: c.loss}, Seed: 7})
				call := startCall(t, lab, "/udp/4001/quic-v1", talking)
				call.run(t, *chatTime)
				for side, talker := range call.who {
					listener := call.who[1-side]
					d := follow(t, talker, listener)
					t.Logf("%s to %s: %s", talker.name, listener.name, d.row(call.rate(linkem.Side(side))))
					faults = append(faults, d.faults(c.concealed, c.buffer)...)
					faults = append(faults, d.lateFaults()...)
					faults = append(faults, growth(t, listener, talker)...)
				}
				return faults
			})
		})
	}
}

// growth is a fault if a process had more goroutines in the last third of a call than
// in the one before, beside one for each lane: those of either side become more when a
// burst of losses is seen.
func growth(t *testing.T, c, peer *chatter) (faults []string) {
	t.Helper()
	lines, theirs := c.lines(t), peer.lines(t)
	last := min(len(lines), len(theirs)) - 1 // the final one is of the moment in which it ended
	beside := make([]int, last)
	for i := range beside {
		beside[i] = lines[i].Goroutines - lanesOf(lines[i]) - lanesOf(theirs[i])
	}
	third := last / 3
	early, late := slices.Min(beside[third:2*third]), slices.Min(beside[2*third:])
	t.Logf("%s: %d goroutines beside lanes in the second third of the call, %d in the last; %d and %d MB", c.name,
		early, late, lines[third].RSS>>20, lines[last-1].RSS>>20)
	if early <= 0 || late > early+5 || late < early-5 {
		faults = append(faults, fmt.Sprintf("%s: %d goroutines beside lanes, then %d", c.name, early, late))
	}
	return faults
}

func lanesOf(l chatlab.Line) (n int) {
	for _, p := range l.Peers {
		n += p.Lanes
	}
	return n
}

func TestTwoProcessesTalkOverTCP(t *testing.T) {
	t.Parallel()
	judge(t, func() (faults []string) {
		lab := linkem.Start(t, linkem.Config{Impairment: linkem.Impairment{Delay: oneWay}, Seed: 7})
		call := startCall(t, lab, "/tcp/4001", talking)
		call.run(t, 14*time.Second)
		for side, talker := range call.who {
			listener := call.who[1-side]
			d := follow(t, talker, listener)
			t.Logf("%s to %s: %s", talker.name, listener.name, d.row(call.rate(linkem.Side(side))))
			if d.last.Transport != "tcp" || d.last.Lanes != 1 {
				t.Errorf("%d lanes on %q, want 1 on tcp", d.last.Lanes, d.last.Transport)
			}
			faults = append(faults, d.faults(5, 200)...)
		}
		return faults
	})
}

func TestSilenceCostsAtMostOneKilobitPerSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	lab := linkem.Start(t, linkem.Config{Impairment: linkem.Impairment{Delay: oneWay}, Seed: 7})
	call := startCall(t, lab, "/udp/4001/quic-v1", silent)
	for side, c := range call.who {
		other := call.who[1-side].id
		c.until(t, "the other is here", 10*time.Second, func(l chatlab.Line) bool { return l.Peers[other].Path == "lan" })
	}
	call.run(t, *chatTime)
	for side, c := range call.who {
		rate := call.rate(linkem.Side(side))
		last := lastTogether(c.lines(t), call.who[1-side].id)
		t.Logf("%s sent %.2f kb/s of IP packets and %d packets of voice", c.name, rate, last.Sent)
		if rate > 1 || rate == 0 {
			t.Errorf("%s sent %.2f kb/s while silent, want at most 1", c.name, rate)
		}
		if last.Path != "lan" || last.Sent > 0 {
			t.Errorf("%s: path %q, %d packets of voice sent; want lan and none", c.name, last.Path, last.Sent)
		}
	}
}
