package integration_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/parley-voice/parley/integration_test/linkem"
)

var (
	linkSeeds = flag.Int("links.seeds", 5, "how many seeds make lab-links measures each link with")
	linkTime  = flag.Duration("links.time", time.Minute, "how long each call of make lab-links takes")
)

// linkCase is an emulated link, the same both ways, and what is wanted on it: at
// most so much buffer (W3C's jitterBufferDelay) in ms, concealed and discarded
// speech in percent of what is played, and kb/s of IP packets each way. Beside
// them stands what two Chromium 156 peers do there.
type linkCase struct {
	name      string
	link      linkem.Impairment
	buffer    float64
	concealed float64
	rate      float64
	chromium  string
}

func linkCases() []linkCase {
	return []linkCase{
		{"clean", linkem.Impairment{}, 25, 0.1, 65, "30-39 ms, 0.0 %"},
		{"5 % loss", linkem.Impairment{Loss: 0.05}, 55, 0.3, 120, "36-39 ms, 0.6-0.7 %"},
		{"10 % loss in bursts of 3", linkem.Impairment{Loss: 0.1, Burst: 3}, 90, 2.8, 120, "38-39 ms, 5.1-6.4 %"},
		{"jitter, mean 20 ms", linkem.Impairment{Jitter: 20 * time.Millisecond}, 130, 0.1, 80, "130-132 ms, 0.0-0.1 %"},
		{"20 % loss", linkem.Impairment{Loss: 0.2}, 90, 2.6, 130, "37-47 ms, 5.5-6.3 %"},
		{"200 ms stall every 5 s", linkem.Impairment{Stall: 200 * time.Millisecond}, 195, 0.1, 80, "194-215 ms, 0.0 %"},
	}
}

// linkSums are sums over seeds and both directions.
type linkSums struct {
	n                                             int
	buffer, concealed, stretched, rate, ear, busy float64
	copies                                        uint64
}

func (s *linkSums) add(d direction, rate, busy float64) {
	s.n++
	played := d.whole.Played
	s.buffer += d.whole.Buffer
	s.concealed += 100 * (d.whole.Concealed + d.whole.Discarded) / max(1, played)
	s.stretched += 100 * d.whole.Stretched / max(1, played)
	s.rate += rate
	s.ear += millis(d.latency)
	s.busy += 100 * busy
	s.copies += d.last.Copies
}

// TestLinkLab is the table of what is heard over bad links: two chat processes
// talk through each, in 25 ms one way. Not parallel to anything: it measures time.
func TestLinkLab(t *testing.T) {
	if os.Getenv("PARLEY_LAB") != "links" {
		t.Skip("SKIPPED, nothing was tested: run by make lab-links")
	}
	var table strings.Builder
	lines := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "link, 25 ms each way\tbuffer\tbar\tconcealed\tbar\tIP each way\tbar\tstretched\tmouth to ear\tcopies\tothers took\tresult\tChromium")
	for _, c := range linkCases() {
		var sum linkSums
		t.Run(c.name, func(t *testing.T) {
			for seed := range *linkSeeds {
				measureLink(t, c, uint64(seed+1), &sum)
			}
		})
		if sum.n == 0 {
			continue // left out by the command line
		}
		n := float64(sum.n)
		result := "pass"
		if sum.buffer/n > c.buffer || sum.concealed/n > c.concealed || sum.rate/n > c.rate {
			result = "NOT YET"
		}
		fmt.Fprintf(lines, "%s\t%.1f ms\t%.0f\t%.2f %%\t%.1f\t%.0f kb/s\t%.0f\t%.1f %%\t%.1f ms\t%d\t%.0f %%\t%s\t%s\n", c.name,
			sum.buffer/n, c.buffer, sum.concealed/n, c.concealed, sum.rate/n, c.rate, sum.stretched/n, sum.ear/n, sum.copies/uint64(sum.n), sum.busy/n, result, c.chromium)
	}
	_ = lines.Flush() // to memory
	fmt.Printf("\n%s\nmeans of %d seeds, %v, both directions\n", table.String(), *linkSeeds, *linkTime)
}

// measureLink has the two talk once.
func measureLink(t *testing.T, c linkCase, seed uint64, sum *linkSums) {
	t.Helper()
	link := c.link
	link.Delay = oneWay
	lab := linkem.Start(t, linkem.Config{Impairment: link, Seed: seed})
	before := processorsNow()
	call := startCall(t, lab, "/udp/4001/quic-v1", talking)
	call.run(t, *linkTime)
	busy := processorsNow().othersSince(before)
	for side, talker := range call.who {
		d := follow(t, talker, call.who[1-side])
		rate := call.rate(linkem.Side(side))
		t.Logf("seed %d, %s to %s: %s", seed, talker.name, call.who[1-side].name, d.row(rate))
		if !d.hearing.Heard {
			t.Errorf("seed %d: %s isn't heard: similarity %.3f", seed, talker.name, d.hearing.Similarity)
		}
		sum.add(d, rate, busy)
	}
}
