package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/parley-voice/parley/identity"
)

// stage is a screen that is shown nowhere.
type stage struct {
	*Screen
	chat   *fakeChat
	keys   *io.PipeWriter
	shown  *output
	cancel context.CancelFunc
	over   chan error
}

type output struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newStage(t *testing.T, chat Chat, environ ...string) *stage {
	t.Helper()
	keys, typed := io.Pipe()
	s := &stage{keys: typed, shown: &output{}, over: make(chan error, 1)}
	s.chat, _ = chat.(*fakeChat)
	s.Screen = New(Config{
		Chat: chat, Now: func() time.Time { return start }, Input: keys, Output: s.shown, Width: 80, Height: 24,
		Environ: append(environ, "TERM=xterm-256color"),
	})
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	go func() { s.over <- s.Run(ctx) }()
	t.Cleanup(func() {
		s.cancel()
		_ = typed.Close()
	})
	return s
}

// ends fails unless Run returns what it should.
func (s *stage) ends(t *testing.T, want error) {
	t.Helper()
	select {
	case err := <-s.over:
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("Run returned %v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run doesn't return")
	}
}

func TestAScreenRunsUntilAKeyEndsIt(t *testing.T) {
	s := newStage(t, party())
	if !s.Do(func() { s.Hear("ben", "what he wrote") }) {
		t.Fatal("Do did nothing")
	}
	s.Note("a note from elsewhere")
	if _, err := io.WriteString(s.keys, "mq"); err != nil {
		t.Fatal(err)
	}
	s.ends(t, nil)
	if !s.chat.state.Muted {
		t.Error("the key before the last did nothing")
	}
	if s.Do(func() { t.Error("after the end f is called") }) {
		t.Error("after the end Do says that f was called")
	}
	s.Note("nobody sees this")
	for _, want := range []string{"what he wrote", "a note from elsewhere"} {
		if found := strings.Contains(logOf(s.model), want); !found {
			t.Errorf("%q isn't in the log", want)
		}
	}
}

func logOf(m *Model) string {
	var b strings.Builder
	for _, e := range m.log.entries {
		b.WriteString(e.from + ": " + e.text + "\n")
	}
	return b.String()
}

func TestAScreenRunsUntilItsContextEnds(t *testing.T) {
	s := newStage(t, party())
	s.Do(func() {})
	s.cancel()
	s.ends(t, nil)
	if shown := s.shown.String(); strings.LastIndex(shown, "\x1b[?1049l") <= strings.LastIndex(shown, "\x1b[?1049h") {
		t.Errorf("the terminal is left on the second screen: %q", shown)
	}
}

// panicky panics when it is looked at for the third time.
type panicky struct {
	*fakeChat
	looks int
}

func (p *panicky) State(now time.Time, id identity.PeerID) State {
	if p.looks++; p.looks > 2 {
		panic("on purpose")
	}
	return p.fakeChat.State(now, id)
}

func TestAPanicGivesTheTerminalBack(t *testing.T) {
	s := newStage(t, &panicky{fakeChat: party()})
	s.ends(t, tea.ErrProgramPanic)
	if shown := s.shown.String(); strings.LastIndex(shown, "\x1b[?1049l") < strings.LastIndex(shown, "\x1b[?1049h") {
		t.Errorf("the terminal is left on the second screen: %q", shown)
	}
}

// With NO_COLOR nothing is coloured, and what has to stand out still does.
func TestColours(t *testing.T) {
	for _, c := range []struct {
		environ string
		want    bool
	}{{"", true}, {"NO_COLOR=1", false}} {
		chat := party()
		chat.state.Muted = true
		s := newStage(t, chat, c.environ, "TTY_FORCE=1")
		s.Do(func() {})
		s.cancel()
		s.ends(t, nil)
		shown := s.shown.String()
		if got := colour.MatchString(shown); got != c.want {
			t.Errorf("%s: coloured %t: %q", c.environ, got, shown)
		}
		if !strings.Contains(shown, "\x1b[1;7m MUTED") && !strings.Contains(shown, "7m MUTED") {
			t.Errorf("%s: MUTED doesn't stand out: %q", c.environ, shown)
		}
	}
}

// The colours of a known background differ, and both from those of an unknown
// one.
func TestThemes(t *testing.T) {
	seen := map[string]bool{}
	for _, th := range []theme{newTheme(false, false), newTheme(true, true), newTheme(true, false)} {
		for _, s := range []string{th.good.Styled("x"), th.warn.Styled("x"), th.bad.Styled("x"), th.own.Styled("x")} {
			if seen[s] {
				t.Errorf("%q is used twice", s)
			}
			seen[s] = true
		}
	}
}

func TestMeter(t *testing.T) {
	th := newTheme(false, false)
	for _, c := range []struct {
		level, mark float64
		want        string
	}{
		{-96, 0, "··········"},
		{-60, 0, "··········"},
		{-57, 0, "▌·········"},
		{-30, 0, "█████·····"},
		{-30, -45, "██┃██·····"},
		{0, 0, "██████████"},
		{20, 0, "██████████"},
		{0, -0.001, "█████████┃"},
		{nan(), nan(), "┃·········"},
		{-30, -90, "┃████·····"},
	} {
		if got := stripped(th.meter(c.level, c.mark, 10)); got != c.want {
			t.Errorf("%v dBFS, mark at %v: %s, want %s", c.level, c.mark, got, c.want)
		}
	}
}
