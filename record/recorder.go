package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
)

// Session is what is recorded: a *session.Session, or a *parley.Voice.
type Session interface {
	Self() identity.PeerID
	Tap(session.Taps) (remove func())
	AnnounceRecording() (end func())
}

// Recorder is a recording that is under way. Its methods are safe for concurrent
// use.
type Recorder struct {
	config Config
	dir    string
	in     intake
	remove func() // the taps
	recant func() // what peers were told
	writer *writer

	stop sync.Once
	quit chan struct{} // closed by Stop
	done chan struct{} // closed when all files are
	err  error         // what Stop returns; set before done is closed
	now  atomic.Pointer[Stats]
}

// Stats is what is known of a recording. It is up to 250 ms old.
type Stats struct {
	Started time.Time    // when the files begin
	Dropped uint64       // packets and blocks of 10 ms that there was no room for: the disk is too slow
	Tracks  []TrackStats // in the order in which they began
}

// TrackStats is what is known of one file.
type TrackStats struct {
	File   string          // its name in the directory
	Peer   identity.PeerID // who is heard in it; empty for the mix
	Length time.Duration   // how long it is by now
	Out    uint64          // packets or blocks left out: too late, or more than there was time for
	Err    error           // why it was given up; nil if it wasn't
}

// wavFile is a file as WAV needs it; Ogg does with less.
type wavFile interface {
	io.WriteSeeker
	io.Closer
}

// Start begins a recording of a session, started or not, in a directory, which is
// made if it isn't there. It goes on across Stop and Start of the session until
// Stop is called. Peers are told, before anything is recorded and until nothing is
// any more, unless Config.Unannounced says otherwise. OggOpus needs a session whose codec is Opus. It fails with
// ErrConfig, with ErrExists if there is a recording in the directory, or if that
// can't be written.
func Start(s Session, dir string, config Config) (*Recorder, error) {
	return start(s, dir, config, func(name string) (wavFile, error) {
		return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	})
}

func start(s Session, dir string, config Config, create func(name string) (wavFile, error)) (*Recorder, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, IndexFile)); err == nil {
		return nil, fmt.Errorf("%w in %s", ErrExists, dir)
	}
	r := &Recorder{config: config, dir: dir, quit: make(chan struct{}), done: make(chan struct{})}
	r.in.init(s.Self(), time.Now())
	r.writer = newWriter(r, create)
	if err := r.writer.index(false); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r.publish()
	go r.run()
	r.recant = func() {}
	if !config.Unannounced {
		r.recant = s.AnnounceRecording()
	}
	r.remove = s.Tap(r.in.taps(config))
	return r, nil
}

// Stop ends the recording and closes its files, which are equally long then. It
// waits for the disk. It returns what went wrong with any of the files, each a
// *TrackError; later calls return the same.
func (r *Recorder) Stop() error {
	r.stop.Do(func() {
		r.remove()
		r.recant()
		close(r.quit)
	})
	<-r.done
	return r.err
}

// Stats returns how far the recording is.
func (r *Recorder) Stats() Stats {
	st := *r.now.Load()
	st.Dropped = r.in.dropped.Load()
	return st
}

// tickInterval is how often the writer looks at what waits.
const tickInterval = 250 * time.Millisecond

// run writes what the taps were given. It ends after Stop, when all that was
// there is written.
func (r *Recorder) run() {
	defer close(r.done)
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		select {
		case p := <-r.in.packets.ready:
			r.writer.packet(p)
		case b := <-r.in.blocks.ready:
			r.writer.block(b)
		case <-tick.C:
			r.writer.tick(r.in.since(time.Now()))
			r.publish()
		case <-r.quit:
			r.finish()
			return
		}
	}
}

func (r *Recorder) finish() {
	end := r.in.since(time.Now())
	for {
		select {
		case p := <-r.in.packets.ready:
			r.writer.packet(p)
			continue
		case b := <-r.in.blocks.ready:
			r.writer.block(b)
			continue
		default:
		}
		break
	}
	r.err = r.writer.close(end)
	r.publish()
}

func (r *Recorder) publish() {
	st := Stats{Started: r.in.start}
	for _, t := range r.writer.tracks {
		st.Tracks = append(st.Tracks, t.stats())
	}
	r.now.Store(&st)
}

// failed tells the application that a file was given up.
func (r *Recorder) failed(err *TrackError) {
	if r.config.OnFailure != nil {
		r.config.OnFailure(err)
	}
}

// asTrackError is err, which isn't nil, about a file.
func asTrackError(file string, err error) *TrackError {
	if known, ok := errors.AsType[*TrackError](err); ok {
		return known
	}
	return &TrackError{File: file, Err: err}
}
