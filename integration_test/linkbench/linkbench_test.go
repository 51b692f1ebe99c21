package linkbench

import (
	"bytes"
	"encoding/xml"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aCall plays each second with a buffer of 50 ms and conceals a share of it, and
// stops playing from one second on.
func aCall(seed uint64, share float64, silent time.Duration) Call {
	c := Call{Seed: seed, OneWay: 25 * time.Millisecond, Age: 80 * time.Millisecond}
	s := Sample{}
	for at := time.Second; at <= time.Minute; at += time.Second {
		s.At = at
		if silent == 0 || at <= silent {
			s.Played += 1000 * (1 - share)
			s.Concealed += 1000 * share
			s.DelaySum += 50 * 1000 * (1 - share)
		}
		s.Bytes += 8000
		s.Target = 40
		s.Loss = 7
		c.Samples = append(c.Samples, s)
	}
	return c
}

func TestFiguresAreThoseOfTheCall(t *testing.T) {
	f := aCall(1, 0.02, 0).Figures()
	for name, v := range map[string][2]float64{"buffer": {f.Buffer, 50}, "concealed": {f.Concealed, 2}, "rate": {f.Rate, 64}, "lost": {f.Lost, 7}, "age": {f.Age, 80}} {
		if math.Abs(v[0]-v[1]) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, v[0], v[1])
		}
	}
	if f.Rating < 80 || f.Rating > 90 {
		t.Errorf("R is %v", f.Rating)
	}
	if (Call{}).Figures() != (Figures{}) {
		t.Error("a call without samples has figures")
	}
}

func TestBarsAreJudged(t *testing.T) {
	calls := []Call{aCall(1, 0.02, 0), aCall(2, 0.04, 0)}
	// In the first two seconds nothing is heard, and half of the next five.
	lateCall := aCall(4, 0, 0)
	for i := range lateCall.Samples {
		s := &lateCall.Samples[i]
		heard := max(0, min(s.At-2*time.Second, 5*time.Second)).Seconds() * 500
		s.Played, s.Concealed = max(0, s.Played-7000)+heard, heard
		s.DelaySum = s.Played * 50
	}
	for name, c := range map[string]struct {
		bars  Bars
		calls []Call
		miss  string // in what is missed; none if empty
	}{
		"all held":        {Bars{Buffer: 50.1, Concealed: 3.1, Rate: 65}, calls, ""},
		"buffer":          {Bars{Buffer: 49, Concealed: 3.1}, calls, "buffer 50.0 > 49 ms"},
		"concealed":       {Bars{Concealed: 2.9}, calls, "concealed 3.00 > 2.9 %"},
		"rate":            {Bars{Concealed: 4, Rate: 60}, calls, "64 > 60 kb/s"},
		"or the rating":   {Bars{Buffer: 40, Concealed: 0, OrBuffer: 60, OrRating: 75}, calls, ""},
		"neither":         {Bars{Buffer: 40, Concealed: 9, OrBuffer: 60, OrRating: 99}, calls, "buffer"},
		"a part":          {Bars{Concealed: 9, After: []Since{{From: 10 * time.Second, Buffer: 60, Concealed: 2.5}}}, calls, "from 10s on concealed 3.00"},
		"after a word":    {Bars{Concealed: 9, After: []Since{{From: 5 * time.Second, Heard: true, Buffer: 60, Concealed: 1}}}, []Call{lateCall}, ""},
		"not so late":     {Bars{Concealed: 9, After: []Since{{From: 5 * time.Second, Buffer: 60, Concealed: 1}}}, []Call{lateCall}, "from 5s on concealed"},
		"silent at last":  {Bars{Concealed: 9, After: []Since{{From: 50 * time.Second, Buffer: 60, Concealed: 9}}}, []Call{aCall(3, 0, 40*time.Second)}, "seed 3: nothing played"},
		"before it isn't": {Bars{Concealed: 9, After: []Since{{From: 30 * time.Second, To: 39 * time.Second, Buffer: 60, Concealed: 9}}}, []Call{aCall(3, 0, 40*time.Second)}, ""},
	} {
		misses := strings.Join(Case{Bars: c.bars}.Judge(c.calls), "; ")
		if c.miss == "" && misses != "" || !strings.Contains(misses, c.miss) {
			t.Errorf("%s: %q, want %q", name, misses, c.miss)
		}
	}
}

// Nothing is said to be held where nothing was asked for.
func TestALinkWithoutBarsPassesNothing(t *testing.T) {
	calls := []Call{aCall(1, 0.03, 0)}
	rows := []Row{
		{Case{Name: "barred", Bars: Bars{Concealed: 5}}, calls},
		{Case{Name: "without", Bars: Bars{Concealed: 100}}, calls},
	}
	var table, page strings.Builder
	if err := WriteTable(&table, rows); err != nil {
		t.Fatal(err)
	}
	if err := (Report{Rows: rows}).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "pass"); n != 1 {
		t.Errorf("%d rows pass, want 1:\n%s", n, table.String())
	}
	if n := strings.Count(page.String(), "all held"); n != 1 {
		t.Errorf("bars are held in %d rows of the page, want 1", n)
	}
}

