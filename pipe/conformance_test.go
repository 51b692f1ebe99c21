package pipe_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/pipe"
	"github.com/parley-voice/parley/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTransport(t *testing.T) {
	bad := weather{delay: 10 * time.Millisecond, loss: 0.1, double: 0.1, reorder: 0.1}
	for _, tt := range []struct {
		name    string
		weather weather
		cfg     pipe.Config
	}{
		{"both ways", weather{}, pipe.Config{}},
		{"both ways, lossy", bad, pipe.Config{}},
		{"unreliable only, lossy", bad, pipe.Config{Ways: pipe.UnreliableOnly}},
		{"reliable only", weather{delay: 10 * time.Millisecond}, pipe.Config{Ways: pipe.ReliableOnly}},
		{"not encrypted, lossy", bad, pipe.Config{Ways: pipe.UnreliableOnly, Insecure: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sessiontest.TestTransport(t, sessiontest.Factory{
				Run: synctest.Test,
				New: func(tb testing.TB, n int) (ts []link.Transport) {
					r := newRelay(tb, tt.weather)
					for i := range n {
						ts = append(ts, r.join(tb, i, tt.cfg))
					}
					return ts
				},
			})
		})
	}
}
