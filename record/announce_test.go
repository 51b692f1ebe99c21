package record

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-voice/parley/session/sessiontest"
)

// Who records says so while it does, and only then; unless the application does it.
func TestARecordingIsAnnounced(t *testing.T) {
	for _, unannounced := range []bool{false, true} {
		party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
			anna, ben := newMember(t, net, 1, 440), newMember(t, net, 2, 330)
			meet(t, anna, ben)
			records := func() bool {
				time.Sleep(200 * time.Millisecond)
				return ben.Stats().Peers[0].Recording
			}
			dir := t.TempDir()
			r, err := Start(anna, dir, Config{Format: WAV, Unannounced: unannounced})
			if err != nil {
				t.Fatal(err)
			}
			if got := records(); got == unannounced {
				t.Errorf("unannounced %t: while it records, ben is told %t", unannounced, got)
			}
			if _, err := Start(anna, dir, Config{Unannounced: unannounced}); !errors.Is(err, ErrExists) {
				t.Errorf("a second one: %v", err)
			}
			if err := errors.Join(r.Stop(), r.Stop()); err != nil {
				t.Error(err)
			}
			if records() || anna.Recording() {
				t.Error("it is announced after its end")
			}
			if err := errors.Join(anna.Close(), ben.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
