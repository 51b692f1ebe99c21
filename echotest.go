package parley

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/pipe"
	"github.com/parley-voice/parley/session"
)

// Errors of EchoTest and CheckMicrophone. They are wrapped, so compare with errors.Is.
var (
	// ErrNoMicrophone: there is no source, or none that can be opened or read. The
	// text says why.
	ErrNoMicrophone = errors.New("parley: no microphone")
	// ErrNoEcho: the two ends of the test, in this process, did not reach each other.
	ErrNoEcho = errors.New("parley: the echo test has no connection to itself")
)

// EchoConfig says how an echo test goes. The zero value is the default.
type EchoConfig struct {
	Duration time.Duration // for so long it listens, and then what it heard comes back; 1 to 60 s; 0 means 5 s

	// OnListen is called when it begins to listen, OnReturn when what was said
	// begins to come back: to tell people. They must return quickly. nil is nothing.
	OnListen, OnReturn func()
}

const (
	defaultEcho  = 5 * time.Second
	leastEcho    = time.Second
	mostEcho     = time.Minute
	echoPause    = 500 * time.Millisecond // between the last word and the first that comes back
	echoTail     = time.Second            // after the last one has come back: it may be late by so much
	echoPatience = 5 * time.Second        // for the two ends to reach each other
)

// EchoReport is what an echo test found.
type EchoReport struct {
	Heard      bool          // what came back is what was said
	Similarity float64       // of the two loudness curves, 0 to 1; Heard from 0.6 on
	Delay      time.Duration // from microphone to speaker, there and back, on average: jitter buffers begin with more; 0 unless Heard
	Concealed  float64       // share of what was heard that was a guess or left out, 0 to 1, on both ways
	Lost       uint64        // packets that did not arrive in time, on both ways
	Said       float64       // dBFS (RMS) of what was said, after Config.Clean
	Back       float64       // dBFS (RMS) of what came back
	Speaker    string        // why the speaker doesn't work; empty if it does
}

// EchoTest lets somebody hear what others would: for some seconds it takes what
// the microphone records, and then plays it, after it has gone through all of a
// conversation twice, there and back: Config.Clean and Config.Chain, Opus, packets, an
// encrypted link within this process, jitter buffer, mix. While it comes back the
// microphone is muted. It takes twice the duration and some two seconds.
//
// Of cfg it heeds what is about sound: devices or sources of PCM, encoding, cleaning and
// LowDelay; modes don't count. A source without a clock, a file, begins when it listens. A device that a Voice uses meanwhile it uses as well,
// if the system allows that. It fails with ErrNoMicrophone, ErrNoEcho, session.ErrConfig,
// or ctx's error. When it returns nothing of it is left.
func EchoTest(ctx context.Context, cfg Config, echo EchoConfig) (EchoReport, error) {
	if echo.Duration == 0 {
		echo.Duration = defaultEcho
	}
	if echo.Duration < leastEcho || echo.Duration > mostEcho {
		return EchoReport{}, fmt.Errorf("parley: %w: an echo test of %v, want %v to %v", session.ErrConfig, echo.Duration, leastEcho, mostEcho)
	}
	e := &echoTest{echo: echo, said: newCurve(echo.Duration), back: newCurve(2*echo.Duration + echoPause + echoTail)}
	err := e.open(cfg)
	if err == nil {
		err = e.run(ctx)
	}
	var report EchoReport
	if err == nil {
		report = e.report()
	}
	if err = errors.Join(err, e.close()); err != nil {
		return EchoReport{}, err
	}
	return report, nil
}

// echoTest is the two ends of an echo test.
type echoTest struct {
	echo       EchoConfig
	here       *session.Session // who speaks and hears
	there      *session.Session // who says it again
	cleaner    *cleaner
	listens    atomic.Bool // it has begun to listen
	said, back *curve
}

// open makes the two ends.
func (e *echoTest) open(cfg Config) error {
	cfg = cfg.withDefaults()
	var err error
	if e.cleaner, err = newCleaner(cfg.Clean, cfg.OpenSource == nil); err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	near, far, err := newLoop()
	if err != nil {
		return err
	}
	cfg.Mode, cfg.Authorize = session.Open, nil
	cfg = (&Voice{cleaner: e.cleaner}).connect(cfg)
	cfg.OpenSource = e.hold(cfg.OpenSource)
	if e.here, err = session.New(cfg.session(near)); err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	line := newDelayLine(e.echo.Duration + echoPause)
	e.there, err = session.New(session.Config{
		Transport:  far,
		Codec:      opus.Codec{},
		Encoding:   cfg.Encoding,
		OpenSource: func() (audio.Source, error) { return line, nil },
		OpenSink:   func() (audio.Sink, error) { return line, nil },
	})
	if err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	return nil
}

// held is a source that waits until the test listens.
type held struct {
	audio.Source
	listens *atomic.Bool
}

func (h held) ReadBlock(b *audio.Block) error {
	if !h.listens.Load() {
		*b = audio.Block{}
		return nil
	}
	return h.Source.ReadBlock(b)
}

