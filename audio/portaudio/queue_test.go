package portaudio

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
)

// latencies are those that may be asked for, and some between that aren't whole
// blocks.
var latencies = []time.Duration{
	2500 * time.Microsecond, 5 * time.Millisecond, 6 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond, 90 * time.Millisecond, 100 * time.Millisecond,
}

// run prepares an endpoint without a device for a pump that a test moves.
func (e *endpoint) run(cfg Config) *pump {
	e.cfg = cfg.withDefaults()
	e.epoch = time.Now()
	e.quit = make(chan struct{})
	e.current = &pump{stream: &stream{piece: make([]float32, 2*pieceFrames(e.cfg.Latency))}}
	return e.current
}

// A speaker that takes a piece at its time finds it whole, whatever the size of
// its pieces, and no block is lost.
func TestSpeakerGetsWholePiecesOfAnySize(t *testing.T) {
	for _, latency := range latencies {
		synctest.Test(t, func(t *testing.T) {
			s := newSink(Config{Latency: latency})
			p := s.run(Config{Latency: latency})
			const length = 2 * time.Second
			written := 0
			go func() {
				var b audio.StereoBlock
				for s.WriteBlock(&b) == nil {
					written++
				}
			}()
			time.Sleep(20 * time.Millisecond) // the writer comes first
			pieces := 0
			for time.Since(s.epoch) < length {
				if !s.grab(p, p.stream.piece, false) {
					t.Errorf("latency %v: after %d pieces only %d of %d samples are there", latency, pieces, s.queue.Len(), len(p.stream.piece))
					break
				}
				pieces++
				time.Sleep(latency / 2)
			}
			close(s.quit)
			synctest.Wait()
			if s.faults != (audio.Faults{}) {
				t.Errorf("latency %v: %+v", latency, s.faults)
			}
			taken := pieces * len(p.stream.piece) / 2 / audio.BlockSamples
			if more := written - taken; more < 0 || more > len(p.stream.piece)/2/audio.BlockSamples+2 {
				t.Errorf("latency %v: %d blocks written, %d taken", latency, written, taken)
			}
		})
	}
}

// A microphone that gives a piece at its time, or somewhat later, leaves no hole
// in what is read, and no call takes 100 ms.
func TestMicrophoneGivesPiecesOfAnySizeWithoutSilence(t *testing.T) {
	for _, latency := range latencies {
		synctest.Test(t, func(t *testing.T) {
			s := newSource(Config{Latency: latency})
			p := s.run(Config{Latency: latency})
			s.last, s.next = s.now(), s.now()+audio.BlockDuration
			var device sync.WaitGroup
			device.Go(func() {
				pcm := make([]float32, len(p.stream.piece)/2)
				next := float32(1)
				for began, n := time.Now(), 1; !s.closed(); n++ {
					late := time.Duration(n%7) * 2 * time.Millisecond // up to 12 ms
					time.Sleep(time.Until(began.Add(time.Duration(n)*latency/2 + late)))
					for i := range pcm {
						pcm[i] = next
						next++
					}
					s.mu.Lock()
					s.keep(pcm)
					s.mu.Unlock()
					signal(s.filled)
				}
			})
			next := float32(1)
			for range 200 {
				var b audio.Block
				began := time.Now()
				if err := s.ReadBlock(&b); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("latency %v: ReadBlock took %v", latency, took)
				}
				if b[0] != next || b[len(b)-1] != next+float32(len(b)-1) {
					t.Errorf("latency %v: sample %v is %v", latency, next, b[0])
					break
				}
				next += float32(len(b))
			}
			if s.faults != (audio.Faults{}) {
				t.Errorf("latency %v: %+v", latency, s.faults)
			}
			close(s.quit)
			device.Wait()
		})
	}
}

// After a hole a microphone's backlog is cut, but not what is still to become a
// block.
func TestMicrophoneKeepsNoBacklogAfterSilence(t *testing.T) {
	for _, latency := range latencies {
		s := newSource(Config{Latency: latency})
		p := s.run(Config{Latency: latency})
		s.trimmed = time.Hour
		pcm := make([]float32, len(p.stream.piece)/2)
		read := 0
		var b audio.Block
		for n := range 400 {
			before := s.queue.Len()
			s.keep(pcm)
			if got := s.queue.Len(); n > 200 && got != before+len(pcm) {
				t.Fatalf("latency %v: %d of %d samples kept beside %d", latency, got-before, len(pcm), before)
			}
			if got := s.queue.Len(); got >= len(pcm)+audio.BlockSamples {
				t.Fatalf("latency %v: %d samples wait", latency, got)
			}
			for n >= 200 && s.queue.Len() >= audio.BlockSamples { // for a while nobody reads
				s.queue.Read(b[:])
				read++
			}
		}
		if want := 199 * len(pcm) / audio.BlockSamples; read < want {
			t.Errorf("latency %v: %d blocks read, want %d", latency, read, want)
		}
	}
}

// What a device kept back while silence was read in its place comes at once, a
// piece after the other, and isn't read faster than time passes.
func TestMicrophoneGivesNoBacklogBesideSilence(t *testing.T) {
	for _, latency := range latencies {
		synctest.Test(t, func(t *testing.T) {
			s := newSource(Config{Latency: latency})
			p := s.run(Config{Latency: latency})
			s.last, s.next, s.faults.Lost = s.now(), s.now()+audio.BlockDuration, true
			pcm := make([]float32, len(p.stream.piece)/2)
			for i := range pcm {
				pcm[i] = 1
			}
			put := func() {
				s.mu.Lock()
				s.keep(pcm)
				s.mu.Unlock()
				signal(s.filled)
				synctest.Wait()
			}
			read, sound := 0, 0
			go func() {
				var b audio.Block
				for s.ReadBlock(&b) == nil {
					read++
					if b[0] == 1 {
						sound++
					}
				}
			}()
			began := time.Now()
			time.Sleep(505 * time.Millisecond) // the device hangs
			for range 300 * time.Millisecond / (latency / 2) {
				put()
			}
			s.mu.Lock()
			s.faults.Lost = false
			s.mu.Unlock()
			for time.Since(began) < 1505*time.Millisecond { // and is well again
				time.Sleep(latency / 2)
				put()
			}
			if most := int((time.Since(began) + s.grace()) / audio.BlockDuration); read > most {
				t.Errorf("latency %v: %d blocks were read in %v", latency, read, time.Since(began))
			}
			if least := 90; sound < least {
				t.Errorf("latency %v: only %d blocks of sound were read in a second", latency, sound)
			}
			close(s.quit)
			signal(s.filled)
		})
	}
}
