package chatlab

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestLineWaitsForWhatIsPrinted(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("SKIPPED, no shell: %v", err)
	}
	began := time.Now()
	p, err := Start(exec.Command(shell, "-c", "echo one; sleep 0.2; echo two; sleep 0.2; echo one again"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	is := func(want string) func(string) bool {
		return func(text string) bool { return strings.HasPrefix(text, want) }
	}
	two, err := p.Line(t.Context(), began, is("two"))
	if took := two.At.Sub(began); err != nil || two.Text != "two" || took < 200*time.Millisecond {
		t.Errorf("%q after %v: %v", two.Text, took, err)
	}
	if l, err := p.Line(t.Context(), two.At, is("one")); err != nil || l.Text != "one again" {
		t.Errorf("from then on %q: %v", l.Text, err)
	}
	if l, err := p.Line(t.Context(), began, is("one")); err != nil || l.Text != "one" {
		t.Errorf("from the start %q: %v", l.Text, err)
	}
	if _, err := p.Line(t.Context(), began, is("three")); err == nil || !strings.Contains(err.Error(), "one again") {
		t.Errorf("a line that never came: %v", err)
	}
	if err := p.Wait(); err != nil || len(p.Lines()) != 3 {
		t.Errorf("%d lines: %v", len(p.Lines()), err)
	}
}

func TestLineEndsWithItsContext(t *testing.T) {
	p, err := Start(exec.Command("sleep", "60"))
	if err != nil {
		t.Skipf("SKIPPED, no sleep: %v", err)
	}
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Line(ctx, time.Time{}, func(string) bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a line of a silent process: %v", err)
	}
}

func TestUnheardIsWhatGrewInTheTime(t *testing.T) {
	line := func(at float64, missing uint64, discarded float64) Line {
		return Line{T: at, Peers: map[string]Peer{"ben": {Missing: missing, Discarded: discarded, Concealed: 1000 * at}}}
	}
	lines := []Line{
		line(10, 5, 0), line(11, 5, 20), line(12, 8, 20), line(13, 8, 20),
		line(14, 2, 0), // ben came back
		line(15, 2, 10),
		{T: 16, Final: true, Peers: map[string]Peer{"ben": {Missing: 1000}}},
	}
	for _, c := range []struct {
		from, to float64
		want     int
	}{
		{0, 100, 12},
		{10.5, 11.5, 4},
		{12.5, 12.9, 0},
		{13.5, 20, 3},
	} {
		if got := Unheard(lines, "ben", At(c.from), At(c.to)); got != c.want {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if got := Unheard(lines, "clara", At(0), At(100)); got != 0 {
		t.Errorf("%v of a peer that isn't there", got)
	}
}
