package integration_test

import (
	"flag"
	"testing"
)

func TestMain(m *testing.M) {
	// Those that are parallel wait for processes more than they compute.
	_ = flag.Set("test.parallel", "6") // the command line has the last word
	m.Run()
	removeChat()
}
