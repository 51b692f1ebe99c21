//go:build linux

package integration_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// verdict is what a row found.
type verdict struct {
	path   string
	first  time.Duration // to the first audio after both were in the room; negative: none was heard, or it isn't measured
	gap    time.Duration // the longest from then on
	lost   losses        // of speech from then on
	notes  []string      // what else was measured
	faults []string      // bars that were missed
}

// fault notes that a bar was missed.
func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// atMost notes a measured time, and that it missed its bar if it did.
func (v *verdict) atMost(what string, got, bar time.Duration) {
	v.notes = append(v.notes, fmt.Sprintf("%s %.2f s", what, got.Seconds()))
	if got > bar {
		v.fault("%s took %.2f s, the bar is %v", what, got.Seconds(), bar)
	}
}

// conversation measures what every row with two talkers has, and judges the
// time to the first audio.
func (v *verdict) conversation(p *pair, both [2]*heard, firstBar time.Duration) {
	together := p.together()
	v.path = both[0].path()
	if other := both[1].path(); other != v.path {
		v.path += " / " + other
	}
	for _, h := range both {
		first, ok := h.first(together)
		if !ok {
			v.first = -1
			v.fault("%s never heard %s", h.listener.name, h.talker.name)
			continue
		}
		v.first = max(v.first, first)
		if first > firstBar {
			v.fault("%s first heard %s after %.2f s, the bar is %v", h.listener.name, h.talker.name, first.Seconds(), firstBar)
		}
		talk := span{together.Add(first), together.Add(time.Hour)}
		v.gap = max(v.gap, h.during(talk).Longest().Length())
		lost := h.lost(talk)
		v.lost.recorded += lost.recorded
		v.lost.counted += lost.counted
	}
}

// kind judges the kind of path that both have at last.
func (v *verdict) kind(both [2]*heard, kinds ...string) {
	for _, h := range both {
		if last := h.last(); !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+last.kind+" ") {
			v.fault("%s has a path %s to %s at last, want %s", h.listener.name, last, h.talker.name, strings.Join(kinds, " or "))
		}
	}
}

// back judges how soon both were heard again after something broke.
func (v *verdict) back(both [2]*heard, broke time.Time, bar time.Duration) {
	var worst time.Duration
	for _, h := range both {
		back, ok := h.back(broke)
		if !ok {
			v.fault("%s never heard %s again", h.listener.name, h.talker.name)
		}
		worst = max(worst, back)
	}
	v.atMost("audio back", worst, bar)
}

// losesNothing judges that no speech was lost around a move to another path,
// and counts from the first audio on if that is later.
func (v *verdict) losesNothing(both [2]*heard, moved time.Time) {
	for _, h := range both {
		around := span{moved.Add(-time.Second), moved.Add(2 * time.Second)}
		if began, ok := h.began(); ok {
			around.from = later(around.from, began)
		}
		if lost := h.lost(around); lost.most() > 0 {
			v.fault("%v frames of %s lost in the move", lost, h.talker.name)
		}
		if len(h.during(around)) == 0 {
			v.fault("%s's speech around the move isn't in the recording", h.talker.name)
		}
	}
}

// row is a line of the table.
type row struct {
	name  string
	bar   string
	soak  bool // takes minutes
	alone bool // takes all of the machine
	run   func(*testing.T, *verdict)
}

// runRows runs rows, a few at once as -parallel says, and prints the table. A row
// measures several programs in real time, and one wake-up that came late is a frame
// that wasn't heard: one that missed its bars has the machine for itself in its
// second attempt, which counts.
func runRows(t *testing.T, out io.Writer, rows []row) {
	results := make([]result, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				if r.soak && os.Getenv("PARLEY_SOAK") != "1" {
					results[i].word = "SKIPPED"
					t.Skip("SKIPPED, nothing was tested: takes minutes, needs PARLEY_SOAK=1")
				}
				if !r.alone {
					t.Parallel()
				}
				results[i].judge(t, r)
			})
		}
	})
	t.Run("again", func(t *testing.T) {
		for i, r := range rows {
			v := &results[i]
			if len(v.faults) == 0 {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Logf("missed at the first attempt: %s", strings.Join(v.faults, "; "))
				v.judge(t, r)
				v.notes = append(v.notes, "attempt 2")
				if len(v.faults) > 0 {
					t.Error(strings.Join(v.faults, "; "))
				}
			})
		}
	})
	writeRows(out, rows, results)
}

// result is what came of a row, and the word for it; none if the command line left
// it out.
type result struct {
	verdict
	word string
}

// judge runs a row.
func (v *result) judge(t *testing.T, r row) {
	v.word = "FAIL" // unless it gets to its end
	v.verdict = verdict{first: -1}
	before := processorsNow()
	r.run(t, &v.verdict)
	if busy := processorsNow().othersSince(before); busy >= chatBusy {
		v.notes = append(v.notes, fmt.Sprintf("others took %.0f %% of the machine", 100*busy))
	}
	if len(v.faults) == 0 && !t.Failed() {
		v.word = "pass"
	}
}

func writeRows(out io.Writer, rows []row, results []result) {
	var table strings.Builder
	lines := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "case\tpath used\tfirst audio\tlongest gap\tlost (counted)\tbar\tresult\tmeasured")
	for i, v := range results {
		if v.word == "" {
			continue
		}
		first := "-"
		if v.first > 0 {
			first = fmt.Sprintf("%.2f s", v.first.Seconds())
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\t%.2f s\t%s\t%s\t%s\t%s\n", rows[i].name, v.path, first, v.gap.Seconds(),
			v.lost, rows[i].bar, v.word, strings.Join(v.notes, ", "))
	}
	_ = lines.Flush() // to memory
	fmt.Fprintf(out, "\n%s\n", table.String())
}
