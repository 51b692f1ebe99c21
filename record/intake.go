package record

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// How much may wait to be written: 20 s of somebody's packets, a few seconds of
// blocks of those who speak at the same time. It is at most 12 MB together, and
// taken as it is needed.
const (
	mostPackets = 4096
	mostBlocks  = 2048
)

// packet is a packet on its way to the writer.
type packet struct {
	peer      identity.PeerID
	stream    uint64
	seq       int64
	timestamp int64
	samples   int
	spurt     int64
	at        int64 // when it arrived, or its last sample was spoken
	size      int
	payload   [codec.MaxPacketBytes]byte
}

// block is 10 ms of PCM on its way to the writer.
type block struct {
	peer   identity.PeerID // empty for the mix
	number int64           // its place on the time line, in blocks
	pcm    audio.StereoBlock
}

// intake is what the taps do: they copy what they are given, say when it was,
// and never wait.
type intake struct {
	self    identity.PeerID
	start   time.Time
	packets queue[packet]
	blocks  queue[block]
	dropped atomic.Uint64 // packets and blocks that there was no room for

	mic struct {
		sync.Mutex
		line  blockLine
		fader audio.Fader // closed while nothing is said
	}
	play struct {
		sync.Mutex
		line  blockLine
		round []*block // what peers said in the block of the mix that comes next
	}
}

func (in *intake) init(self identity.PeerID, start time.Time) {
	in.self, in.start = self, start
	in.packets.init(mostPackets)
	in.blocks.init(mostBlocks)
}

// taps are those that a recording needs.
func (in *intake) taps(c Config) (t session.Taps) {
	if c.Format == OggOpus && c.Tracks&PerPeer != 0 {
		t.Received = in.packet
		if !c.NoSelf {
			t.Said = func(p *session.Packet) { in.packet(in.self, p) }
		}
	}
	pcm := c.Format == WAV && c.Tracks&PerPeer != 0
	mixed := c.Tracks&Mixed != 0
	if pcm {
		t.Peer = in.peer
	}
	if pcm || mixed {
		t.Mix = func(b *audio.StereoBlock, at time.Time) { in.mix(b, at, mixed) }
		if !c.NoSelf {
			t.Microphone = in.microphone
		}
	}
	return t
}

func (in *intake) since(at time.Time) int64 { return samplesOf(at.Sub(in.start)) }

func (in *intake) packet(id identity.PeerID, p *session.Packet) {
	if len(p.Payload) > codec.MaxPacketBytes {
		return // no codec's that this library takes
	}
	q := in.packets.get()
	if q == nil {
		in.dropped.Add(1)
		return
	}
	q.peer, q.stream, q.seq, q.timestamp = id, p.Stream, p.Seq, p.Timestamp
	q.samples, q.spurt, q.at = p.Samples, p.Spurt, in.since(p.At)
	q.size = copy(q.payload[:], p.Payload)
	in.packets.put(q)
}

func (in *intake) microphone(b *audio.Block, at time.Time, said bool) {
	in.mic.Lock()
	defer in.mic.Unlock()
	f := &in.mic.fader
	f.Set(said)
	silent := f.Silent()
	number, ok := in.mic.line.place(in.since(at), silent)
	if silent || !ok || number < 0 {
		return
	}
	q := in.block(in.self)
	if q == nil {
		return
	}
	own := *b
	f.Apply(own[:])
	audio.Upmix(&q.pcm, &own)
	q.number = number
	in.blocks.put(q)
}

func (in *intake) peer(id identity.PeerID, b *audio.Block, active bool) {
	if !active {
		return
	}
	in.play.Lock()
	defer in.play.Unlock()
	if q := in.block(id); q != nil {
		audio.Upmix(&q.pcm, b)
		in.play.round = append(in.play.round, q)
	}
}

// mix ends a round: what was given of peers since the last is of this block.
func (in *intake) mix(b *audio.StereoBlock, at time.Time, wanted bool) {
	in.play.Lock()
	defer in.play.Unlock()
	silent := *b == audio.StereoBlock{}
	number, ok := in.play.line.place(in.since(at), silent && len(in.play.round) == 0)
	ok = ok && number >= 0
	if ok && wanted && !silent {
		if q := in.block(""); q != nil {
			q.pcm = *b
			in.play.round = append(in.play.round, q)
		}
	}
	for _, q := range in.play.round {
		if !ok {
			in.blocks.free(q)
			continue
		}
		q.number = number
		in.blocks.put(q)
	}
	clear(in.play.round)
	in.play.round = in.play.round[:0]
}

// block is an empty block, or nil if too many are under way.
func (in *intake) block(id identity.PeerID) *block {
	q := in.blocks.get()
	if q == nil {
		in.dropped.Add(1)
		return nil
	}
	q.peer = id
	return q
}

// queue carries items from the taps to the writer. There are only so many: who
// finds none leaves out what it has. None of its methods waits.
type queue[T any] struct {
	ready chan *T // to be written
	spare chan *T // to be used again
	made  atomic.Int64
}

func (q *queue[T]) init(most int) {
	q.ready, q.spare = make(chan *T, most), make(chan *T, most)
}

// get returns an item that nobody uses, or nil.
func (q *queue[T]) get() *T {
	select {
	case x := <-q.spare:
		return x
	default:
	}
	if q.made.Add(1) > int64(cap(q.spare)) {
		q.made.Add(-1)
		return nil
	}
	return new(T)
}

// put hands an item of get to the writer, free gives it back. There is room in
// both channels for all that there are.
func (q *queue[T]) put(x *T)  { q.ready <- x }
func (q *queue[T]) free(x *T) { q.spare <- x }
