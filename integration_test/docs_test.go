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
	made := make(map[string]bool)
	named := make(map[string]string) // in which document
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "out"):
			return fs.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			for _, name := range namesIn(t, path, testMade) {
				made[name] = true
			}
		case strings.HasSuffix(path, ".md"):
			for _, name := range namesIn(t, path, testNamed) {
				named[name] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(named) < 40 {
		t.Errorf("only %d tests are named: is the pattern right?", len(named))
	}
	for name, path := range named {
		if !made[name] {
			t.Errorf("%s names %s, which isn't there", path, name)
		}
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
