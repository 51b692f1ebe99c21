package tui

import (
	"testing"
	"time"
)

// What a terminal tells of the key, at which millisecond, and whether we talk
// then.
func TestTheTalkKey(t *testing.T) {
	type step struct {
		at   int
		what string // press, repeat, release, toggle, drop, off; empty for nothing
		want bool
	}
	for name, c := range map[string]struct {
		releases bool
		steps    []step
	}{
		"held, and the terminal tells": {true, []step{
			{0, "press", true},
			{400, "repeat", true},
			{5000, "", true},
			{5001, "release", false},
			{9000, "", false},
		}},
		"tapped, and the terminal tells": {true, []step{
			{0, "press", true},
			{50, "release", false},
			{2000, "", false},
		}},
		"held, and it repeats": {false, []step{
			{0, "press", true},
			{660, "press", true},
			{700, "press", true},
			{740, "press", true},
			{1050, "", true},
			{1200, "", false},
		}},
		"held over a slow line": {false, []step{
			{0, "press", true},
			{500, "press", true},
			{840, "press", true},
			{1180, "press", true},
			{1500, "press", true},
		}},
		"tapped on and off": {false, []step{
			{0, "press", true},
			{690, "", true},
			{800, "", true},
			{60000, "", true},
			{60001, "press", false},
			{61000, "", false},
			{61001, "press", true},
		}},
		"ended with a key that is held on": {false, []step{
			{0, "press", true},
			{800, "", true},
			{1000, "press", false},
			{1500, "press", false},
			{1540, "press", false},
			{1580, "press", false},
			{2000, "", false},
			{2100, "press", true},
		}},
		"the first release tells that there are some": {false, []step{
			{0, "press", true},
			{50, "release", false},
			{100, "press", true},
			{5000, "", true},
			{5001, "release", false},
		}},
		"the window loses the focus while it is held": {true, []step{
			{0, "press", true},
			{100, "drop", false},
			{200, "repeat", false},
			{300, "release", false},
			{400, "press", true},
		}},
		"the window loses the focus while it is latched": {false, []step{
			{0, "press", true},
			{800, "", true},
			{900, "drop", true},
			{901, "off", false},
		}},
		"the other key": {true, []step{
			{0, "toggle", true},
			{5000, "", true},
			{5001, "toggle", false},
			{6000, "toggle", true},
			{6001, "press", false},
			{6100, "release", false},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := talkKey{releases: c.releases}
			start := time.Unix(1e9, 0)
			for _, s := range c.steps {
				now := start.Add(time.Duration(s.at) * time.Millisecond)
				k.tick(now)
				switch s.what {
				case "press":
					k.press(now, false)
				case "repeat":
					k.press(now, true)
				case "release":
					k.release()
				case "toggle":
					k.toggle()
				case "drop":
					k.drop()
				case "off":
					k.off()
				}
				if k.on() != s.want {
					t.Fatalf("%d ms, %q: talking %t, want %t", s.at, s.what, k.on(), s.want)
				}
			}
		})
	}
}
