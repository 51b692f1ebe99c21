package integration_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/pulsetest"
)

// tape is what a program outside of this process records from one of the
// sound server's sources, with the times at which it came.
type tape struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when nothing more comes

	mu     sync.Mutex // guards what follows
	pcm    []float32
	stamps []stamp
}

// stamp says when the sample with that index, and some that follow, arrived.
type stamp struct {
	index int
	at    time.Time
}

// tapeOf records a source in mono until the test or stop ends it.
func tapeOf(t *testing.T, server *pulsetest.Server, source string) *tape {
	t.Helper()
	// The latency asked for is above that of the program under test, whose
	// devices it leaves as they are.
	cmd := server.Command("parec", "--device="+source, "--raw", "--format=float32le", "--rate=48000", "--channels=1", "--latency-msec=20")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &tape{cmd: cmd, done: make(chan struct{})}
	go r.run(out)
	t.Cleanup(r.stop)
	deadline := time.Now().Add(5 * time.Second)
	for r.len() == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("nothing comes from %s", source)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return r
}

// run ends when the program ends.
func (r *tape) run(out io.Reader) {
	defer close(r.done)
	buf := make([]byte, 1<<16)
	rest := 0
	for {
		n, err := out.Read(buf[rest:])
		now := time.Now()
		n += rest
		r.mu.Lock()
		r.stamps = append(r.stamps, stamp{len(r.pcm), now})
		for i := 0; i+4 <= n; i += 4 {
			r.pcm = append(r.pcm, math.Float32frombits(binary.LittleEndian.Uint32(buf[i:])))
		}
		r.mu.Unlock()
		rest = copy(buf, buf[n/4*4:n])
		if err != nil {
			return
		}
	}
}

// stop ends the tape. What was recorded stays.
func (r *tape) stop() {
	_ = r.cmd.Process.Kill()
	<-r.done
	_ = r.cmd.Wait() // killed, which it calls an error
}

func (r *tape) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pcm)
}

// from is a copy of what was recorded from an index on.
func (r *tape) from(index int) []float32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pcm[min(index, len(r.pcm)):])
}

// when is the time at which a sample was played by the sink whose monitor this
// is, up to a constant that is the same for all recordings. A null sink renders
// a piece of audio when the first sample of it is due. What then delays a piece
// on its way here only ever delays it, so the piece that came fastest counts.
// A sink's clock is up to 100 ppm off: only what came within a second of the
// sample is considered.
func (r *tape) when(sample float64) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var best time.Time
	for _, s := range r.stamps {
		away := sample - float64(s.index)
		if math.Abs(away) > audio.SampleRate {
			continue
		}
		if at := s.at.Add(audiotest.Duration(away)); best.IsZero() || at.Before(best) {
			best = at
		}
	}
	return best
}

// at is about which sample came at a time.
func (r *tape) at(when time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.stamps, when, func(s stamp, t time.Time) int { return s.at.Compare(t) })
	return r.stamps[max(0, i-1)].index
}

// loudAfter returns when sound came first after a time, and whether any did.
func (r *tape) loudAfter(after time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, s := range r.stamps {
		end := len(r.pcm)
		if i+1 < len(r.stamps) {
			end = r.stamps[i+1].index
		}
		if s.at.After(after) && s.index < end && audio.Measure(r.pcm[s.index:end]).RMS > -45 {
			return s.at, true
		}
	}
	return time.Time{}, false
}

// utterance is what a program outside of this process plays.
type utterance struct {
	cmd  *exec.Cmd
	wait func() // until all was played, or the sound server or the utterance was killed
}

// speakInto plays into one of the sound server's sinks. It ends with the test.
func speakInto(t *testing.T, server *pulsetest.Server, sink string, pcm []float32) *utterance {
	t.Helper()
	raw := make([]byte, 4*len(pcm))
	for i, x := range pcm {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(x))
	}
	cmd := server.Command("pacat", "--playback", "--device="+sink, "--raw", "--format=float32le", "--rate=48000", "--channels=1")
	cmd.Stdin = bytes.NewReader(raw)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	u := &utterance{cmd: cmd, wait: sync.OnceFunc(func() { _ = cmd.Wait() })} // being killed is no error here
	t.Cleanup(u.stop)
	return u
}

func (u *utterance) stop() {
	_ = u.cmd.Process.Kill()
	u.wait()
}
