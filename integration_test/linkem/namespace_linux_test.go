package linkem

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHelperLeavesAProgramBehind is the process that the test below kills.
func TestHelperLeavesAProgramBehind(t *testing.T) {
	if os.Getenv("LINKEM_HELPER") != "1" {
		t.Skip("helper of another test")
	}
	ns, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	sleeper := ns.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid %d\n", sleeper.Process.Pid)
	_ = sleeper.Wait() // until this process is killed, and it with it
}

func TestCommandsDieWithTheProcessHoweverItEnds(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	}
	helper := exec.Command(os.Args[0], "-test.run=^TestHelperLeavesAProgramBehind$")
	helper.Env = append(os.Environ(), "LINKEM_HELPER=1")
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = helper.Process.Kill(); _ = helper.Wait() })
	pid := ""
	for lines := bufio.NewScanner(out); pid == "" && lines.Scan(); {
		pid, _ = strings.CutPrefix(lines.Text(), "pid ")
		if pid == lines.Text() {
			pid = ""
		}
	}
	if pid == "" {
		t.Fatal("the helper started nothing")
	}
	within := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for over := time.Now().Add(5 * time.Second); !ok(); <-tick.C {
			if time.Now().After(over) {
				t.Fatalf("process %s: not within 5 s: %s", pid, what)
			}
		}
	}
	within("nsenter has become the program", func() bool {
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		return string(name) == "sleep\n"
	})
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	within("killed", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		_, rest, _ := strings.Cut(string(stat), ") ")
		return err != nil || strings.HasPrefix(rest, "Z") // who inherited it may reap it later
	})
}
