package linkbench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

//go:embed report.html
var page string

// Report is the page of a run.
type Report struct {
	Title string
	About string // how it was measured
	Rows  []Row
}

// WriteHTML writes the report as one page that needs nothing else: the table, and
// for each link what went on over time, in the first call made with it.
func (r Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return fmt.Errorf("linkbench: %w", err)
	}
	view := struct {
		Report
		Lines []line
	}{Report: r}
	for _, row := range r.Rows {
		if len(row.Calls) > 0 {
			view.Lines = append(view.Lines, newLine(row))
		}
	}
	if err := t.Execute(w, view); err != nil {
		return fmt.Errorf("linkbench: %w", err)
	}
	return nil
}

// line is what the page says of one link.
type line struct {
	Row
	Name   string
	Misses []string
	Means  Means
	Plots  []plot
}

func newLine(row Row) line {
	l := line{Row: row, Name: row.Name, Misses: row.Judge(row.Calls), Means: Summarise(row.Calls)}
	c := row.Calls[0]
	second := func(f func(a, b Sample) float64) (points []float64) {
		before := Sample{}
		for _, s := range c.Samples {
			points = append(points, f(before, s))
			before = s
		}
		return points
	}
	l.Plots = []plot{
		newPlot("delay, ms", c, series{"buffer", second(func(a, b Sample) float64 { return between(a, b).Buffer })},
			series{"target", second(func(_, b Sample) float64 { return b.Target })}),
		newPlot("speech, %", c, series{"lost on the first try", second(func(_, b Sample) float64 { return b.Loss })},
			series{"concealed", second(func(a, b Sample) float64 { return between(a, b).Concealed })}),
		newPlot("sent, kb/s of IP packets", c, series{"in all", second(func(a, b Sample) float64 {
			return (b.Bytes - a.Bytes) * 8 / 1000 / max(0.1, (b.At-a.At).Seconds())
		})}),
		newPlot("copies a second", c, series{"copies", second(func(a, b Sample) float64 {
			return float64(b.Copies-min(a.Copies, b.Copies)) / max(0.1, (b.At-a.At).Seconds())
		})}),
	}
	return l
}

// Size of a plot in SVG's units, without the room for its scale.
const (
	plotWidth  = 280
	plotHeight = 90
)

type series struct {
	Name   string
	values []float64
}

// plot is a small picture of some series over the time of a call.
type plot struct {
	Name    string
	Top     string // what the upper edge stands for
	Seconds int
	Curves  []curve
}

type curve struct {
	Name, Points string
}

func newPlot(name string, c Call, all ...series) plot {
	p := plot{Name: name}
	last := time.Duration(0)
	if len(c.Samples) > 0 {
		last = c.Samples[len(c.Samples)-1].At
	}
	p.Seconds = int(last.Seconds() + 0.5)
	top := 0.0
	for _, s := range all {
		for _, v := range s.values {
			top = max(top, v)
		}
	}
	top = ceiling(top)
	p.Top = fmt.Sprintf("%g", top)
	for _, s := range all {
		var b strings.Builder
		for i, v := range s.values {
			x := float64(c.Samples[i].At) / float64(max(last, 1)) * plotWidth
			fmt.Fprintf(&b, "%.1f,%.1f ", x, plotHeight*(1-v/top))
		}
		p.Curves = append(p.Curves, curve{s.Name, strings.TrimSpace(b.String())})
	}
	return p
}

// ceiling is a round number that is not less than v.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*unit {
			return n * unit
		}
	}
	return 10 * unit
}
