package audio

import (
	"testing"
	"time"
)

// late is a processor that says that it holds audio back.
type late time.Duration

func (late) Process(_, _ *Block)    {}
func (l late) Delay() time.Duration { return time.Duration(l) }

// prompt is one that doesn't.
type prompt struct{}

func (prompt) Process(_, _ *Block) {}

func TestChainsDelayIsThatOfItsParts(t *testing.T) {
	c := Chain{late(5 * time.Millisecond), prompt{}, Chain{late(time.Millisecond), prompt{}}, &Limiter{}}
	if got, want := c.Delay(), 6*time.Millisecond+LimiterDelay; got != want {
		t.Errorf("delay %v, want %v", got, want)
	}
	if d := (Chain{}).Delay(); d != 0 {
		t.Errorf("an empty chain holds audio back for %v", d)
	}
}
