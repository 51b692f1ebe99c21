package session

import (
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/jitter"
	"github.com/parley-voice/parley/audio/stretch"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session/wire"
)

// The PCM queue of a player.
const (
	queueSamples = 3 * codec.MaxPacketSamples // room for what one block may need at worst
	// stretchSamples is how much is decoded ahead, if it is there, where the queue
	// is to be stretched: in less not every voice shows its pitch.
	stretchSamples = 2 * audio.BlockSamples
	edgeSamples    = audio.SampleRate / 200 // 5 ms: fades and joins
	guessSamples   = audio.SampleRate / 400 // a codec guesses at a multiple of 2.5 ms
)

// player is a peer as one whom we hear: from packets to blocks of PCM. The
// jitter buffer alone decides what is late or lost; the player decodes, joins
// and stretches. Its methods are safe for concurrent use: the transport calls
// receive, runPlayback calls read.
type player struct {
	codec codec.Codec

	mu        sync.Mutex // guards what follows
	buffer    *jitter.Buffer
	dec       codec.Decoder
	unwrap    counters
	arranged  arrangement
	malformed uint64
	failed    uint64 // packets that the decoder refused
	bytes     uint64
	arrived   *arrivals // nil until somebody taps it

	pcm     [queueSamples]float32 // decoded and not yet played
	queued  int
	wanted  jitter.Stretch // what is to be done to it once there is enough
	most    int            // samples by which it may be shortened then
	scratch [codec.MaxPacketSamples]float32
	joint   [edgeSamples]float32 // how what was decoded last would go on
	gain    float32              // of the guess at the end of the queue; 1 if that is no guess
	next    int64                // timestamp of what would follow it
	active  bool                 // the last block held audio
	ending  bool                 // what was queued has been faded out, so what follows must be faded in
	behind  background           // what is heard behind the voice
	pause   int                  // samples of it since the last word
}

// counters are the far end's, restored to their full width.
type counters struct {
	known     bool
	seq       int64
	timestamp int64 // ticks
	spurt     int64
}

func newPlayer(c codec.Codec, cfg jitter.Config) (*player, error) {
	dec, err := c.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return &player{codec: c, buffer: jitter.New(cfg), dec: dec, gain: 1, ending: true}, nil
}

// reset forgets what was under way: the far end or the path is another. What
// is queued is played out with a soft end.
func (p *player) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	if dec, err := p.codec.NewDecoder(); err == nil {
		p.dec = dec
	}
}

// forget ends what is heard with a soft end, its background too, and takes what
// comes next for another stream. It wants mu held.
func (p *player) forget() {
	p.end()
	p.behind = background{}
	p.buffer.Reset()
	p.unwrap, p.arranged = counters{}, arrangement{}
	if p.arrived != nil {
		p.arrived.resets++
	}
}

// moved says that packets come another way from now on: what is held stays, what
// was learnt of the delay doesn't.
func (p *player) moved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer.PathChanged()
}

// setPathDelay says how late speech would be heard without a jitter buffer.
func (p *player) setPathDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer.SetPathDelay(d)
}

