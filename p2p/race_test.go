//go:build race

package p2p

import "runtime"

// The race detector of Go 1.26 crashes at times (SIGSEGV, or a failed CHECK of
// ThreadSanitizer) where two threads run timers of one synctest bubble at once, as
// libp2p's dials have them: those of a bubble share one context of the detector. With
// one processor that can't be; races are found all the same, by the order of
// synchronisation. `go test -race -shuffle=1795815014019102195` crashed four times of
// four, and passes with this.
func init() {
	runtime.GOMAXPROCS(1)
	raceEnabled = true
}
