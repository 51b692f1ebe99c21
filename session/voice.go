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
	enc     [numEncodings]codec.Encoder
	wanted  encodings
	encoded encodings // that the frame before has
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
	out     [numEncodings][codec.MaxPacketBytes]byte
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
	payloads  payloads
	earlier   *[wire.MaxOffset]spoken // for copies
}

// payloads are a frame in the encodings that somebody wants, empty in the others.
type payloads [numEncodings][]byte

// in is the frame in an encoding, or in one that takes more if it has to be, or less:
// somebody else wanted it then.
func (p *payloads) in(e encoding) []byte {
	for have := int(e); have >= 0; have-- {
		if len(p[have]) > 0 {
			return p[have]
		}
	}
	for _, b := range p {
		if len(b) > 0 {
			return b
		}
	}
	return nil
}

// keep copies others, to memory of its own.
func (p *payloads) keep(others *payloads) {
	for e := range p {
		p[e] = append(p[e][:0], others[e]...)
	}
}

func newTalker(c codec.Codec, cfg codec.Config) (*talker, error) {
	t := &talker{}
	for e := range numEncodings {
		enc, err := e.encoder(c, cfg)
		if err != nil {
			return nil, err
		}
		t.enc[e] = enc
		t.packet.payloads[e] = make([]byte, 0, codec.MaxPacketBytes)
		for i := range t.history {
			t.history[i].payloads[e] = make([]byte, 0, codec.MaxPacketBytes)
		}
	}
	t.frame = make([]float32, t.enc[whole].FrameSamples())
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
	if !said || !t.inSpurt && silent(t.frame) {
		return t.endSpurt(start), nil // a spurt doesn't begin with nothing
	}
	coded, err := t.encode()
	if err != nil {
		return t.endSpurt(start), fmt.Errorf("session: %w", err)
	}
	if len(coded.in(whole)) == 0 {
		return t.endSpurt(start), nil
	}
	if !t.inSpurt {
		t.inSpurt = true
		t.spurt++
	}
	return t.number(start, len(t.frame), coded), nil
}

// silent reports whether there is nothing to hear at all, as of a microphone that
// is switched off: even the quietest has noise.
func silent(frame []float32) bool {
	for _, x := range frame {
		if x != 0 {
			return false
		}
	}
	return true
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
	return t.number(start, samples, payloads{whole: payload})
}

// encode encodes the frame in each of the encodings that somebody wants, whole if
// nobody does. The first guarded one is for nobody: what its FEC says of the frame
// before is of one long ago.
func (t *talker) encode() (coded payloads, err error) {
	wanted := t.wanted
	began := wanted[guarded] && !t.encoded[guarded]
	if wanted == (encodings{}) || began {
		wanted[whole] = true
	}
	t.encoded = encodings{}
	for e, want := range wanted {
		if !want {
			continue
		}
		if coded[e], err = t.enc[e].Encode(t.out[e][:], t.frame); err != nil {
			return payloads{}, err
		}
	}
	t.encoded = wanted
	if began {
		coded[guarded] = nil
	}
	return coded, nil
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
	p := t.number(t.ended, 0, payloads{})
	p.end = true
	return p
}

// number makes the next packet and remembers the one before.
func (t *talker) number(timestamp int64, samples int, coded payloads) *spoken {
	if prev := &t.packet; prev.samples > 0 {
		h := &t.history[prev.seq%wire.MaxOffset]
		kept := h.payloads
		kept.keep(&prev.payloads)
		*h = *prev
		h.payloads = kept
	}
	t.seq++
	t.packet.seq, t.packet.timestamp, t.packet.samples = t.seq, timestamp, samples
	t.packet.spurt, t.packet.end = t.spurt, false
	t.packet.payloads.keep(&coded)
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