// receive parses a packet and puts what it holds into the jitter buffer.
func (p *player) receive(b []byte, at time.Time) {
	var v wire.Voice
	err := v.Parse(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += uint64(len(b))
	if err != nil {
		p.malformed++
		return
	}
	main, ok := p.restore(&v)
	if !ok {
		p.malformed++
		return
	}
	for _, c := range v.Copies[:v.Twins] { // in the order in which they were said
		p.pushCopy(main, c, true, at)
	}
	if main.Samples > 0 && p.arranged.look(&v) {
		p.buffer.SendingChanged()
	}
	if p.push(main, at) != jitter.Rejected {
		p.unwrap.advance(main)
	}
	for _, c := range v.Copies[v.Twins:v.NumCopies] {
		p.pushCopy(main, c, false, at)
	}
}

// pushCopy puts a packet that another one carried into the jitter buffer. A twin
// came by itself, as far as the network is concerned.
func (p *player) pushCopy(main jitter.Packet, c wire.Copy, twin bool, at time.Time) {
	earlier, ok := p.restoreCopy(main, c)
	if !ok {
		p.malformed++
		return
	}
	earlier.Copy, earlier.Twin = !twin, twin
	p.push(earlier, at)
}

// restore gives a packet its full numbers, and its duration, which its payload
// tells: what it says must be plausible before anything acts on it.
func (p *player) restore(v *wire.Voice) (jitter.Packet, bool) {
	u := &p.unwrap
	if !u.known {
		// Far from zero, so that packets that were sent earlier and arrive
		// later have positive numbers too.
		u.known = true
		u.seq = 1<<32 | int64(v.Sequence)
		u.timestamp = 1<<32 | int64(v.Timestamp)
		u.spurt = 1<<32 | int64(v.Spurt)
	}
	pkt := jitter.Packet{
		Seq:       wire.Unwrap(u.seq, uint32(v.Sequence), wire.SequenceBits),
		Timestamp: wire.Unwrap(u.timestamp, v.Timestamp, wire.TimestampBits) * wire.TickSamples,
		Spurt:     wire.Unwrap(u.spurt, uint32(v.Spurt), wire.SpurtBits),
		End:       v.End,
		Payload:   v.Payload,
	}
	if len(v.Payload) == 0 {
		return pkt, true
	}
	content, err := p.codec.Inspect(v.Payload)
	pkt.Samples, pkt.FEC = content.Samples, content.FEC
	return pkt, err == nil
}

func (p *player) restoreCopy(main jitter.Packet, c wire.Copy) (jitter.Packet, bool) {
	content, err := p.codec.Inspect(c.Payload)
	return jitter.Packet{
		Seq:       main.Seq - int64(c.Offset),
		Timestamp: main.Timestamp - int64(c.Offset*content.Samples),
		Samples:   content.Samples,
		Spurt:     main.Spurt,
		Copy:      true,
		FEC:       content.FEC,
		Payload:   c.Payload,
	}, err == nil
}

func (u *counters) advance(pkt jitter.Packet) {
	u.seq = max(u.seq, pkt.Seq)
	u.timestamp = max(u.timestamp, pkt.Timestamp/wire.TickSamples)
	u.spurt = max(u.spurt, pkt.Spurt)
}

// read fills a block with what is to be heard now, and reports whether it holds
// audio, and whether that is a voice or what is behind it only.
func (p *player) read(out *audio.Block, now time.Time) (audible, speaks bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.queued < audio.BlockSamples || p.wanted != jitter.None {
		if p.queued >= audio.BlockSamples && (p.queued >= stretchSamples || !p.buffer.Ready()) {
			p.stretch()
			continue
		}
		d := p.buffer.Pop(now, p.queued)
		if d.Action == jitter.Wait {
			return p.drain(out)
		}
		p.produce(d)
	}
	copy(out[:], p.pcm[:audio.BlockSamples])
	p.drop(audio.BlockSamples)
	p.active, p.pause = true, 0
	return true, true
}

// drain plays what is left when nothing follows for now, and the background after
// it, or else a soft end.
func (p *player) drain(out *audio.Block) (audible, speaks bool) {
	*out = audio.Block{}
	p.wanted = jitter.None
	if !p.active {
		return false, false
	}
	speaks = p.pause == 0
	if p.behind.power() == 0 {
		p.end()
	}
	p.goOnBehind()
	n := min(p.queued, audio.BlockSamples)
	copy(out[:], p.pcm[:n])
	p.drop(n)
	p.active = p.queued > 0 || !p.ending
	return true, speaks
}

// last fills a block with the soft end of what is heard now, and reports whether
// there is any. Nothing follows it.
func (p *player) last(out *audio.Block) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	*out = audio.Block{}
	if !p.active {
		return false
	}
	p.end()
	n := copy(out[:], p.pcm[:p.queued])
	if n < p.queued {
		audio.FadeOut(out[n-edgeSamples:])
	}
	p.queued, p.active = 0, false
	return true
}

