package sessiontest_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
)

// receive is told by the wire what arrived. It never calls the Handler: one
// that is slow would delay every other peer.
func (t *Transport) receive(from identity.PeerID, b []byte) {
	if len(b) < header || len(b) > header+link.MaxMessage {
		return
	}
	kind, body := b[0], b[header:]
	src, dst := binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.handler == nil || src == 0 || from == t.Self() {
		return
	}
	p := t.peers[from]
	if p == nil || !p.joined {
		t.hold(from, kind, src)
		return
	}
	switch {
	case kind == hello:
		if dst != 0 && dst != p.mine {
			return // late: meant for an epoch that is over
		}
		p.heard = time.Now()
		if src != p.far || p.path.Kind == link.None {
			t.up(p, src)
		}
		if dst == 0 {
			t.send(p, hello, nil)
		}
	case src != p.far: // late, as above
	case kind == bye:
		t.down(p, "the peer left")
	case dst != p.mine:
	case kind == control && len(p.queue) < 4*maxQueue:
		p.stats.BytesReceived += uint64(len(body))
		p.put(call{kind: control, b: append([]byte(nil), body...)})
	case kind == ack && p.unacked > 0:
		p.unacked--
	case kind == voice && p.path.Kind != link.None && len(p.queue) < 2*maxQueue:
		p.stats.BytesReceived += uint64(len(body))
		p.put(call{kind: voice, b: append([]byte(nil), body...), at: time.Now()})
	}
}

// hold keeps what a peer said that isn't announced: its epoch.
func (t *Transport) hold(from identity.PeerID, kind byte, src uint64) {
	p := t.peers[from]
	if kind == bye && p != nil && p.far == src {
		t.forget(p)
	}
	if kind != hello || p == nil && len(t.peers) >= maxPeers {
		return
	}
	if p == nil {
		p = t.peer(from)
		p.put(call{kind: ack})
	}
	p.far, p.heard = src, time.Now()
}

// keep says hello every second, and sees who doesn't.
func (t *Transport) keep(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		t.mu.Lock()
		for _, p := range t.peers {
			silent := time.Since(p.heard) > patience
			switch {
			case p.joined && silent && p.path.Kind != link.None:
				t.down(p, "no sign of life for 3 s")
			case !p.joined && silent:
				t.forget(p)
			}
			if p.joined {
				t.send(p, hello, nil)
			}
		}
		t.mu.Unlock()
	}
}

// peer returns the peer of that ID, made if there is none. The methods from
// here on are called with t.mu locked.
func (t *Transport) peer(id identity.PeerID) *peer {
	p := t.peers[id]
	if p == nil {
		p = &peer{id: id, mine: rand.Uint64() | 1, wake: sync.NewCond(&t.mu)}
		t.peers[id] = p
		before, done := t.turns[id], make(chan struct{})
		t.turns[id] = done
		t.tasks.Go(func() {
			defer close(done)
			if before != nil {
				<-before // calls for one peer are serial, across Leave and Join too
			}
			t.deliver(p)
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.turns[id] == done {
				delete(t.turns, id)
			}
		})
	}
	return p
}

func (t *Transport) forget(p *peer) {
	if p.joined {
		t.send(p, bye, nil)
	}
	p.gone = true
	p.wake.Broadcast()
	delete(t.peers, p.id)
}

func (t *Transport) sendable(id identity.PeerID, b []byte) (*peer, error) {
	p := t.peers[id]
	switch {
	case t.handler == nil:
		return nil, link.ErrClosed
	case p == nil || !p.joined:
		return nil, link.ErrNotJoined
	case len(b) > link.MaxMessage:
		return p, link.ErrTooLarge
	}
	return p, nil
}

func (t *Transport) send(p *peer, kind byte, body []byte) {
	b := make([]byte, header, header+len(body))
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], p.mine)
	if kind != hello || p.path.Kind != link.None {
		binary.BigEndian.PutUint64(b[9:], p.far)
	}
	p.stats.BytesSent += uint64(len(b) + len(body))
	t.wire.Send(p.id, append(b, body...), kind != voice)
}

func (t *Transport) sendControl(p *peer, b []byte) {
	p.unacked++
	p.stats.ControlSent++
	t.send(p, control, b)
}

func (t *Transport) up(p *peer, far uint64) {
	if p.far != 0 && p.far != far {
		p.pending, p.unacked = nil, 0 // meant for who was there before
	}
	p.far, p.heard = far, time.Now()
	t.tell(p, link.Path{Kind: link.Direct, Transport: "game", Lanes: 1, Epoch: far, Since: time.Now()})
	if len(p.pending) > 0 {
		t.send(p, hello, nil) // the far end drops control of an epoch that it doesn't know
	}
	for _, b := range p.pending {
		t.sendControl(p, b)
	}
	p.pending = nil
}

func (t *Transport) down(p *peer, reason string) {
	t.tell(p, link.Path{Epoch: p.far, Since: time.Now(), Reason: reason})
}

func (t *Transport) tell(p *peer, path link.Path) {
	p.path = path
	p.stats.PathChanges++
	if n := len(p.queue); n > 0 && p.queue[n-1].kind == hello {
		p.queue[n-1].path = path // nothing came in between: only the newest counts
		return
	}
	p.put(call{kind: hello, path: path})
}

func (p *peer) put(c call) {
	p.queue = append(p.queue, c)
	p.wake.Broadcast()
}

// deliver calls the Handler for one peer, without holding t.mu.
func (t *Transport) deliver(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for len(p.queue) == 0 && !p.gone {
			p.wake.Wait()
		}
		if p.gone {
			return
		}
		c, h := p.queue[0], t.handler
		p.queue = p.queue[1:]
		switch c.kind {
		case voice:
			p.stats.VoiceReceived++
		case control:
			p.stats.ControlReceived++
		}
		p.busy = true
		t.mu.Unlock()
		switch c.kind {
		case voice:
			h.Voice(p.id, c.b, c.at)
		case control:
			h.Control(p.id, c.b)
		case hello:
			h.PathChanged(p.id, c.path)
		case ack:
			h.Knock(p.id)
		}
		t.mu.Lock()
		p.busy = false
		p.wake.Broadcast()
		if c.kind == control && !p.gone {
			t.send(p, ack, nil) // only now: a slow Handler is felt by the sender
		}
	}
}
