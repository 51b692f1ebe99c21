package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/identity"
)

// mostTracks is how many files there are at most. Each stays open until the end,
// since who left may come back.
const mostTracks = 512

// writer owns the files. Only run uses it.
type writer struct {
	r      *Recorder
	create func(name string) (wavFile, error)
	tracks []*track // in the order in which they began
	byPeer map[identity.PeerID]*track
	full   bool // no more tracks: it was said
	errs   []error
}

// track is one file.
type track struct {
	name string
	peer identity.PeerID
	from int64 // samples until something was heard in it for the first time
	err  error // why it was given up
	last TrackStats

	// One of them, while it isn't given up.
	packets *packetTrack
	blocks  *blockTrack
	mix     *mixTrack
}

// medium is what all kinds of tracks have in common.
type medium interface {
	close(end int64) error
	discard()
	position() int64
	leftOut() uint64
}

func newWriter(r *Recorder, create func(name string) (wavFile, error)) *writer {
	return &writer{r: r, create: create, byPeer: make(map[identity.PeerID]*track)}
}

func (t *track) medium() medium {
	switch {
	case t.packets != nil:
		return t.packets
	case t.blocks != nil:
		return t.blocks
	case t.mix != nil:
		return t.mix
	}
	return nil
}

func (t *track) stats() TrackStats {
	if m := t.medium(); m != nil {
		t.last.Length, t.last.Out = durationOf(m.position()), m.leftOut()
	}
	t.last.File, t.last.Peer, t.last.Err = t.name, t.peer, t.err
	return t.last
}

func (w *writer) packet(p *packet) {
	t := w.track(p.peer, p.at-int64(p.samples))
	if t == nil || t.packets == nil {
		w.r.in.packets.free(p)
		return
	}
	w.check(t, t.packets.push(p, p.at))
}

func (w *writer) block(b *block) {
	defer w.r.in.blocks.free(b)
	at := b.number * audio.BlockSamples
	c := w.r.config
	if c.Tracks&Mixed != 0 && (b.peer == "" || b.peer == w.r.in.self) {
		if t := w.track("", at); t != nil && t.mix != nil {
			w.check(t, t.mix.push(b))
		}
	}
	if c.Format == WAV && c.Tracks&PerPeer != 0 && b.peer != "" {
		if t := w.track(b.peer, at); t != nil && t.blocks != nil {
			w.check(t, t.blocks.write(b.number, &b.pcm))
		}
	}
}

// tick looks after tracks to which nothing came.
func (w *writer) tick(now int64) {
	for _, t := range w.tracks {
		switch {
		case t.packets != nil:
			w.check(t, t.packets.tick(now))
		case t.mix != nil:
			w.check(t, t.mix.tick(now))
		}
	}
}

// track returns the track of a participant, or with an empty ID that of the mix,
// and begins it if there is none. It is nil if there are too many.
func (w *writer) track(id identity.PeerID, at int64) *track {
	if t := w.byPeer[id]; t != nil {
		return t
	}
	if len(w.tracks) >= mostTracks {
		if !w.full {
			w.full = true
			w.note(&TrackError{File: w.fileName(id), Err: ErrManyFiles})
		}
		return nil
	}
	t := &track{name: w.fileName(id), peer: id, from: max(at, 0)}
	w.byPeer[id] = t
	w.tracks = append(w.tracks, t)
	w.check(t, w.open(t))
	w.writeIndex(false)
	return t
}

// open makes the file of a track.
func (w *writer) open(t *track) (err error) {
	file, err := w.create(t.name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // why it is given up is known
		}
	}()
	c := w.r.config
	serial := crc32.ChecksumIEEE([]byte(t.name))
	comments := []string{"DATE=" + w.r.in.start.UTC().Format(time.RFC3339)}
	if t.peer != "" {
		comments = append(comments, "PEER="+nameOf(t.peer))
	}
	switch {
	case t.peer != "" && c.Format == OggOpus:
		t.packets, err = newPacketTrack(file, serial, comments, w.r.in.packets.free)
	case t.peer != "":
		t.blocks, err = newBlockTrack(file, true)
	case c.Format == OggOpus:
		var e *encoder
		if e, err = newEncoder(file, c, serial, comments); err == nil {
			t.mix = &mixTrack{file: e}
		}
	default:
		var b *blockTrack
		if b, err = newBlockTrack(file, false); err == nil {
			t.mix = &mixTrack{file: b}
		}
	}
	return err
}

// check gives a track up if something went wrong with it.
func (w *writer) check(t *track, err error) {
	if err == nil || t.err != nil {
		return
	}
	t.err = err
	t.stats()
	if m := t.medium(); m != nil {
		m.discard()
	}
	t.packets, t.blocks, t.mix = nil, nil, nil
	w.note(asTrackError(t.name, err))
}

func (w *writer) note(err *TrackError) {
	w.errs = append(w.errs, err)
	w.r.failed(err)
}

// close ends all tracks, at the same time: the one that is said, or when the last
// thing that was heard ends.
func (w *writer) close(end int64) error {
	for _, t := range w.tracks {
		if m := t.medium(); m != nil {
			end = max(end, m.position())
		}
	}
	end = (end + audio.BlockSamples - 1) / audio.BlockSamples * audio.BlockSamples
	for _, t := range w.tracks {
		m := t.medium()
		if m == nil {
			continue
		}
		err := m.close(end)
		t.stats()
		t.packets, t.blocks, t.mix = nil, nil, nil
		if err != nil {
			t.err = err
			w.note(asTrackError(t.name, err))
		}
	}
	w.writeIndex(true)
	return errors.Join(w.errs...)
}

// writeIndex writes the index anew. What goes wrong is noted once.
func (w *writer) writeIndex(complete bool) {
	err := w.index(complete)
	if err == nil {
		return
	}
	for _, e := range w.errs {
		if known, ok := errors.AsType[*TrackError](e); ok && known.File == IndexFile {
			return
		}
	}
	w.note(&TrackError{File: IndexFile, Err: err})
}

// fileName is safe in every file system: an ID is written as letters and digits.
func (w *writer) fileName(id identity.PeerID) string {
	if id == "" {
		return "mix." + w.r.config.Format.String()
	}
	return nameOf(id) + "." + w.r.config.Format.String()
}

const mostIDBytes = 64 // that are written as text, which takes quadratic time

func nameOf(id identity.PeerID) string {
	if len(id) > mostIDBytes {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return id.String()
}

func durationOf(samples int64) time.Duration {
	return time.Duration(samples/second)*time.Second + time.Duration(samples%second)*time.Second/second
}

// replaceFile writes a file so that there is always the old one or the new one.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		_ = os.Remove(temporary) // what is wrong is known
		return err
	}
	return os.Rename(temporary, path)
}
