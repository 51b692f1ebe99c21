package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// part is a part of the conversation: what is typed before it, and who hears whom
// in it. Who isn't named hears nobody.
type part struct {
	name  string
	says  string // what happens, for people
	typed map[string][]string
	hears map[string][]string
}

var parts = []part{
	{
		name: "everyone", says: "everyone talks to everyone",
		hears: map[string][]string{"anna": {"ben", "clara"}, "ben": {"anna", "clara"}, "clara": {"anna", "ben"}},
	},
	{
		name: "a room", says: `anna and ben talk in room "team", clara hears another room and talks to everyone`,
		typed: map[string][]string{
			"anna":  {"hear team", "speak team"},
			"ben":   {"hear team", "speak team"},
			"clara": {"hear hall"},
		},
		hears: map[string][]string{"anna": {"ben", "clara"}, "ben": {"anna", "clara"}},
	},
	{
		name: "a whisper", says: "anna whispers to clara",
		typed: map[string][]string{"anna": {"whisper clara"}},
		hears: map[string][]string{"anna": {"ben", "clara"}, "ben": {"clara"}, "clara": {"anna"}},
	},
}

// span is when a part lasted.
type span struct{ from, to time.Time }

const (
	answerPatience = 5 * time.Second         // for what was typed
	settled        = 2500 * time.Millisecond // after what was typed: it is heard everywhere, and the background behind what was said before is over
)

// play has the three talk, part by part, and says when each was.
func play(ctx context.Context, speakers []*speaker, duration time.Duration) (spans []span, err error) {
	for i, p := range parts {
		for _, s := range speakers {
			for _, line := range p.typed[s.name] {
				if err := s.command(ctx, line); err != nil {
					return nil, err
				}
			}
		}
		fmt.Printf("%d. %v: %s ", i+1, duration, p.says)
		if i > 0 {
			if err := pass(ctx, settled); err != nil {
				return nil, err
			}
		}
		sp := span{from: time.Now()}
		for left := duration; left > 0; left -= time.Second {
			fmt.Print(".")
			if err := pass(ctx, min(left, time.Second)); err != nil {
				return nil, err
			}
		}
		sp.to = time.Now()
		fmt.Println(" done")
		for _, s := range speakers {
			select {
			case <-s.process.Exited():
				return nil, fmt.Errorf("%s ended: %w", s.name, s.process.Wait())
			default:
			}
		}
		spans = append(spans, sp)
	}
	return spans, nil
}

// command types a line and waits for the answer.
func (s *speaker) command(ctx context.Context, line string) error {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	typed := time.Now()
	if _, err := fmt.Fprintln(s.input, line); err != nil {
		return fmt.Errorf("%s, %q: %w", s.name, line, err)
	}
	if _, err := s.process.Line(ctx, typed, func(text string) bool { return strings.HasPrefix(text, "you hear ") }); err != nil {
		return fmt.Errorf("%s, %q: %w", s.name, line, err)
	}
	return nil
}

func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
