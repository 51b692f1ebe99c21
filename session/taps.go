package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session/wire"
)

// Packet is a packet of the codec as it passes through a session. It is valid
// during the call that gives it, its payload too.
type Packet struct {
	// Stream tells what numbers go on from what: those below count within one
	// stream. Another begins when the far end joins anew, after an interruption,
	// and with each Start.
	Stream uint64

	Seq       int64     // counts what is sent to one listener: a gap is loss, silence leaves none
	Timestamp int64     // of its first sample, in samples; runs on through silence
	Samples   int       // how long it is; 0 for one that only says that the talk spurt is over
	Spurt     int64     // of which talk spurt it is; only grows
	End       bool      // the talk spurt ends with it
	Copy      bool      // it came once more with a later packet
	At        time.Time // when it arrived; or, of our own, when its last sample was spoken
	Payload   []byte    // of the session's codec; empty if there are no samples
}

// Taps are functions that are given what passes through a session, to be
// recorded, transcribed or sent elsewhere. Those that are nil aren't called.
//
// What they are given is valid during the call, and not theirs to change. They
// must return quickly, since they stand between two blocks of 10 ms, and must
// not call Start, Stop or Close. Each is called by one goroutine at a time:
// Microphone and Said by that which records, Peer and Mix by that which plays,
// Received by that of the transport, at the same time for different peers.
type Taps struct {
	// Microphone is given each block of the microphone after Config.Chain, and
	// when its first sample was spoken; silence while muted. said says whether
	// the block is sent to those who listen, as mode and threshold decide. In
	// VoiceActivation it is the block of 30 ms ago, and at says so.
	Microphone func(b *audio.Block, at time.Time, said bool)

	// Said is given each packet of our own voice, encoded as Config.Encoding says,
	// whoever listens and however little their links carry.
	Said func(*Packet)

	// Received is given each packet of a peer once, when it arrives: in the
	// order of arrival, those that come too late to be heard too, and copies
	// where they are the first to come. One that is very late may come twice.
	// PeerLeft and Stop wait for it.
	Received func(identity.PeerID, *Packet)

	// Peer is given what is played of each peer, before volume and mute, for
	// as long as it takes part. active is false for silence.
	Peer func(id identity.PeerID, b *audio.Block, active bool)

	// Mix is given what is played, after the blocks of which it is the mix were
	// given to Peer, and when its first sample is heard. It is silence while
	// deafened. Without a speaker it is given all the same.
	Mix func(b *audio.StereoBlock, at time.Time)
}

// Tap calls taps from now on, until the returned function is called, across Stop
// and Start. Peer and Mix are given whole blocks: they begin with the next one,
// and the one that is under way when that function returns may still be given to
// them, as a call of any tap may still be under way then.
func (s *Session) Tap(taps Taps) (remove func()) {
	s.taps.change(func(list []*Taps) []*Taps { return append(list, &taps) })
	return func() {
		s.taps.change(func(list []*Taps) []*Taps {
			return slices.DeleteFunc(list, func(t *Taps) bool { return t == &taps })
		})
	}
}

// copied is a list that readers take as a whole without a lock.
type copied[T any] struct {
	mu  sync.Mutex // orders writers
	now atomic.Pointer[[]T]
}

func (l *copied[T]) list() []T {
	if list := l.now.Load(); list != nil {
		return *list
	}
	return nil
}

// change replaces the list by what f makes of a copy of it.
func (l *copied[T]) change(f func([]T) []T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := f(slices.Clone(l.list()))
	l.now.Store(&list)
}

// A conversation that is over taps nothing any more: where a tap was stuck,
// others are given the next conversation by now.

func (c *conversation) tapMicrophone(b *audio.Block, said bool) {
	for _, t := range c.s.taps.list() {
		if t.Microphone != nil && !c.isDone() {
			t.Microphone(b, c.capture.at.Add(-c.heldBack()), said)
		}
	}
}

// tapSaid reports whether anybody takes what is said.
func (c *conversation) tapSaid(said *spoken) (taken bool) {
	for _, t := range c.s.taps.list() {
		if t.Said == nil || c.isDone() {
			continue
		}
		c.capture.tapped = Packet{
			Stream:    uint64(c.started.UnixNano()),
			Seq:       said.seq,
			Timestamp: said.timestamp,
			Samples:   said.samples,
			Spurt:     said.spurt,
			End:       said.end,
			At:        c.capture.at.Add(audio.BlockDuration - c.heldBack()),
			Payload:   said.payloads.in(whole),
		}
		t.Said(&c.capture.tapped)
		taken = true
	}
	return taken
}

func (c *conversation) tapPeer(id identity.PeerID, b *audio.Block, active bool) {
	for _, t := range c.tapping {
		if t.Peer != nil && !c.isDone() {
			t.Peer(id, b, active)
		}
	}
}

func (c *conversation) tapMix(b *audio.StereoBlock, at time.Time) {
	for _, t := range c.tapping {
		if t.Mix != nil && !c.isDone() {
			t.Mix(b, at)
		}
	}
}

// receive gives a voice packet to the peer's player, and what came with it to
// those who tap that.
func (c *conversation) receive(p *peer, b []byte, at time.Time) {
	taps := c.s.taps.list()
	if len(taps) > 0 {
		p.player.noteArrivals()
	}
	p.player.receive(b, at)
	for _, t := range taps {
		if t.Received == nil {
			continue
		}
		a := p.player.arrived
		for _, pkt := range a.packets[:a.n] {
			if c.isDone() {
				return
			}
			a.tapped = Packet{
				Stream:    uint64(p.joined.UnixNano()) + a.resets,
				Seq:       pkt.Seq,
				Timestamp: pkt.Timestamp,
				Samples:   pkt.Samples,
				Spurt:     pkt.Spurt,
				End:       pkt.End,
				Copy:      pkt.Copy,
				At:        at,
				Payload:   pkt.Payload,
			}
			t.Received(p.id, &a.tapped)
		}
	}
}

// arrivals is what came to a player with one voice packet. Only the transport's
// calls use it, which come one after the other.
type arrivals struct {
	packets [1 + wire.MaxCopies]jitter.Packet
	n       int
	resets  uint64
	tapped  Packet
}

// noteArrivals has the player note what arrives, for those who tap it.
func (p *player) noteArrivals() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.arrived == nil {
		p.arrived = &arrivals{}
	}
	p.arrived.n = 0
}

// push puts a packet into the jitter buffer, and notes it if it is a new one.
func (p *player) push(pkt jitter.Packet, at time.Time) jitter.Result {
	r := p.buffer.Push(pkt, at)
	if a := p.arrived; a != nil && a.n < len(a.packets) && (r == jitter.Accepted || r == jitter.Late) {
		a.packets[a.n] = pkt
		a.n++
	}
	return r
}