// hold has sources without a clock wait.
func (e *echoTest) hold(open func() (audio.Source, error)) func() (audio.Source, error) {
	return func() (audio.Source, error) {
		source, err := open()
		if _, device := source.(audio.Device); device || source == nil || err != nil {
			return source, err
		}
		return held{source, &e.listens}, nil
	}
}

// newLoop makes two transports, each of which gets what the other sends.
func newLoop() (near, far *pipe.Transport, err error) {
	var ends [2]*pipe.Transport
	for i := range ends {
		key, _, err := crypto.GenerateEd25519Key(nil)
		if err != nil {
			return nil, nil, fmt.Errorf("parley: %w", err)
		}
		ends[i], err = pipe.New(pipe.Config{
			Key: key, Kind: link.Direct, Name: "loop",
			Send: func(_ identity.PeerID, b []byte, _ bool) error { return ends[1-i].Receive(ends[i].Self(), b) },
		})
		if err != nil {
			return nil, nil, fmt.Errorf("parley: %w", err)
		}
	}
	return ends[0], ends[1], nil
}

// run listens, plays back, and measures both.
func (e *echoTest) run(ctx context.Context) error {
	e.here.SetMuted(true)
	if err := errors.Join(e.there.Start(ctx), e.here.Start(ctx)); err != nil {
		return fmt.Errorf("parley: echo test: %w", err)
	}
	if mic := e.here.Stats().Microphone; !mic.Open {
		return fmt.Errorf("%w: %s", ErrNoMicrophone, mic.Reason)
	}
	if err := errors.Join(e.there.PeerJoined(e.here.Self()), e.here.PeerJoined(e.there.Self())); err != nil {
		return fmt.Errorf("parley: echo test: %w", err)
	}
	if err := e.reach(ctx); err != nil {
		return err
	}
	remove := e.here.Tap(session.Taps{
		Microphone: func(b *audio.Block, at time.Time, said bool) {
			if said {
				e.said.add(b, at)
			}
		},
		Mix: func(b *audio.StereoBlock, at time.Time) {
			var mono audio.Block
			audio.Downmix(&mono, b)
			e.back.add(&mono, at)
		},
	})
	defer remove()
	begin := time.Now()
	e.said.begin(begin)
	e.back.begin(begin)
	e.listens.Store(true)
	e.here.SetMuted(false)
	call(e.echo.OnListen)
	if err := pause(ctx, e.echo.Duration); err != nil {
		return err
	}
	e.here.SetMuted(true)
	if err := pause(ctx, echoPause); err != nil {
		return err
	}
	call(e.echo.OnReturn)
	return pause(ctx, e.echo.Duration+echoTail)
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// reach waits until both ends hear each other.
func (e *echoTest) reach(ctx context.Context) error {
	for end := time.Now().Add(echoPatience); ; {
		if up(e.here) && up(e.there) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: %s", ErrNoEcho, e.here.Why(e.there.Self()))
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// up says whether the only peer of a session is reachable.
func up(s *session.Session) bool {
	peers := s.Stats().Peers
	return len(peers) == 1 && peers[0].Reachable
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("parley: %w", ctx.Err())
	}
}

// report is what was found; the sessions must not be closed yet.
func (e *echoTest) report() EchoReport {
	r := EchoReport{Said: e.said.level(), Back: e.back.level()}
	whole := 1.0
	for _, s := range []*session.Session{e.here, e.there} {
		for _, p := range s.Stats().Peers {
			whole *= 1 - p.ConcealedShare()
			r.Lost += p.Jitter.Lost
		}
	}
	r.Concealed = 1 - whole
	r.Speaker = e.here.Stats().Speaker.Reason
	var lag time.Duration
	lag, r.Similarity = e.said.find(e.back, e.echo.Duration+echoPause)
	if r.Heard = r.Similarity >= curvesAlike; r.Heard {
		r.Delay = max(0, lag-e.echo.Duration-echoPause)
	}
	return r
}

func (e *echoTest) close() (err error) {
	for _, s := range []*session.Session{e.here, e.there} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if e.cleaner != nil {
		e.cleaner.close()
	}
	return err
}

// delayLine gives what it is given some time later. One goroutine writes and one
// reads, at the same pace.
type delayLine struct {
	mu   sync.Mutex // guards ring
	ring *audio.Ring
}

func newDelayLine(delay time.Duration) *delayLine {
	samples := int(delay * codec.SampleRate / time.Second)
	l := &delayLine{ring: audio.NewRing(samples + codec.SampleRate)}
	l.ring.Write(make([]float32, samples))
	return l
}

// ReadBlock gives silence if there is nothing.
func (l *delayLine) ReadBlock(b *audio.Block) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(b[l.ring.Read(b[:]):])
	return nil
}

// WriteBlock drops what there is no room for.
func (l *delayLine) WriteBlock(b *audio.StereoBlock) error {
	var mono audio.Block
	audio.Downmix(&mono, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring.Write(mono[:])
	return nil
}

// Close does nothing: both ends of the line close it.
func (*delayLine) Close() error { return nil }