// end gives the queue a soft end. The decoder's own continuation is the softest
// there is.
func (p *player) end() {
	if p.ending {
		return
	}
	p.ending = true
	if p.room(edgeSamples) && p.goOn() {
		audio.FadeOut(p.joint[:])
		p.queued += copy(p.pcm[p.queued:], p.joint[:])
	}
}

// goOn has the decoder guess how the end of the queue would go on, as loud as
// that is, and reports whether it could.
func (p *player) goOn() bool {
	if p.dec.Conceal(p.joint[:]) != nil {
		return false
	}
	for i := range p.joint {
		p.joint[i] *= p.gain
	}
	return true
}

// produce does what the jitter buffer decided and puts the result in the
// queue. What doesn't follow from what was decoded last is joined to how that
// would have gone on.
func (p *player) produce(d jitter.Decision) {
	n := min(d.Samples, codec.MaxPacketSamples)
	pcm := p.scratch[:n:n]
	cut := p.cut(d)
	joins := cut && p.goOn()
	err := p.decode(d, pcm)
	if err != nil {
		p.failed++
		clear(pcm)
	}
	if cut || p.ending || d.Action != jitter.Play || d.Concealed > 0 || err != nil {
		p.behind.cut() // a decoder begins with a fade
	} else {
		p.behind.push(pcm)
	}
	switch {
	case d.Action == jitter.Conceal:
		gain := max(guessGain(d.Concealed+n), p.behind.share(pcm))
		ramp(pcm, p.gain, gain)
		p.gain = gain
	case joins:
		stretch.CrossFade(pcm, p.joint[:])
	case cut || p.ending:
		audio.FadeIn(pcm[:min(n, edgeSamples)])
	}
	if d.Action != jitter.Conceal {
		p.gain = 1
	}
	p.ending = false
	p.next = d.Timestamp + int64(n)
	if !p.room(n) {
		p.drop(n) // cannot happen: the queue takes what a block may need
	}
	copy(p.pcm[p.queued:], pcm)
	p.queued += n
	if d.Stretch != jitter.None {
		p.wanted, p.most = d.Stretch, d.Most
	}
}

// cut tells whether audio doesn't go on from what was decoded last, or from a
// guess that has become quieter. Out of a short guess at what was lost the
// decoder finds by itself.
func (p *player) cut(d jitter.Decision) bool {
	if p.ending || d.Action == jitter.Conceal {
		return false
	}
	return d.Start || d.Skipped || d.Timestamp != p.next || d.Concealed > fadeAfter
}

func (p *player) decode(d jitter.Decision, pcm []float32) error {
	switch d.Action {
	case jitter.Play:
		whole := p.scratch[:]
		n, err := p.dec.Decode(whole, d.Payload)
		if err == nil && n != len(pcm) {
			return fmt.Errorf("session: packet of %d samples decoded to %d", len(pcm), n)
		}
		return err
	case jitter.Recover:
		return p.dec.Recover(pcm, d.Payload)
	case jitter.Conceal, jitter.Wait:
	}
	return p.dec.Conceal(pcm)
}

// stretch shortens or lengthens the queue by one pitch period, if it finds one,
// and tells the jitter buffer by how much.
func (p *player) stretch() {
	before := p.queued
	switch p.wanted {
	case jitter.Accelerate, jitter.AccelerateFast:
		p.queued = stretch.Accelerate(p.pcm[:p.queued], p.most, p.wanted == jitter.AccelerateFast)
	case jitter.Expand, jitter.ExpandFast:
		p.queued = len(stretch.Expand(p.pcm[:p.queued], p.wanted == jitter.ExpandFast))
	case jitter.None:
	}
	p.wanted = jitter.None
	p.buffer.Stretched(before - p.queued)
}

func (p *player) room(n int) bool { return p.queued+n <= len(p.pcm) }

// drop removes the first n samples of the queue.
func (p *player) drop(n int) {
	n = min(n, p.queued)
	copy(p.pcm[:], p.pcm[n:p.queued])
	p.queued -= n
}

func (p *player) jitterStats() jitter.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buffer.Stats()
}
