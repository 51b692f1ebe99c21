package sessiontest

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

// Factory tells [TestTransport] how to make the transports under test.
type Factory struct {
	// New makes n transports that can reach each other, none of them open. It
	// registers with tb.Cleanup what has to be given back after they were
	// closed. Required.
	New func(tb testing.TB, n int) []link.Transport

	// Run runs one check, in a bubble of testing/synctest for example:
	//
	//	Run: synctest.Test
	//
	// The default runs it in real time.
	Run func(t *testing.T, check func(*testing.T))

	// Timeout is how long a check waits for what must happen; default 20 s.
	Timeout time.Duration

	// Settle is how long a check watches that something doesn't happen. It is
	// longer than a message is on its way; default 500 ms.
	Settle time.Duration

	// Owns says of a goroutine's stack trace whether the goroutine is the
	// transport's, and has to be gone after Close. By default every goroutine
	// is that wasn't there before Open; a transport over a connection that
	// outlives it tells its own apart.
	Owns func(stack string) bool
}

// T is the part of testing.TB that checks need.
type T interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// TestTransport tests that an implementation of link.Transport keeps the
// contract of package link. Each check is a subtest; what it reports begins
// with the sentence of the contract that was broken. Some checks are worth most
// under the race detector.
//
// Voice may get lost, but not more than half of it. Nothing may be lost of
// control. Transports that need more than an empty argument list to connect
// are connected by Factory.New.
func TestTransport(t *testing.T, f Factory) {
	f = f.withDefaults()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			f.Run(t, func(t *testing.T) { c.run(newBench(t, t, f)) })
		})
	}
}

func (f Factory) withDefaults() Factory {
	if f.Run == nil {
		f.Run = func(t *testing.T, check func(*testing.T)) { t.Helper(); check(t) }
	}
	if f.Timeout <= 0 {
		f.Timeout = 20 * time.Second
	}
	if f.Settle <= 0 {
		f.Settle = 500 * time.Millisecond
	}
	if f.Owns == nil {
		f.Owns = func(string) bool { return true }
	}
	return f
}

// checks is the suite, in the order of a conversation.
var checks = []struct {
	name string
	run  func(*bench)
}{
	{"self is stable", checkSelf},
	{"open twice is ErrOpen", checkOpenTwice},
	{"before Open and after Close is ErrClosed", checkClosed},
	{"an invalid peer and self are refused", checkJoinRefuses},
	{"a peer that isn't joined has no path and no stats", checkUnjoined},
	{"first contact, whoever joins first", checkFirstContact},
	{"join is idempotent", checkJoinIdempotent},
	{"an unannounced peer knocks and is adopted", checkKnock},
	{"voice arrives intact", checkVoiceIntact},
	{"voice arrives at most once", checkVoiceOnce},
	{"too large is ErrTooLarge", checkTooLarge},
	{"control arrives in order, none missing", checkControlOrder},
	{"control waits for the path", checkControlWaits},
	{"control is bounded", checkControlBounded},
	{"voice doesn't wait for the path", checkVoiceNeedsPath},
	{"nothing is delivered after Leave", checkLeaveSilence},
	{"Leave waits for the call under way", checkLeaveWaits},
	{"control before Leave still arrives", checkLeaveFlush},
	{"a left peer is not heard", checkLeftNotHeard},
	{"a rejoin is a new epoch", checkRejoin},
	{"both rejoin", checkBothRejoin},
	{"nothing is delivered after Close", checkClose},
	{"Close flushes control", checkCloseFlush},
	{"Close ends every goroutine", checkCloseGoroutines},
	{"Open works again after Close", checkReopen},
	{"SendVoice never blocks", checkNeverBlocks},
	{"a slow handler delays nobody else", checkSlowHandler},
	{"a handler may take its user's lock", checkHandlerLock},
	{"stats add up", checkStats},
	{"random calls from many goroutines", checkHammer},
}
