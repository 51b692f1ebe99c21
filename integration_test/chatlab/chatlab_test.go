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
	line := func(at, concealed, discarded float64) Line {
		return Line{T: at, Peers: map[string]Peer{"ben": {Concealed: concealed, Discarded: discarded}}}
	}
	lines := []Line{
		line(10, 100, 0), line(11, 100, 20), line(12, 160, 20), line(13, 160, 20),
		line(14, 40, 0), // ben came back
		line(15, 60, 0),
		{T: 16, Final: true, Peers: map[string]Peer{"ben": {Concealed: 1000}}},
	}
	for _, c := range []struct {
		from, to float64
		want     time.Duration
	}{
		{0, 100, 240 * time.Millisecond},
		{10.5, 11.5, 80 * time.Millisecond},
		{12.5, 12.9, 0},
		{13.5, 20, 60 * time.Millisecond},
	} {
		if got := Unheard(lines, "ben", At(c.from), At(c.to)); got != c.want {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if got := Unheard(lines, "clara", At(0), At(100)); got != 0 {
		t.Errorf("%v of a peer that isn't there", got)
	}
}
