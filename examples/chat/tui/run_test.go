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
	"github.com/parley-voice/parley/session"
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

// What a terminal with the kitty keyboard protocol sends, byte by byte: letters
// as escape codes with their text, repeats and releases.
func TestKittyKeyboard(t *testing.T) {
	const (
		press, again, release = "\x1b[32;;32u", "\x1b[32;1:2;32u", "\x1b[32;1:3u"
		shift, shiftRelease   = "\x1b[57441;2u", "\x1b[57441;1:3u"
	)
	chat := party()
	chat.state.Mode = session.PushToTalk
	s := newStage(t, chat)
	types := func(keys string) {
		t.Helper()
		if _, err := io.WriteString(s.keys, keys); err != nil {
			t.Fatal(err)
		}
	}
	// wait sees that what was typed so far arrived, by a key that changes nothing
	// else.
	wait := func(what string, ok func() bool) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for done := false; !done; {
			s.Do(func() { done = ok() })
			if !done && time.Now().After(deadline) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	types("\x1b[?27u") // all that is asked for is there
	wait("the terminal tells releases", func() bool { return s.model.talk.releases })
	types(press + again + again)
	wait("held: talking", func() bool { return chat.state.Talking })
	types(release)
	wait("let go: silent", func() bool { return !chat.state.Talking })
	types("\x1b[109;;109u\x1b[109;1:3u") // m
	wait("m mutes, and its release does nothing", func() bool { return chat.state.Muted })
	types(shift + "\x1b[47;2;63u\x1b[47;2:3u" + shiftRelease) // ? by shift and /
	wait("? opens the help", func() bool { return s.model.page == helpPage })
	types("\x1b[27u\x1b[27;1:3u")
	wait("escape closes it", func() bool { return s.model.page == mainPage })
	types("\x1b[13u\x1b[13;1:3u")
	wait("enter begins a line", func() bool { return s.model.input != nil })
	types("hi\r") // which isn't typed as escape codes any more
	wait("it is said", func() bool { return len(chat.said) == 1 && chat.said[0] == "hi" })
	types("\x1b[99;5u")
	s.ends(t, nil)
}

// BenchmarkScreen draws the largest conversation that Parley is made for.
func BenchmarkScreen(b *testing.B) {
	chat := party()
	for i := range 60 {
		p := chat.state.Peers[1]
		p.ID = peerID(10 + i)
		chat.state.Peers = append(chat.state.Peers, p)
	}
	tab := newTable(chat)
	tab.gets(tea.WindowSizeMsg{Width: 200, Height: 60})
	for i := range 200 {
		tab.add(spoken, "ben", strings.Repeat("a text ", i%20))
	}
	b.ReportAllocs()
	for b.Loop() {
		tab.View()
	}
}
