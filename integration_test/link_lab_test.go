package integration_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/integration_test/chatlab"
	"github.com/parley-voice/parley/integration_test/linkbench"
	"github.com/parley-voice/parley/integration_test/linkem"
)

var (
	linkSeeds = flag.Int("links.seeds", 5, "how many seeds make lab-links measures each link with")
	linkTime  = flag.Duration("links.time", time.Minute, "how long a call of make lab-links takes that isn't longer or shorter by itself")
)

// TestLinkLab is the table of what is heard over bad links: two chat processes
// talk through each. It measures time, so -parallel should be one, or what the
// machine can do beside a few percent: a call takes a tenth of a processor.
func TestLinkLab(t *testing.T) {
	if os.Getenv("PARLEY_LAB") != "links" {
		t.Skip("SKIPPED, nothing was tested: run by make lab-links")
	}
	var rows []linkbench.Row
	for _, c := range linkbench.Cases() {
		calls := make([][]linkbench.Call, *linkSeeds)
		t.Run(c.Name, func(t *testing.T) {
			for i := range calls {
				t.Run(fmt.Sprintf("seed %d", i+1), func(t *testing.T) {
					t.Parallel()
					calls[i] = measureLink(t, c, uint64(i+1))
				})
			}
		})
		rows = append(rows, linkbench.Row{Case: c, Calls: slices.Concat(calls...)})
	}
	fmt.Println()
	if err := linkbench.WriteTable(os.Stdout, rows); err != nil {
		t.Fatal(err)
	}
	about := fmt.Sprintf("Two chat programs on an emulated IP link, means of %d seeds, %v, both directions.", *linkSeeds, *linkTime)
	fmt.Println(about)
	writeReport(t, "links.html", linkbench.Report{Title: "Parley on bad links", About: about, Rows: rows})
}

// writeReport writes a report into out/.
func writeReport(t *testing.T, name string, r linkbench.Report) {
	t.Helper()
	dir := filepath.Join("..", "out")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // everybody may read it
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHTML(f); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	fmt.Printf("with plots over time: out/%s\n", name)
}

// measureLink has the two talk once, and returns both directions.
func measureLink(t *testing.T, c linkbench.Case, seed uint64) []linkbench.Call {
	t.Helper()
	lab := linkem.Start(t, linkem.Config{Impairment: c.Link, Seed: seed})
	before := processorsNow()
	call := startCall(t, lab, "/udp/4001/quic-v1", talking)
	began := time.Now()
	var sent []linkem.Stats // after each second
	then := c.Then
	for next := began; time.Since(began) < c.Duration(*linkTime); {
		next = next.Add(time.Second)
		call.wait(t, time.Until(next))
		sent = append(sent, lab.Stats())
		for ; len(then) > 0 && time.Since(began) >= then[0].At-time.Second/2; then = then[1:] {
			for _, side := range []linkem.Side{linkem.A, linkem.B} {
				if err := lab.Set(side, then[0].Link); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	end(t, call.who[:]...)
	var calls []linkbench.Call
	for side, talker := range call.who {
		listener := call.who[1-side]
		d := follow(t, talker, listener)
		t.Logf("seed %d, %s to %s: %s; others took %.0f %% of the machine", seed, talker.name, listener.name, d.row(0), 100*processorsNow().othersSince(before))
		// By half seconds, since over a whole call the delay is another and another.
		if d.pieces < 2*d.missed {
			t.Errorf("seed %d: of what %s says %d half seconds are found, %d aren't", seed, talker.name, d.pieces, d.missed)
		}
		calls = append(calls, linkbench.Call{
			Seed: seed, OneWay: c.Link.Delay,
			Samples: samplesOf(began, linkem.Side(side), sent, listener.lines(t), talker.lines(t), talker, listener),
		})
	}
	return calls
}

// samplesOf joins what the listener said of the talker with what the link counted
// of the talker's packets, second by second.
func samplesOf(began time.Time, side linkem.Side, sent []linkem.Stats, heard, said []chatlab.Line, talker, listener *chatter) (all []linkbench.Sample) {
	before, lost := linkbench.Sample{}, uint64(0)
	for _, l := range heard {
		p, known := l.Peers[talker.id]
		if !known {
			continue
		}
		s := linkbench.Sample{
			At:     chatlab.At(l.T).Sub(began),
			Played: p.Played, Concealed: p.Concealed, Discarded: p.Discarded, Stretched: p.Stretched, Target: p.Target,
			DelaySum: before.DelaySum + p.Buffer*max(0, p.Played-before.Played),
			Bytes:    before.Bytes,
		}
		if l.Final { // its means are over the whole call
			s.DelaySum = p.Buffer * p.Played
		}
		if i := min(int(s.At/time.Second), len(sent)) - 1; i >= 0 {
			count := sent[i].AB
			if side == linkem.B {
				count = sent[i].BA
			}
			s.Bytes = float64(count.SentBytes)
		}
		if span := s.Played + s.Concealed - before.Played - before.Concealed; span > 0 {
			s.Loss = 100 * float64(p.Lost-lost) * millis(frame) / span
		}
		for _, told := range said {
			if !told.Final && chatlab.At(told.T).Sub(began) <= s.At {
				s.Copies = told.Peers[listener.id].Copies
			}
		}
		lost = p.Lost
		all = append(all, s)
		before = s
	}
	return all
}
