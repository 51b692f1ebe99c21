package p2p

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	mss "github.com/multiformats/go-multistream"

	"github.com/parley-voice/parley/p2p/link"
)

// control is one control stream. The goroutine that reads it and runWriter
// serve it; the pair's mu guards everything that both use.
type control struct {
	p     *pair
	conn  network.Conn
	ours  bool          // we opened it
	ready chan struct{} // closed when it is up or dead
	kick  chan struct{} // there is something to write, or it died

	stream network.Stream
	out    io.Writer // of the first write, with the protocol's name
	pt     *path
	opened time.Time
	to     uint64 // the peer's epoch that we opened it with
	up     bool   // both preambles are known
	dead   bool

	hello, ack, ping, pong bool // to be written
	addrs                  bool // ours are
	punches                [][]byte
	pingID, pongID         uint64
	cursor                 uint64 // number of the next message to write
	pace                   bucket // of messages
}

func newControl(p *pair, conn network.Conn, ours bool) *control {
	return &control{p: p, conn: conn, ours: ours, ready: make(chan struct{}), kick: make(chan struct{}, 1), pace: newBucket(messageRate, messageBurst)}
}

// What comes faster than frameRate breaks the protocol; messages leave more
// slowly than that, since pings and acknowledgements are frames too.
const (
	frameRate, frameBurst     = 300, 600
	messageRate, messageBurst = 150, 200
)

// openStream opens a stream on this very connection. The protocol's name leaves
// with the first write, and nothing waits for identify.
func openStream(ctx context.Context, conn network.Conn) (network.Stream, io.ReadWriter, error) {
	s, err := conn.NewStream(network.WithAllowLimitedConn(ctx, "voice"))
	if err != nil {
		return nil, nil, err
	}
	if err := s.SetProtocol(ProtocolID); err != nil {
		_ = s.ResetWithError(network.StreamResourceLimitExceeded)
		return nil, nil, err
	}
	return s, mss.NewMSSelect(s, ProtocolID), nil
}

// runOpen opens the stream, writes the preamble and serves the stream to its
// end.
func (c *control) runOpen() {
	ctx, cancel := context.WithTimeout(c.p.ctx, 5*time.Second)
	s, lazy, err := openStream(ctx, c.conn)
	cancel()
	if err != nil {
		c.failed(err)
		return
	}
	c.p.mu.Lock()
	if c.dead {
		c.p.mu.Unlock()
		c.p.t.node.reset(s, codeSuperseded)
		return
	}
	c.stream, c.out, c.hello = s, lazy, true
	c.opened = time.Now()
	c.p.wg.Go(c.runWriter)
	c.p.mu.Unlock()
	poke(c.kick)

	r := newStreamReader(lazy)
	pre, err := r.preamble()
	if err != nil {
		c.failed(err)
		return
	}
	if !c.p.answered(c, pre, r.at) {
		return
	}
	c.runFrames(r)
}

// runFrames reads frames until the stream ends.
func (c *control) runFrames(r *streamReader) {
	select {
	case <-c.ready:
	case <-c.p.ctx.Done():
		return
	}
	limit := newBucket(frameRate, frameBurst)
	c.p.countReceived(r.sum)
	for {
		f, n, err := parseFrame(r.pending())
		switch {
		case errors.Is(err, errIncomplete):
			if n, err = r.fill(); err != nil {
				c.failed(err)
				return
			}
			c.p.countReceived(n)
			continue
		case err != nil || !limit.take(r.at):
			c.malformed()
			return
		}
		if !c.receive(f, r.at) {
			return
		}
		r.consume(n)
	}
}

// malformed ends the stream because the peer broke the protocol.
func (c *control) malformed() {
	c.p.mu.Lock()
	c.p.stats.Malformed++
	c.p.mu.Unlock()
	c.failed(errMalformed)
}

// receive takes one frame; false ends the stream's reader.
func (c *control) receive(f frame, at time.Time) bool {
	p := c.p
	p.lock()
	defer p.deliver.Unlock()
	if c.dead || !c.up || p.state == stateGone {
		p.mu.Unlock()
		return false
	}
	p.heardLocked(c.pt, at)
	message, good := false, true
	switch f.kind {
	case frameData:
		message, good = c.dataLocked(f)
	case frameAck:
		good = p.control.acked(f.value)
		if p.state == stateLeaving && p.control.len() == 0 {
			select {
			case <-p.flushed:
			default:
				close(p.flushed)
			}
		}
	case framePing:
		c.pong, c.pongID = true, f.value
		c.pt.alive.pingedAt(at)
		poke(c.kick)
		p.wakeUp()
	case framePong:
		c.pt.alive.pong(f.value, at, &c.pt.rtt)
	case frameAddrs:
		good = p.addrsLocked(f.data, at)
	case framePunch:
		good = p.punchedLocked(c, f.data, at)
	}
	if !good {
		p.stats.Malformed++
		p.controlFailedLocked(c, errMalformed, at)
	}
	p.tell(at)
	if message {
		p.h.Control(p.id, f.data)
	}
	return good
}

