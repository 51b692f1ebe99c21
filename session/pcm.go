package session

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
)

// PCMFormat is how samples are written.
type PCMFormat uint8

// The formats, both little-endian.
const (
	Float32 PCMFormat = iota // IEEE 754, nominally -1 to 1
	Int16                    // -32768 to 32767; what is louder is cut
)

// PCMConfig says what a PeerPCM gives. The zero value is stereo float32 at 48 kHz, of
// the voice as it was decoded, beside Parley's own mix.
type PCMConfig struct {
	Format     PCMFormat
	Channels   int // 1 or 2, interleaved, both the same; 0 means 2
	SampleRate int // audio.MinRate to audio.MaxRate; 0 means 48000

	// Exclusive leaves the peer out of Parley's mix, until Close. It is then
	// neither placed nor lowered by Parley, and the echo canceller doesn't know of
	// it: see docs/positional.md.
	Exclusive bool

	// Volume applies what SetPeerVolume, SetPeerMuted and SetDeafened say.
	Volume bool
}

// PCMStats counts what became of a voice on its way to a reader, in samples at 48 kHz.
type PCMStats struct {
	Queued    time.Duration // what waits to be read now
	Missing   uint64        // silence that was given in place of a voice that came too late
	Skipped   uint64        // dropped unheard, since the reader read too little for long
	Stretched uint64        // added or taken away to follow the reader's clock
}

// PeerPCM is the voice of one peer as a stream of PCM without an end, silence
// included, for an audio engine that plays what an io.Reader gives. See OpenPeerPCM.
type PeerPCM struct {
	s         *Session
	id        identity.PeerID
	format    PCMFormat
	channels  int
	exclusive bool
	volume    bool

	closed atomic.Bool

	mu    sync.Mutex // guards what follows; held for a piece only, since runPlayback waits for it
	queue pcmQueue
	gain  float32 // at the end of the last block
	block audio.Block

	reads    sync.Mutex       // orders reads, and guards what follows
	resample *audio.Resampler // nil at 48 kHz
	in       [audio.SampleRate / 1000]float32
	unused   []float32 // of in
	mono     audio.Block
	frame    [8]byte
	rest     []byte // of frame: the end of one that was read in part
}

var _ io.ReadCloser = (*PeerPCM)(nil)

// OpenPeerPCM gives the voice of a peer as a stream, before it is placed and mixed,
// until Close. It may be opened before the peer joined, goes on across Stop and
// Start, and is silent while there is no voice. There may be several of a peer.
//
// The reader's clock leads: the stream follows it by pitch periods that are added
// or left out, keeps no more waiting than the size of what is read at a time and 15
// to 30 ms, and drops what nobody reads. So read in small pieces, and give the player of
// your engine a small buffer. It fails with ErrConfig or ErrClosed.
func (s *Session) OpenPeerPCM(id identity.PeerID, cfg PCMConfig) (*PeerPCM, error) {
	if cfg.Channels == 0 {
		cfg.Channels = 2
	}
	if cfg.SampleRate == 0 {
		cfg.SampleRate = audio.SampleRate
	}
	if cfg.Format > Int16 || cfg.Channels < 1 || cfg.Channels > 2 {
		return nil, fmt.Errorf("%w: PCM of format %d with %d channels", ErrConfig, cfg.Format, cfg.Channels)
	}
	r := &PeerPCM{s: s, id: id, format: cfg.Format, channels: cfg.Channels, exclusive: cfg.Exclusive, volume: cfg.Volume, gain: 1}
	r.queue.left, r.queue.begins = pcmMost, true
	if cfg.SampleRate != audio.SampleRate {
		var err error
		if r.resample, err = audio.NewResampler(audio.SampleRate, cfg.SampleRate); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if s.isClosed() {
		return nil, ErrClosed
	}
	s.change(id, func(set *peerSettings) { set.readers = append(slices.Clip(set.readers), r) })
	return r, nil
}

// Read fills p, always and at once: with the voice, or with silence where there is
// none. After Close it returns io.EOF. It is safe for concurrent use, but readers of
// one stream share it.
func (r *PeerPCM) Read(p []byte) (n int, err error) {
	r.reads.Lock()
	defer r.reads.Unlock()
	if r.closed.Load() {
		return 0, io.EOF
	}
	n = copy(p, r.rest)
	r.rest = r.rest[n:]
	size := r.frameSize()
	for len(p)-n >= size {
		mono := r.mono[:min(len(r.mono), (len(p)-n)/size)]
		r.pull(mono)
		n += r.encode(p[n:], mono)
	}
	if n < len(p) {
		r.pull(r.mono[:1])
		r.encode(r.frame[:], r.mono[:1])
		k := copy(p[n:], r.frame[:size])
		r.rest = r.frame[k:size]
		n += k
	}
	return n, nil
}

// Close ends the stream; with Exclusive the peer is heard in Parley's mix again.
// Idempotent.
func (r *PeerPCM) Close() error {
	r.closed.Store(true)
	r.s.change(r.id, func(set *peerSettings) {
		set.readers = slices.DeleteFunc(slices.Clone(set.readers), func(o *PeerPCM) bool { return o == r })
	})
	return nil
}

// Stats returns what became of the voice so far.
func (r *PeerPCM) Stats() PCMStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.queue.stats
	st.Queued = sampleTime(int64(r.queue.queued))
	return st
}

// put takes the next block of the peer, which is to be heard with a gain. It is
// runPlayback's.
func (r *PeerPCM) put(b *audio.Block, gain float32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.block = *b
	audio.Repair(r.block[:])
	if !r.volume {
		gain = 1
	}
	if from := r.gain; from != 1 || gain != 1 {
		for i := range r.block {
			r.block[i] *= from + (gain-from)*float32(i+1)/audio.BlockSamples
		}
	}
	r.gain = gain
	r.queue.put(&r.block)
}

// pull fills dst with the next samples at the reader's rate.
func (r *PeerPCM) pull(dst []float32) {
	if r.resample == nil {
		r.take(dst)
		return
	}
	for {
		taken, written := r.resample.Process(dst, r.unused)
		r.unused, dst = r.unused[taken:], dst[written:]
		if len(dst) == 0 {
			return
		}
		r.take(r.in[:])
		r.unused = r.in[:]
	}
}

// take fills dst with the next samples at 48 kHz.
func (r *PeerPCM) take(dst []float32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.take(dst)
}

func (r *PeerPCM) frameSize() int {
	if r.format == Int16 {
		return 2 * r.channels
	}
	return 4 * r.channels
}

// encode writes samples as frames, and returns how many bytes that are.
func (r *PeerPCM) encode(p []byte, mono []float32) (n int) {
	for _, x := range mono {
		for range r.channels {
			if r.format == Int16 {
				binary.LittleEndian.PutUint16(p[n:], uint16(int16(math.Round(float64(min(max(x*32768, -32768), 32767))))))
				n += 2
			} else {
				binary.LittleEndian.PutUint32(p[n:], math.Float32bits(x))
				n += 4
			}
		}
	}
	return n
}

// isClosed tells whether the session is over for good.
func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