// One call of two is far beyond the bar, or both are, or both are a little.
func TestWhatChanceExplainsIsNoMiss(t *testing.T) {
	c := Case{Bars: Bars{Concealed: 1, After: []Since{{From: 10 * time.Second, Buffer: 60, Concealed: 1}}}}
	for shares, want := range map[[2]float64]int{{0.001, 0.04}: 0, {0.04, 0.041}: 2, {0.0101, 0.0101}: 2, {0.0098, 0.0104}: 0} {
		calls := []Call{aCall(1, shares[0], 0), aCall(2, shares[1], 0)}
		if misses := c.JudgePastDoubt(calls); len(misses) != want {
			t.Errorf("%v: %q, want %d", shares, misses, want)
		}
		if misses := c.Judge(calls); len(misses) != 2 {
			t.Errorf("%v: %q by the means, want 2", shares, misses)
		}
	}
}

// A link that has become bad in some calls only is worse, however much they differ.
func TestNoiseOfItsOwnIsNoExcuse(t *testing.T) {
	var before, now []Call
	for i, share := range []float64{0.01, 0.02, 0.015, 0.012, 0.02, 0.017, 0.01, 0.02, 0.018, 0.014} {
		before = append(before, aCall(uint64(i), share, 0))
		now = append(now, aCall(uint64(i), share+0.15*float64(i%3/2), 0))
	}
	b := Baseline{"link": Summarise(before)}
	if worse := b.Worse("link", Summarise(now)); len(worse) != 1 || !strings.Contains(worse[0], "concealed") {
		t.Errorf("worse: %q, want what is concealed", worse)
	}
	if worse := b.Worse("link", Summarise(before)); len(worse) > 0 {
		t.Errorf("the same is worse: %q", worse)
	}
}

func TestBaselineTellsWhatIsWorse(t *testing.T) {
	before := Baseline{"link": Summarise([]Call{aCall(1, 0.02, 0), aCall(2, 0.021, 0), aCall(3, 0.019, 0)})}
	path := filepath.Join(t.TempDir(), "base.json")
	if err := before.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := LoadBaseline(path)
	if err != nil {
		t.Fatal(err)
	}
	same := Summarise([]Call{aCall(4, 0.0205, 0), aCall(5, 0.0195, 0), aCall(6, 0.0205, 0)})
	if worse := b.Worse("link", same); len(worse) > 0 {
		t.Errorf("the same is worse: %v", worse)
	}
	if worse := b.Worse("link", Summarise([]Call{aCall(4, 0.03, 0), aCall(5, 0.031, 0), aCall(6, 0.03, 0)})); len(worse) != 1 || !strings.Contains(worse[0], "concealed") {
		t.Errorf("half as much again is concealed: %v", worse)
	}
	if worse := b.Worse("another", same); len(worse) > 0 {
		t.Errorf("a link that the baseline hasn't is worse: %v", worse)
	}
	if _, err := LoadBaseline(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a baseline that isn't there was read")
	}
}

func TestCasesMakeSense(t *testing.T) {
	names := map[string]bool{}
	for _, c := range append(Cases(), RelayedCases()...) {
		if names[c.Name] {
			t.Errorf("two cases %q", c.Name)
		}
		names[c.Name] = true
		if c.Relayed != strings.HasPrefix(c.Name, "relayed") {
			t.Errorf("%s: relayed is %t", c.Name, c.Relayed)
		}
		if d := c.Duration(time.Minute); d < 30*time.Second || d > 2*time.Minute {
			t.Errorf("%s takes %v", c.Name, d)
		}
		if d := c.Duration(time.Second); d < 10*time.Second || d > c.Duration(time.Minute) {
			t.Errorf("%s takes %v at least", c.Name, d)
		}
	}
}

// The page is well-formed as far as its plots go, and says what the table says.
func TestReportIsAPage(t *testing.T) {
	rows := []Row{
		{Case: Case{Name: "5 % <loss>", Bars: Bars{Buffer: 20, Concealed: 9}}, Calls: []Call{aCall(1, 0.02, 0)}},
		{Case: Case{Name: "left out"}},
	}
	var page, table bytes.Buffer
	if err := (Report{Title: "links", Rows: rows}).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(&table, rows); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"50.0", "<td>7.0", "<td>80<td>", "buffer 50.0 &gt; 20 ms", "5 % &lt;loss&gt;", "60 s"} {
		if !strings.Contains(page.String(), text) {
			t.Errorf("the page hasn't %q", text)
		}
	}
	if strings.Contains(page.String()+table.String(), "left out") || !strings.Contains(table.String(), "NOT YET: buffer 50.0 > 20 ms") {
		t.Errorf("table:\n%s", table.String())
	}
	plots := strings.Count(page.String(), "<svg")
	for _, part := range strings.SplitAfter(page.String(), "</svg>")[:plots] {
		svg := part[strings.Index(part, "<svg"):]
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Errorf("%v in %.200s", err, svg)
		}
	}
	if plots != 4 {
		t.Errorf("%d plots, want 4", plots)
	}
}
