package p2p

// gate is a lock under which the application's handler runs, for as long as it
// likes. Unlike with sync.Mutex, a goroutine that waits for it lets virtual time
// pass (testing/synctest), so that applications can test slow handlers.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) Lock() { g <- struct{}{} }

func (g gate) Unlock() { <-g }

// wait waits until nobody holds the lock.
func (g gate) wait() {
	g.Lock()
	g.Unlock() //nolint:staticcheck // nothing is to be done under it
}
