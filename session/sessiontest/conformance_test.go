package sessiontest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/p2p/link"
)

func memory(cfg Config) func(testing.TB, int) []link.Transport {
	return func(tb testing.TB, n int) []link.Transport {
		network := NewNetwork(cfg)
		tb.Cleanup(func() { _ = network.Close() })
		var ts []link.Transport
		for i := range n {
			ts = append(ts, network.Transport(PeerID(i)))
		}
		return ts
	}
}

func TestMemoryTransportConforms(t *testing.T) {
	for name, cfg := range map[string]LinkConfig{
		"at once":   {},
		"far":       {Delay: 75 * time.Millisecond},
		"jitter":    {Delay: 25 * time.Millisecond, Jitter: 20 * time.Millisecond},
		"lossy":     {Delay: 25 * time.Millisecond, Loss: 0.1, Burst: 3},
		"terrible":  {Delay: 25 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.2, Duplicate: 0.2, Reorder: 0.2},
		"recovered": {Delay: 25 * time.Millisecond, Loss: 0.2, RetransmitVoice: true},
		"narrow":    {Delay: 25 * time.Millisecond, Bandwidth: 512_000},
	} {
		t.Run(name, func(t *testing.T) {
			TestTransport(t, Factory{New: memory(Config{Seed: 1, Link: cfg}), Run: synctest.Test, Settle: time.Second})
		})
	}
}

func TestMemoryTransportConformsInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	TestTransport(t, Factory{
		New:    memory(Config{Seed: 1, Link: LinkConfig{Delay: 2 * time.Millisecond, Loss: 0.02}}),
		Settle: 100 * time.Millisecond,
	})
}
