package sessiontest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// faults breaks one thing about a transport. The hooks that are nil leave it
// as it is.
type faults struct {
	handler     func(t *faulty, h link.Handler) link.Handler
	openHook    func(t *faulty, h link.Handler) error
	joinHook    func(t *faulty, p identity.PeerID) error
	leaveHook   func(t *faulty, p identity.PeerID) error
	voiceHook   func(t *faulty, p identity.PeerID, b []byte) error
	controlHook func(t *faulty, p identity.PeerID, b []byte) error
	pathHook    func(t *faulty, p identity.PeerID) link.Path
	statsHook   func(t *faulty, p identity.PeerID) link.Stats
	selfHook    func(t *faulty) identity.PeerID
	closeHook   func(t *faulty) error
}

// faulty is a transport with faults.
type faulty struct {
	link.Transport
	faults
	mu    sync.Mutex
	count int           // calls of every
	lock  chan struct{} // a mutex that waits durably
	kept  []byte        // by swap
}

func (t *faulty) Self() identity.PeerID {
	if t.selfHook != nil {
		return t.selfHook(t)
	}
	return t.Transport.Self()
}

func (t *faulty) Open(h link.Handler) error {
	if t.handler != nil {
		h = t.handler(t, h)
	}
	if t.openHook != nil {
		return t.openHook(t, h)
	}
	return t.Transport.Open(h)
}

func (t *faulty) Join(p identity.PeerID) error {
	if t.joinHook != nil {
		return t.joinHook(t, p)
	}
	return t.Transport.Join(p)
}

func (t *faulty) Leave(p identity.PeerID) error {
	if t.leaveHook != nil {
		return t.leaveHook(t, p)
	}
	return t.Transport.Leave(p)
}

func (t *faulty) SendVoice(p identity.PeerID, b []byte) error {
	if t.voiceHook != nil {
		return t.voiceHook(t, p, b)
	}
	return t.Transport.SendVoice(p, b)
}

func (t *faulty) SendControl(p identity.PeerID, b []byte) error {
	if t.controlHook != nil {
		return t.controlHook(t, p, b)
	}
	return t.Transport.SendControl(p, b)
}

func (t *faulty) Path(p identity.PeerID) link.Path {
	if t.pathHook != nil {
		return t.pathHook(t, p)
	}
	return t.Transport.Path(p)
}

func (t *faulty) Stats(p identity.PeerID) link.Stats {
	if t.statsHook != nil {
		return t.statsHook(t, p)
	}
	return t.Transport.Stats(p)
}

func (t *faulty) Close() error {
	if t.closeHook != nil {
		return t.closeHook(t)
	}
	return t.Transport.Close()
}

// next counts its calls.
func (t *faulty) next() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	return t.count
}

// every reports whether this is the n-th call of it, 2n-th and so on.
func (t *faulty) every(n int) bool { return t.next()%n == 0 }

// swap keeps b and returns what it kept before.
func (t *faulty) swap(b []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.kept
	t.kept = b
	return before
}

// hooks is a Handler made of functions; those that are nil pass calls on.
type hooks struct {
	link.Handler
	voice   func(p identity.PeerID, b []byte, at time.Time)
	control func(p identity.PeerID, b []byte)
	path    func(p identity.PeerID, path link.Path)
	knock   func(p identity.PeerID)
}

func (h hooks) Voice(p identity.PeerID, b []byte, at time.Time) {
	if h.voice == nil {
		h.Handler.Voice(p, b, at)
		return
	}
	h.voice(p, b, at)
}

func (h hooks) Control(p identity.PeerID, b []byte) {
	if h.control == nil {
		h.Handler.Control(p, b)
		return
	}
	h.control(p, b)
}

func (h hooks) PathChanged(p identity.PeerID, path link.Path) {
	if h.path == nil {
		h.Handler.PathChanged(p, path)
		return
	}
	h.path(p, path)
}

func (h hooks) Knock(p identity.PeerID) {
	if h.knock == nil {
		h.Handler.Knock(p)
		return
	}
	h.knock(p)
}

// report is a T that keeps what a check reports. It runs its cleanups itself.
type report struct {
	testing.TB
	mu       sync.Mutex
	texts    []string
	cleanups []func()
}

func (*report) Helper() {}

func (r *report) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *report) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, fmt.Sprintf(format, args...))
}

func (r *report) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// judge runs one check and returns what it reports.
func judge(tb testing.TB, f Factory, check func(*bench)) []string {
	r := &report{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, cleanup := range slices.Backward(r.cleanups) {
				cleanup()
			}
		}()
		check(newBench(r, r, f))
	}()
	<-done
	return r.texts
}

// TestSuiteCatches proves of each check that it can fail: a transport with one
// defect is caught by it, and for the right reason.
func TestSuiteCatches(t *testing.T) {
	for _, defect := range defects {
		t.Run(defect.name, func(t *testing.T) {
			check := checks[slices.IndexFunc(checks, func(c struct {
				name string
				run  func(*bench)
			},
			) bool {
				return c.name == defect.check
			})].run
			synctest.Test(t, func(t *testing.T) {
				texts := judge(t, faultyFactory(defect.faults), check)
				time.Sleep(5 * time.Minute) // what a defect left behind ends
				if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, defect.says) }) {
					t.Errorf("%q didn't report %q, but %q", defect.check, defect.says, texts)
				}
			})
		})
	}
}

// TestEveryCheckCatchesSomething keeps the list of defects complete.
func TestEveryCheckCatchesSomething(t *testing.T) {
	caught := make(map[string]bool)
	for _, d := range defects {
		caught[d.check] = true
	}
	for _, c := range checks {
		if !caught[c.name] {
			t.Errorf("no defect is there for %q", c.name)
		}
	}
}

// TestSuitePassesUnharmed guards TestSuiteCatches: without a defect the same
// shim reports nothing.
func TestSuitePassesUnharmed(t *testing.T) {
	for _, c := range checks {
		synctest.Test(t, func(t *testing.T) {
			if texts := judge(t, faultyFactory(faults{}), c.run); len(texts) > 0 {
				t.Errorf("%q reports %q", c.name, texts)
			}
		})
	}
}

// faultyFactory makes transports with the these faults.
func faultyFactory(f faults) Factory {
	network := memory(Config{Link: LinkConfig{Delay: 5 * time.Millisecond}})
	return Factory{
		Timeout: 5 * time.Second,
		New: func(tb testing.TB, n int) []link.Transport {
			ts := network(tb, n)
			for i := range ts {
				ts[i] = &faulty{Transport: ts[i], faults: f, lock: make(chan struct{}, 1)}
			}
			return ts
		},
	}.withDefaults()
}
