package record

import (
	"errors"
	"io"
	"slices"

	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
)

const (
	packetPatience = second / 2        // how long a packet waits for one that is missing before it
	mostHeld       = 64                // packets that wait
	mostConcealed  = 120 * millisecond // of a spurt: a longer gap is silence
	silenceStep    = 120 * millisecond // silence is written in packets so long
	silenceAfter   = second            // what nothing came for in that time is silence
	spurtPatience  = 3 * second        // the same within a talk spurt
)

// packetTrack is a participant in Ogg Opus: its packets as they were, in order.
type packetTrack struct {
	file io.WriteCloser
	w    *oggopus.Writer
	line packetLine
	free func(*packet)

	known  bool // there was a packet
	stream uint64
	seq    int64     // of the last packet
	spurt  int64     // the last one that was written is of
	ended  bool      // and it was the end of it
	held   []*packet // of the same stream, in order, with one missing before the first
	last   int64     // when the last packet came
	out    uint64    // packets left out: they came too late, were too many, or aren't Opus
}

func newPacketTrack(file io.WriteCloser, serial uint32, comments []string, free func(*packet)) (*packetTrack, error) {
	w, err := oggopus.NewWriter(file, oggopus.Config{Serial: serial, Comments: comments})
	if err != nil {
		return nil, err
	}
	return &packetTrack{file: file, w: w, free: free, ended: true}, nil
}

// push takes a packet, which is the track's until it gives it to free.
func (t *packetTrack) push(p *packet, now int64) error {
	if !t.known || p.stream != t.stream {
		if err := t.release(len(t.held)); err != nil {
			t.free(p)
			return err
		}
		t.known, t.stream, t.seq, t.ended = true, p.stream, p.seq-1, true
	}
	t.last = now
	i, twice := slices.BinarySearchFunc(t.held, p.seq, func(h *packet, seq int64) int { return int(h.seq - seq) })
	if twice || p.seq <= t.seq {
		if p.samples > 0 {
			t.out++
		}
		t.free(p)
		return nil
	}
	t.held = slices.Insert(t.held, i, p)
	return t.release(max(0, len(t.held)-mostHeld))
}

// tick writes what has waited long enough, and silence where nothing came.
func (t *packetTrack) tick(now int64) error {
	due := 0
	for due < len(t.held) && now-t.held[due].at > packetPatience {
		due++
	}
	if err := t.release(due); err != nil || len(t.held) > 0 {
		return err
	}
	after := int64(spurtPatience)
	if t.ended || now-t.last > spurtPatience {
		after = silenceAfter
	}
	if gap := (now - after - t.w.Position()) / silenceStep * silenceStep; gap > 0 {
		return t.w.WriteSilence(gap)
	}
	return nil
}

// release writes the first of those that wait, as many as are said and those
// that nothing is missing before.
func (t *packetTrack) release(n int) (err error) {
	for len(t.held) > 0 && err == nil && (n > 0 || t.held[0].seq == t.seq+1) {
		p := t.held[0]
		t.held = slices.Delete(t.held, 0, 1)
		err = t.write(p)
		t.free(p)
		n--
	}
	return err
}

func (t *packetTrack) write(p *packet) error {
	t.seq = p.seq
	if p.samples == 0 {
		t.ended = true
		return nil
	}
	written := t.w.Position()
	at, ok := t.line.place(p, written)
	if !ok || at < 0 {
		t.out++
		return nil
	}
	goesOn := p.spurt == t.spurt && !t.ended
	t.spurt, t.ended = p.spurt, false
	if err := t.fill(at-written, goesOn); err != nil {
		return err
	}
	err := t.w.WritePacket(p.payload[:p.size])
	if errors.Is(err, codec.ErrPacket) {
		t.out++
		return nil
	}
	return err
}

func (t *packetTrack) fill(gap int64, goesOn bool) error {
	gap = gap / oggopus.Grain * oggopus.Grain
	if goesOn && gap <= mostConcealed {
		return t.w.WriteLoss(gap)
	}
	return t.w.WriteSilence(gap)
}

// close writes what waits and ends the track at a time.
func (t *packetTrack) close(end int64) error {
	err := t.release(len(t.held))
	if gap := (end - t.w.Position()) / oggopus.Grain * oggopus.Grain; err == nil && gap > 0 {
		err = t.w.WriteSilence(gap)
	}
	return errors.Join(err, t.w.Close(), t.file.Close())
}

// discard gives up the track.
func (t *packetTrack) discard() {
	for _, p := range t.held {
		t.free(p)
	}
	t.held = nil
	_ = t.file.Close() // why it is given up is known
}

func (t *packetTrack) position() int64 { return t.w.Position() }
func (t *packetTrack) leftOut() uint64 { return t.out }
