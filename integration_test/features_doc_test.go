package integration_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	linkIn    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingAt = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fenced    = regexp.MustCompile("(?ms)^```.*?^```")
)

// tableRows are the rows of all tables in a part of a document, without those that have
// nothing but their first cell, heads and lines.
func tableRows(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.Join(cells[1:], "") != "" {
			rows = append(rows, cells)
		}
	}
	return rows
}

// section is the part of a document below a heading.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("there is no %q", heading)
	}
	part, _, _ := strings.Cut(after, "\n## ")
	return part
}

// slug is what a heading is called in a link.
func slug(heading string) string {
	heading = strings.NewReplacer("`", "", "*", "").Replace(heading)
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

// resolves says why a link in a document leads nowhere; empty if it leads somewhere.
func resolves(document, link string) (reason string) {
	if strings.Contains(link, "://") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := document
	if file != "" {
		target = path.Join(path.Dir(document), file)
	}
	info, err := os.Stat(target)
	if err != nil {
		return err.Error()
	}
	if anchor == "" || info.IsDir() {
		return ""
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return err.Error()
	}
	for _, m := range headingAt.FindAllSubmatch(fenced.ReplaceAll(text, nil), -1) {
		if slug(string(m[1])) == anchor {
			return ""
		}
	}
	return target + " has no such heading"
}

// README says of each feature where it is described, and which test fails without it;
// docs/features.md has the same features.
func TestEveryFeatureHasADocumentAndATest(t *testing.T) {
	readme, features := read(t, "../README.md"), read(t, "../docs/features.md")
	rows := tableRows(section(t, readme, "## Beside others"))
	if len(rows) < 40 {
		t.Errorf("only %d rows: is it the right table?", len(rows))
	}
	var named, described []string
	for _, row := range rows {
		named = append(named, row[0])
		if len(row) != 8 {
			t.Errorf("%s: %d cells", row[0], len(row))
			continue
		}
		if slices.Contains(row, "") {
			t.Errorf("%s: a cell is empty", row[0])
		}
		checkFeature(t, row[0], row[1], row[2])
	}
	features, _, _ = strings.Cut(features, "\n## What a feature costs\n")
	for _, row := range tableRows(features) {
		described = append(described, row[0])
		if len(row) != 3 || !testNamed.MatchString(row[2]) {
			t.Errorf("docs/features.md, %s: no test in %q", row[0], row[1:])
		}
	}
	if !slices.Equal(named, described) {
		t.Errorf("README has the features %q, docs/features.md %q", named, described)
	}
}

// checkFeature checks a row: where it is described, and by which test it is kept.
func checkFeature(t *testing.T, name, where, tests string) {
	t.Helper()
	links := linkIn.FindAllStringSubmatch(where, -1)
	if len(links) == 0 {
		t.Errorf("%s: no link in %q", name, where)
	}
	for _, m := range links {
		if reason := resolves("../README.md", m[1]); reason != "" {
			t.Errorf("%s: %s: %s", name, m[1], reason)
		}
	}
	if !testNamed.MatchString(tests) {
		t.Errorf("%s: no test in %q", name, tests)
	}
}

// Every link from one document to another leads to a file, and to a heading in it.
func TestLinksInDocumentsResolve(t *testing.T) {
	seen := 0
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, more...) {
		document = filepath.ToSlash(document)
		for _, m := range linkIn.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, document), ""), -1) {
			seen++
			if reason := resolves(document, m[1]); reason != "" {
				t.Errorf("%s: %s: %s", document, m[1], reason)
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d links were seen", seen)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatALinkLeadsTo(t *testing.T) {
	for _, c := range []struct {
		link string
		ok   bool
	}{
		{"README.md", true},
		{"README.md#quick-start", true},
		{"#quick-start", true},
		{"docs/protocol.md#11-security-considerations", true},
		{"docs/metrics.md#each-peer-by-peer-its-id", true},
		{"docs/architecture.md#a-frames-journey", true},
		{"session", true},
		{"https://example.com/#x", true},
		{"README.md#slow-start", false},
		{"docs/none.md", false},
		{"README.md#Quick-start", false},
	} {
		if got := resolves("../README.md", c.link); (got == "") != c.ok {
			t.Errorf("%s: %q, want %t", c.link, got, c.ok)
		}
	}
	rows := tableRows("| | a |\n|---|---|\n| **part** | |\n| x | `y` |\nno row\n")
	if len(rows) != 1 || !slices.Equal(rows[0], []string{"x", "`y`"}) {
		t.Errorf("rows are %q", rows)
	}
}
