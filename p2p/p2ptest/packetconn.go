package p2ptest

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// packetConn counts and loses packets.
type packetConn struct {
	net.PacketConn
	uplink *uplink // shared with nobody
	began  time.Time
	cut    atomic.Bool
	barred sync.Map // IP addresses in text to which nothing gets through

	packetsSent, bytesSent, packetsReceived, bytesReceived atomic.Uint64

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	enter  float64 // chance that a burst begins with this packet
	leave  float64 // chance that a burst ends with this packet
	losing bool
	fate   func(to int, at time.Duration, size int) (after time.Duration, arrives bool) // nil for none
	fates  map[int][]time.Duration                                                      // of packets that the network has yet to carry, by receiver
}

func newPacketConn(seed uint64) *packetConn {
	return &packetConn{random: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), leave: 1, fates: make(map[int][]time.Duration)}
}

// setLoss sets up a Gilbert model: in the stationary state share of the packets
// is lost, in bursts of mean length burst. For independent losses the burst
// length follows from the share.
func (c *packetConn) setLoss(share, burst float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.losing = false
	share = min(max(share, 0), 1)
	switch {
	case share == 1:
		c.enter, c.leave = 1, 0
	case burst <= 1:
		c.enter, c.leave = share, 1-share
	default:
		c.leave = 1 / burst
		c.enter = min(1, c.leave*share/(1-share))
	}
}

// lose decides about the next packet.
func (c *packetConn) lose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.losing {
		c.losing = c.random.Float64() >= c.leave
	} else {
		c.losing = c.random.Float64() < c.enter
	}
	return c.losing
}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	c.packetsSent.Add(1)
	c.bytesSent.Add(uint64(len(b)))
	at := time.Since(c.began)
	wait, left := c.uplink.carry(at, len(b)+ipHeaders)
	if !left || c.lose() || c.cut.Load() || c.bars(to) || !c.arrives(to, at, wait, len(b)) {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

// arrives asks for the fate of a packet that leaves the uplink after a wait, and
// keeps for fated how long it takes.
func (c *packetConn) arrives(to net.Addr, at, wait time.Duration, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := indexOf(to)
	after, arrives := time.Duration(0), true
	if c.fate != nil {
		after, arrives = c.fate(i, at+wait, size+ipHeaders)
	}
	if arrives {
		c.fates[i] = append(c.fates[i], wait+after)
	}
	return arrives
}

// fated is how long the next packet to a host takes beside the delay that all
// have: they come in the order in which they were sent.
func (c *packetConn) fated(to int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.fates[to]
	if len(list) == 0 {
		return 0
	}
	c.fates[to] = list[1:]
	return list[0]
}

func (c *packetConn) bars(to net.Addr) bool {
	host, _, err := net.SplitHostPort(to.String())
	if err != nil {
		return false
	}
	_, barred := c.barred.Load(host)
	return barred
}

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		if c.cut.Load() {
			continue
		}
		c.packetsReceived.Add(1)
		c.bytesReceived.Add(uint64(n))
		return n, from, nil
	}
}

// SetReadBuffer keeps quic-go from warning about the size of the buffer.
func (c *packetConn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer keeps quic-go from warning about the size of the buffer.
func (c *packetConn) SetWriteBuffer(int) error { return nil }

func (c *packetConn) traffic() Traffic {
	return Traffic{
		PacketsSent: c.packetsSent.Load(), BytesSent: c.bytesSent.Load(),
		PacketsReceived: c.packetsReceived.Load(), BytesReceived: c.bytesReceived.Load(),
	}
}