// dataLocked judges a control message: whether it is to be delivered, and
// whether the peer keeps to the protocol.
func (c *control) dataLocked(f frame) (message, good bool) {
	p := c.p
	if p.state != stateJoined {
		return false, true
	}
	if f.value > p.expected {
		return false, false
	}
	c.ack = true
	poke(c.kick)
	if f.value < p.expected {
		return false, true
	}
	p.expected++
	p.stats.ControlReceived++
	return true, true
}

// runWriter writes what is due until the stream ends. A Write may wait for the
// network; nothing else waits for it.
func (c *control) runWriter() {
	buf := make([]byte, 0, 4096)
	paced := time.NewTimer(time.Hour)
	defer paced.Stop()
	for {
		select {
		case <-c.kick:
		case <-paced.C:
		case <-c.p.ctx.Done():
			return
		}
		for {
			c.p.mu.Lock()
			if c.dead {
				c.p.mu.Unlock()
				return
			}
			out := c.out
			var more bool
			if buf, more = c.batchLocked(buf[:0], time.Now()); more {
				paced.Reset(time.Second / messageRate)
			}
			c.p.stats.BytesSent += uint64(len(buf))
			c.p.mu.Unlock()
			if len(buf) == 0 {
				break
			}
			if _, err := out.Write(buf); err != nil {
				c.failed(err)
				return
			}
			c.p.mu.Lock()
			c.out = c.stream
			c.p.mu.Unlock()
		}
	}
}

// batchLocked collects what is due: the preamble, a pong, an acknowledgement, a
// ping, and messages if this is the stream that carries them now. more says that
// there are messages whose time has not come.
func (c *control) batchLocked(b []byte, now time.Time) (batch []byte, more bool) {
	p := c.p
	if c.hello {
		c.hello = false
		b = appendPreamble(b, preamble{kind: kindControl, session: p.t.name, from: p.ours, to: c.to})
	}
	if c.pong {
		c.pong = false
		b = appendFrame(b, frame{kind: framePong, value: c.pongID})
	}
	if !c.up {
		return b, false
	}
	if c.ack {
		c.ack = false
		b = appendFrame(b, frame{kind: frameAck, value: p.expected})
	}
	if c.ping {
		c.ping = false
		b = appendFrame(b, frame{kind: framePing, value: c.pingID})
	}
	if c.addrs {
		c.addrs = false
		if told := p.t.node.told.Load(); told != nil {
			b = appendFrame(b, frame{kind: frameAddrs, data: *told})
		}
	}
	for _, m := range c.punches {
		b = appendFrame(b, frame{kind: framePunch, data: m})
	}
	c.punches = nil
	if p.best == nil || p.best.cur != c {
		return b, false
	}
	c.cursor = max(c.cursor, p.control.base)
	for len(b) < 2048 {
		m, ok := p.control.get(c.cursor)
		if !ok {
			break
		}
		if !c.pace.take(now) {
			return b, true
		}
		b = appendFrame(b, frame{kind: frameData, value: c.cursor, data: m})
		c.cursor++
		p.stats.ControlSent++
	}
	return b, false
}

// sendControl queues a message for the peer.
func (p *pair) sendControl(b []byte) error {
	if len(b) > link.MaxMessage {
		return link.ErrTooLarge
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != stateJoined {
		return link.ErrNotJoined
	}
	if !p.control.push(b) {
		return link.ErrCongested
	}
	if p.best != nil {
		poke(p.best.cur.kick)
	}
	return nil
}

func (p *pair) countReceived(n int) {
	p.mu.Lock()
	p.stats.BytesReceived += uint64(n)
	p.mu.Unlock()
}

// controlQueue holds the control messages that aren't acknowledged. Messages
// are numbered from 0 in each epoch of the peer.
type controlQueue struct {
	base uint64 // number of msgs[0]
	top  uint64 // one above the highest number that was written
	msgs [][]byte
	size int
}

func (q *controlQueue) len() int { return len(q.msgs) }

func (q *controlQueue) push(b []byte) bool {
	if len(q.msgs) >= maxControl || q.size+len(b) > maxControlSize {
		return false
	}
	q.msgs = append(q.msgs, append([]byte(nil), b...))
	q.size += len(b)
	return true
}

func (q *controlQueue) get(n uint64) ([]byte, bool) {
	if n < q.base || n-q.base >= uint64(len(q.msgs)) {
		return nil, false
	}
	q.top = max(q.top, n+1)
	return q.msgs[n-q.base], true
}

// acked drops everything before next; false if that was never written.
func (q *controlQueue) acked(next uint64) bool {
	if next > q.top {
		return false
	}
	for q.base < next {
		q.size -= len(q.msgs[0])
		q.msgs[0] = nil
		q.msgs = q.msgs[1:]
		q.base++
	}
	return true
}
