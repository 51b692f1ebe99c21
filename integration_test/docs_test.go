package integration_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testNamed = regexp.MustCompile("`(Test[A-Z]\\w*)`")
	testMade  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// What the documents name as a test is one.
func TestNamedTestsExist(t *testing.T) {
	made := testsMade(t)
	named := make(map[string]string) // in which document
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".md") {
			for _, name := range namesIn(t, path, testNamed) {
				named[name] = path
			}
		}
	})
	if len(named) < 40 {
		t.Errorf("only %d tests are named: is the pattern right?", len(named))
	}
	for name, path := range named {
		if !made[name] {
			t.Errorf("%s names %s, which isn't there", path, name)
		}
	}
}

// testsMade are the names of all tests there are.
func testsMade(t *testing.T) map[string]bool {
	t.Helper()
	made := make(map[string]bool)
	walk(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			for _, name := range namesIn(t, path, testMade) {
				made[name] = true
			}
		}
	})
	return made
}

// walk calls f with each file of the repository.
func walk(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "out"):
			return fs.SkipDir
		case !d.IsDir():
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func namesIn(t *testing.T, path string, pattern *regexp.Regexp) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range pattern.FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	return names
}
