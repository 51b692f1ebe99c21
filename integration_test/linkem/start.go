package linkem

import "testing"

// Start makes a link for a test and closes it when the test ends. Where links
// can't be made the test is skipped, and says why.
func Start(t testing.TB, cfg Config) *Link {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
