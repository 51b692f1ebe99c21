package linkem

import "sync/atomic"

// Stats counts what a link did, in IP packets and their bytes.
type Stats struct {
	AB Counters `json:"a_to_b"`
	BA Counters `json:"b_to_a"`
}

// Counters are those of one direction. Sent less Lost, Overflowed and
// Delivered is on its way.
type Counters struct {
	Sent           uint64 `json:"sent"`
	SentBytes      uint64 `json:"sent_bytes"`
	Lost           uint64 `json:"lost"`       // by chance
	Overflowed     uint64 `json:"overflowed"` // dropped at the full queue
	Delivered      uint64 `json:"delivered"`
	DeliveredBytes uint64 `json:"delivered_bytes"`
}

// counters are written by the link's loop and read by anyone.
type counters struct {
	sent, sentBytes, lost, overflowed, delivered, deliveredBytes atomic.Uint64
}

func (c *counters) load() Counters {
	return Counters{
		Sent:           c.sent.Load(),
		SentBytes:      c.sentBytes.Load(),
		Lost:           c.lost.Load(),
		Overflowed:     c.overflowed.Load(),
		Delivered:      c.delivered.Load(),
		DeliveredBytes: c.deliveredBytes.Load(),
	}
}
