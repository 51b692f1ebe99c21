package session

func (TalkingWhileMuted) event() {}

// When somebody is taken to talk though the microphone is muted.
const (
	gaggedAfter = 30   // blocks of voice, less those without: 300 ms
	gaggedAgain = 1000 // blocks until that is said again: 10 s
)

// gagged notices that somebody talks and is muted.
type gagged struct {
	talked int // blocks of voice, less those without
	wait   int // blocks until it may be said again
}

// push takes a block and reports whether it is time to say so.
func (g *gagged) push(muted, voiced bool) bool {
	if !muted {
		*g = gagged{}
		return false
	}
	g.wait = max(0, g.wait-1)
	if voiced {
		g.talked = min(g.talked+1, gaggedAfter)
	} else {
		g.talked = max(g.talked-1, 0)
	}
	if g.talked < gaggedAfter || g.wait > 0 {
		return false
	}
	g.wait = gaggedAgain
	return true
}
