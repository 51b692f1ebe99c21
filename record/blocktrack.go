package record

import (
	"errors"
	"io"

	"github.com/parley-voice/parley/audio"
)

// blockTrack is PCM in a WAV file.
type blockTrack struct {
	file io.WriteCloser
	w    *audio.WAVSink
	next int64  // block that would follow
	out  uint64 // blocks left out: they came too late
}

func newBlockTrack(file wavFile, mono bool) (*blockTrack, error) {
	w, err := audio.NewWAVSink(file, audio.WAVConfig{Mono: mono})
	if err != nil {
		return nil, err
	}
	return &blockTrack{file: file, w: w}, nil
}

// write puts a block where it belongs, with silence before it.
func (t *blockTrack) write(number int64, b *audio.StereoBlock) error {
	if number < t.next {
		t.out++
		return nil
	}
	if err := t.silenceUntil(number); err != nil {
		return err
	}
	t.next++
	return t.w.WriteBlock(b)
}

func (t *blockTrack) silenceUntil(number int64) error {
	if number <= t.next {
		return nil
	}
	gap := number - t.next
	t.next = number
	return t.w.WriteSilence(gap)
}

// idle has nothing to do: what was written is on the disk, and silence costs
// nothing before something follows it.
func (t *blockTrack) idle(int64) error { return nil }

func (t *blockTrack) close(end int64) error {
	return errors.Join(t.silenceUntil(end/audio.BlockSamples), t.w.Close(), t.file.Close())
}

func (t *blockTrack) discard() {
	_ = t.w.Close() // why it is given up is known
	_ = t.file.Close()
}

func (t *blockTrack) position() int64 { return t.next * audio.BlockSamples }
func (t *blockTrack) leftOut() uint64 { return t.out }
