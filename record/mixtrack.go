package record

import (
	"errors"
	"io"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
)

// mixer adds what was heard and what was said at the same time. Both come by
// clocks of their own, so a block waits until it can be taken for granted that
// nothing is added to it any more.
type mixer struct {
	slots   [mixSlots]mixSlot
	next    int64 // block that is written next
	newest  int64 // block that something was added to
	limiter audio.MixLimiter
	sum     audio.StereoBlock
	tail    bool // the limiter holds back the end of a sound
	out     uint64
}

type mixSlot struct {
	used bool
	pcm  audio.StereoBlock
}

const (
	mixSlots = 128
	mixWait  = 50 // blocks that one of the two may be late
)

// add adds a block. What is too old is left out.
func (m *mixer) add(b *block, write func(int64, *audio.StereoBlock) error) error {
	if b.number < m.next {
		m.out++
		return nil
	}
	m.newest = max(m.newest, b.number)
	if err := m.flush(m.newest-mixWait, write); err != nil {
		return err
	}
	s := &m.slots[b.number%mixSlots]
	s.used = true
	for i, x := range b.pcm {
		s.pcm[i] += x
	}
	return nil
}

// flush writes all blocks before one, but for those that are silent.
func (m *mixer) flush(until int64, write func(int64, *audio.StereoBlock) error) error {
	for m.next < until && m.next <= m.newest+1 {
		s := &m.slots[m.next%mixSlots]
		number := m.next
		m.next++
		if !s.used && !m.tail {
			continue
		}
		m.sum, m.tail = s.pcm, s.used
		s.used, s.pcm = false, audio.StereoBlock{}
		m.limiter.Process(&m.sum)
		if err := write(number, &m.sum); err != nil {
			return err
		}
	}
	m.next = max(m.next, until)
	return nil
}

// mixTrack is everything in one file.
type mixTrack struct {
	mixer mixer
	file  interface {
		write(number int64, b *audio.StereoBlock) error
		close(end int64) error
		idle(now int64) error // nothing is written for now
		discard()
		position() int64
		leftOut() uint64
	}
}

func (t *mixTrack) push(b *block) error { return t.mixer.add(b, t.file.write) }

func (t *mixTrack) tick(now int64) error {
	if err := t.mixer.flush(now/audio.BlockSamples-mixWait, t.file.write); err != nil {
		return err
	}
	return t.file.idle(now)
}

func (t *mixTrack) close(end int64) error {
	err := t.mixer.flush(end/audio.BlockSamples, t.file.write)
	return errors.Join(err, t.file.close(end))
}

func (t *mixTrack) discard()        { t.file.discard() }
func (t *mixTrack) position() int64 { return t.file.position() }
func (t *mixTrack) leftOut() uint64 { return t.file.leftOut() + t.mixer.out }

// encoder is a file of PCM that is coded with Opus, mono, in frames of 20 ms.
type encoder struct {
	file  io.WriteCloser
	w     *oggopus.Writer
	enc   codec.Encoder
	frame []float32
	at    int64 // number of the frame in the making; -1 before the first
	out   [codec.MaxPacketBytes]byte
	quiet []float32
	gap   bool // there is silence in the file that the encoder knows nothing of
}

// settle is how many frames of silence an encoder is given where there was a
// gap, so that it knows as little of what was before as a decoder after silence.
const settle = 3

func newEncoder(file io.WriteCloser, c Config, serial uint32, comments []string) (*encoder, error) {
	enc, err := c.Codec.NewEncoder(codec.Config{Bitrate: c.Bitrate, NoDTX: true})
	if err != nil {
		return nil, err
	}
	w, err := oggopus.NewWriter(file, oggopus.Config{Serial: serial, Comments: comments})
	if err != nil {
		return nil, err
	}
	n := enc.FrameSamples()
	return &encoder{file: file, w: w, enc: enc, frame: make([]float32, n), quiet: make([]float32, n), at: -1}, nil
}

func (e *encoder) write(number int64, b *audio.StereoBlock) error {
	start := number * audio.BlockSamples
	size := int64(len(e.frame))
	if at := start / size; at != e.at {
		if err := e.finish(); err != nil {
			return err
		}
		if err := e.begin(at); err != nil {
			return err
		}
	}
	var mono audio.Block
	audio.Downmix(&mono, b)
	copy(e.frame[start%size:], mono[:])
	return nil
}

// begin begins a frame, with silence before it if it doesn't follow.
func (e *encoder) begin(at int64) error {
	e.at = at
	if gap := at*int64(len(e.frame)) - e.w.Position(); gap > 0 {
		if err := e.silence(gap); err != nil {
			return err
		}
	}
	for range settle {
		if !e.gap {
			break
		}
		if _, err := e.enc.Encode(e.out[:], e.quiet); err != nil {
			return err
		}
	}
	e.gap = false
	return nil
}

func (e *encoder) silence(samples int64) error {
	e.gap = true
	return e.w.WriteSilence(samples)
}

// idle has what was said reach the disk, and silence after it.
func (e *encoder) idle(now int64) error {
	gap := (now - 2*second - e.w.Position()) / silenceStep * silenceStep
	if gap <= 0 {
		return nil
	}
	if e.at >= 0 {
		return e.finish()
	}
	return e.silence(gap)
}

// finish codes the frame in the making.
func (e *encoder) finish() error {
	if e.at < 0 {
		return nil
	}
	e.at = -1
	p, err := e.enc.Encode(e.out[:], e.frame)
	clear(e.frame)
	switch {
	case err != nil:
		return err
	case len(p) == 0:
		return e.w.WriteSilence(int64(len(e.frame)))
	}
	return e.w.WritePacket(p)
}

func (e *encoder) close(end int64) error {
	err := e.finish()
	if gap := (end - e.w.Position()) / oggopus.Grain * oggopus.Grain; err == nil && gap > 0 {
		err = e.w.WriteSilence(gap)
	}
	return errors.Join(err, e.w.Close(), e.file.Close())
}

func (e *encoder) discard()        { _ = e.file.Close() } // why it is given up is known
func (e *encoder) position() int64 { return e.w.Position() }
func (e *encoder) leftOut() uint64 { return 0 }
