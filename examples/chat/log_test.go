package main

import (
	"slices"
	"testing"
)

// What was said before there was a screen is shown there, and what is said after.
func TestNotesGoToTheScreen(t *testing.T) {
	n := &notes{}
	n.say("before")
	var shown []string
	before := n.divert(func(text string) { shown = append(shown, text) })
	n.say("meanwhile")
	n.divert(nil)
	n.say("after")
	if !slices.Equal(before, []string{"before"}) || !slices.Equal(shown, []string{"meanwhile"}) {
		t.Errorf("before the screen: %q, on it: %q", before, shown)
	}
	(*notes)(nil).say("without notes it goes to standard error")
}
