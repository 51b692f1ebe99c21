package session

import (
	"fmt"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/session/wire"
)

// endRepeats is how often the end of a talk spurt is said again, a frame apart:
// a listener that misses it takes the silence for loss and conceals it.
const endRepeats = 2

// talker turns our own blocks into numbered packets. It is used by runCapture
// alone and allocates nothing.
type talker struct {
	enc     codec.Encoder
	lean    codec.Encoder // for listeners to whom the link carries little
	wanted  encodings
	frame   []float32
	fill    int
	said    bool // a block of this frame is to be said
	fader   audio.Fader
	clock   int64 // 48 kHz samples since the conversation began, to the end of what was pushed
	seq     int64
	spurt   int64
	inSpurt bool
	ended   int64 // timestamp of the end of the last spurt
	repeats int   // how often it is still to be said
	out     [codec.MaxPacketBytes]byte
	leanOut [codec.MaxPacketBytes]byte
	packet  spoken
	history [wire.MaxOffset]spoken // the packet with number n is at n % MaxOffset
}

// spoken is one packet of our own voice.
type spoken struct {
	seq       int64
	timestamp int64 // samples
	samples   int   // 0 if it carries no audio
	spurt     int64
	end       bool
	payload   []byte
	lean      []byte                  // the same in the lean encoding; empty if nobody wants it, or there is no other
	earlier   *[wire.MaxOffset]spoken // for copies
}

func newTalker(c codec.Codec, cfg codec.Config) (*talker, error) {
	enc, err := c.NewEncoder(cfg)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	// Where bytes are what is short, a loud syllable must not take twice as many.
	cfg.Bitrate, cfg.Constant = leanBitrate(cfg), true
	lean, err := c.NewEncoder(cfg)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	t := &talker{enc: enc, lean: lean, frame: make([]float32, enc.FrameSamples())}
	for i := range t.history {
		t.history[i].payload = make([]byte, 0, codec.MaxPacketBytes)
		t.history[i].lean = make([]byte, 0, codec.MaxPacketBytes)
	}
	t.packet.earlier = &t.history
	return t, nil
}

// push takes one block, and says whether it is to be said: what isn't is silenced
// where it shares a frame with what is. When a packet is complete it is returned,
// valid until the next push; beside an error too: what can't be encoded ends the
// spurt.
func (t *talker) push(b *audio.Block, open bool) (*spoken, error) {
	block := t.frame[t.fill : t.fill+copy(t.frame[t.fill:], b[:])]
	t.fader.Set(open)
	t.fader.Apply(block)
	t.fill += audio.BlockSamples
	t.clock += audio.BlockSamples
	t.said = t.said || open
	if t.fill < len(t.frame) {
		return nil, nil
	}
	said, start := t.said, t.clock-int64(len(t.frame))
	t.fill, t.said = 0, false
	if !said {
		return t.endSpurt(start), nil
	}
	payload, lean, err := t.encode()
	if err != nil {
		return t.endSpurt(start), fmt.Errorf("session: %w", err)
	}
	if len(payload) == 0 {
		return t.endSpurt(start), nil
	}
	if !t.inSpurt {
		t.inSpurt = true
		t.spurt++
	}
	return t.number(start, len(t.frame), payload, lean), nil
}

// pushPacket takes a packet that was encoded elsewhere, and returns it numbered.
func (t *talker) pushPacket(payload []byte, samples int) *spoken {
	t.fill, t.said = 0, false
	start := t.clock
	t.clock += int64(samples)
	if !t.inSpurt {
		t.inSpurt = true
		t.spurt++
	}
	return t.number(start, samples, payload, nil)
}

// encode encodes the frame, once for all or once more for those who want it
// lean. Only if nobody wants it whole, lean stands for both.
func (t *talker) encode() (payload, lean []byte, err error) {
	if t.wanted.lean {
		if lean, err = t.lean.Encode(t.leanOut[:], t.frame); err != nil {
			return nil, nil, err
		}
		if !t.wanted.whole {
			return lean, nil, nil
		}
	}
	payload, err = t.enc.Encode(t.out[:], t.frame)
	return payload, lean, err
}

// coded is the packet's audio in one of the encodings. Where there is one only
// that is it.
func (s *spoken) coded(lean bool) []byte {
	if lean && len(s.lean) > 0 {
		return s.lean
	}
	return s.payload
}

// encodings are those that somebody listens to.
type encodings struct{ whole, lean bool }

func (e *encodings) add(lean bool) {
	e.lean = e.lean || lean
	e.whole = e.whole || !lean
}

// leanBitrate is that of the lean encoding, in b/s: wideband speech, if that is
// less than what is asked for.
func leanBitrate(cfg codec.Config) int {
	const usual, share = 17000, 0.65
	bitrate := cfg.Bitrate
	if bitrate == 0 {
		bitrate = codec.DefaultBitrate
	}
	return max(min(usual, int(share*float64(bitrate))), codec.MinBitrate)
}

// skip advances the clock over blocks that were lost. A spurt doesn't go on over
// a gap in time: what follows is another one, or its end.
func (t *talker) skip(blocks int) {
	if t.inSpurt && blocks > 0 {
		t.inSpurt = false
		t.ended, t.repeats = t.clock-int64(t.fill), 1+endRepeats
	}
	t.clock += int64(blocks) * audio.BlockSamples
	t.fill, t.said = 0, false
}

// endSpurt returns the packet that ends the talk spurt, or says so once more.
// Repeats have the timestamp of the first: no audio lies between them.
func (t *talker) endSpurt(start int64) *spoken {
	switch {
	case t.inSpurt:
		t.inSpurt = false
		t.ended, t.repeats = start, endRepeats
	case t.repeats > 0:
		t.repeats--
	default:
		return nil
	}
	p := t.number(t.ended, 0, nil, nil)
	p.end = true
	return p
}

// number makes the next packet and remembers the one before.
func (t *talker) number(timestamp int64, samples int, payload, lean []byte) *spoken {
	if prev := &t.packet; prev.samples > 0 {
		h := &t.history[prev.seq%wire.MaxOffset]
		kept, keptLean := append(h.payload[:0], prev.payload...), append(h.lean[:0], prev.lean...)
		*h = *prev
		h.payload, h.lean = kept, keptLean
	}
	t.seq++
	t.packet.seq, t.packet.timestamp, t.packet.samples = t.seq, timestamp, samples
	t.packet.spurt, t.packet.end = t.spurt, false
	t.packet.payload = append(t.packet.payload[:0], payload...)
	t.packet.lean = append(t.packet.lean[:0], lean...)
	return &t.packet
}

// before returns the packet that was sent offset packets earlier, or nil if a
// receiver couldn't tell when it belongs: it must be of the same spurt, with
// nothing but packets of the same length between.
func (s *spoken) before(offset int) *spoken {
	seq := s.seq - int64(offset)
	if seq < 1 {
		return nil
	}
	h := &s.earlier[seq%wire.MaxOffset]
	if h.seq != seq || h.spurt != s.spurt || s.timestamp-h.timestamp != int64(offset*h.samples) {
		return nil
	}
	return h
}
