package linkbench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Row is a case and the calls that were made.
type Row struct {
	Case
	Calls []Call
}

// WriteTable writes a line for each row: means, bars and what is missed.
func WriteTable(w io.Writer, rows []Row) error {
	lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "link, each way\tbuffer\tbar\tconcealed\tbar\tIP kb/s\tbar\tstretched\tR\tlost\tcopies\tage p99\tresult\tChromium")
	for _, r := range rows {
		if len(r.Calls) == 0 {
			continue
		}
		m := Summarise(r.Calls)
		result := "-"
		switch misses := r.Judge(r.Calls); {
		case len(misses) > 0:
			result = "NOT YET: " + strings.Join(misses, "; ")
		case r.Barred():
			result = "pass"
		}
		fmt.Fprintf(lines, "%s\t%.1f ms\t%s\t%.2f %%\t%s\t%.0f\t%s\t%.1f %%\t%.1f\t%.1f %%\t%.2f\t%s\t%s\t%s\n", r.Name,
			m["buffer"].Mean, bar(r.Bars.Buffer), m["concealed"].Mean, bar(r.Bars.Concealed), m["rate"].Mean, bar(r.Bars.Rate),
			m["stretched"].Mean, m["rating"].Mean, m["lost"].Mean, m["copies"].Mean, age(m["age"].Mean), result, r.Others)
	}
	return lines.Flush()
}

func age(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func bar(v float64) string {
	if v == 0 || v == 100 {
		return "-"
	}
	return fmt.Sprintf("%g", v)
}
