package pipe

import (
	"math/rand/v2"
	"testing"
)

// The window says of each counter once that it is fresh, as a set of all counters
// would that forgets what is older than its size.
func TestWindowAgreesWithASet(t *testing.T) {
	for seed := range uint64(20) {
		draw := rand.New(rand.NewPCG(seed, 1))
		var w window
		seen := map[uint64]bool{0: true}
		top := uint64(0)
		for range 20000 {
			n := top + draw.Uint64N(8)
			switch draw.IntN(40) {
			case 0:
				n = top + draw.Uint64N(3*windowSize)
			case 1:
				n = top - min(top, draw.Uint64N(2*windowSize))
			default:
				n -= min(n, draw.Uint64N(8))
			}
			want := !seen[n] && (n > top || top-n < windowSize)
			if got := w.fresh(n); got != want {
				t.Fatalf("seed %d: with %d as the highest %d is fresh: %v, want %v", seed, top, n, got, want)
			}
			if want {
				w.mark(n)
				seen[n] = true
				top = max(top, n)
			}
		}
	}
}
