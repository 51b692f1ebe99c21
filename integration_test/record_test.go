//go:build !nolibopusfile

package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	rec "github.com/parley-voice/parley/record"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

// takesPart starts a session with the real codec that says pcm from now on.
func takesPart(t *testing.T, net *sessiontest.Network, n int, pcm []float32) *session.Session {
	t.Helper()
	s, err := session.New(session.Config{
		Transport:  net.Transport(sessiontest.PeerID(n)),
		Codec:      opus.Codec{},
		OpenSource: func() (audio.Source, error) { return audiotest.NewSource(pcm), nil },
		OpenSink:   func() (audio.Sink, error) { return &audio.Null{}, nil },
	})
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// loadTrack is what a player makes of a file of a recording.
func loadTrack(t *testing.T, path string) []float32 {
	t.Helper()
	if strings.HasSuffix(path, ".wav") {
		pcm, err := audiotest.LoadWAV(path)
		if err != nil {
			t.Fatal(err)
		}
		return pcm
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	played, err := playOgg(b)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, len(played))
	for i, x := range played {
		pcm[i] = float32(x) / (1 << 15)
	}
	return pcm
}

// Who says what when is the same in all files, over a link that loses and delays:
// our own voice when it was said, packets of others when they arrived, their
// sound when it was heard.
func TestRecordingsLieOnOneTimeLine(t *testing.T) {
	const (
		delay = 40 * time.Millisecond
		slack = 35 * time.Millisecond // jitter, and by how much spurts may be off
	)
	for _, format := range []rec.Format{rec.OggOpus, rec.WAV} {
		t.Run(format.String(), func(t *testing.T) {
			dir := t.TempDir()
			said := map[int][]float32{}
			late := map[int]time.Duration{} // when each begins, after the recording did
			synctest.Test(t, func(t *testing.T) {
				net := sessiontest.NewNetwork(sessiontest.Config{Seed: 4, Link: sessiontest.LinkConfig{Delay: delay, Jitter: 5 * time.Millisecond, Loss: 0.05}})
				defer net.Close()
				var all []*session.Session
				var r *rec.Recorder
				from := time.Now()
				for n := 1; n <= 3; n++ {
					said[n] = audiotest.Babble(uint64(n), 10*time.Second)
					s := takesPart(t, net, n, said[n])
					defer s.Close()
					if n == 1 {
						var err error
						if r, err = rec.Start(s, dir, rec.Config{Format: format, Tracks: rec.PerPeer | rec.Mixed, Codec: opus.Codec{}}); err != nil {
							t.Fatal(err)
						}
						from = time.Now()
					}
					late[n] = time.Since(from)
					for _, o := range all {
						if err := errors.Join(s.PeerJoined(o.Self()), o.PeerJoined(s.Self())); err != nil {
							t.Fatal(err)
						}
					}
					all = append(all, s)
					time.Sleep(2510 * time.Millisecond)
				}
				time.Sleep(9 * time.Second)
				if err := r.Stop(); err != nil {
					t.Error(err)
				}
				if st := r.Stats(); len(st.Tracks) != 4 || st.Dropped != 0 {
					t.Errorf("%+v", st)
				}
			})
			mix := loadTrack(t, filepath.Join(dir, "mix."+format.String()))
			for n := 1; n <= 3; n++ {
				track := loadTrack(t, filepath.Join(dir, sessiontest.PeerID(n).String()+"."+format.String()))
				if len(track) < 16*audio.SampleRate-1000 || len(track) > 17*audio.SampleRate {
					t.Errorf("track %d lasts %d samples", n, len(track))
				}
				low, high := late[n], late[n]+slack
				mixLow, mixHigh := low, high
				if n > 1 {
					low, high = low+delay, high+delay
					mixLow, mixHigh = low, high+200*time.Millisecond // the jitter buffer
				}
				if format == rec.WAV {
					low, high = mixLow, mixHigh
				}
				checkPlace(t, "track of "+sessiontest.PeerID(n).String(), said[n], track, low, high, 10)
				checkPlace(t, "mix with "+sessiontest.PeerID(n).String(), said[n], mix, mixLow, mixHigh, 3)
			}
		})
	}
}

// checkPlace looks for pieces of what was said in a recording, as many as there
// must be at least, and complains about those that aren't where they belong.
func checkPlace(t *testing.T, name string, said, recording []float32, low, high time.Duration, least int) {
	t.Helper()
	found := 0
	for _, p := range audiotest.Offsets(said, recording, audiotest.OffsetsConfig{From: low - 300*time.Millisecond, To: high + 300*time.Millisecond}) {
		if p.Confidence < 0.6 {
			continue
		}
		found++
		if p.Offset < low-3*time.Millisecond || p.Offset > high {
			t.Errorf("%s: what was said at %v is off by %v, want %v to %v", name, p.At, p.Offset, low, high)
		}
	}
	if found < least {
		t.Errorf("%s: only %d pieces found", name, found)
	}
}

const recordingChild = "PARLEY_RECORDING_CHILD"

// TestRecordUntilKilled is what the process does that the next test kills.
func TestRecordUntilKilled(t *testing.T) {
	dir := os.Getenv(recordingChild)
	if dir == "" {
		t.Skip("is a part of TestAKilledProcessLeavesFilesThatPlay")
	}
	net := sessiontest.NewNetwork(sessiontest.Config{})
	defer net.Close()
	pcm := make([]float32, 60*audio.SampleRate)
	for i := range pcm {
		pcm[i] = float32(0.4 * math.Sin(2*math.Pi*440*float64(i)/audio.SampleRate))
	}
	a, b := takesPart(t, net, 1, pcm), takesPart(t, net, 2, pcm)
	defer a.Close()
	defer b.Close()
	for _, format := range []rec.Format{rec.OggOpus, rec.WAV} {
		_, err := rec.Start(a, filepath.Join(dir, format.String()), rec.Config{Format: format, Tracks: rec.PerPeer | rec.Mixed, Codec: opus.Codec{}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.PeerJoined(b.Self()), b.PeerJoined(a.Self())); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done() // never
}

func TestAKilledProcessLeavesFilesThatPlay(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestRecordUntilKilled$", "-test.timeout=60s")
	child.Env = append(os.Environ(), recordingChild+"="+dir)
	began := time.Now()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = child.Process.Kill(), child.Wait() }() // if something fails before
	// It is killed when its slowest file holds about three seconds.
	slowest := filepath.Join(dir, "ogg", "mix.ogg")
	for size := int64(0); size < 3*6000; {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s holds %d bytes after 30 s", slowest, size)
		}
		time.Sleep(20 * time.Millisecond)
		if info, err := os.Stat(slowest); err == nil {
			size = info.Size()
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it says that it was killed
	for _, format := range []string{"ogg", "wav"} {
		b, err := os.ReadFile(filepath.Join(dir, format, rec.IndexFile))
		var x rec.Index
		if err == nil {
			err = json.Unmarshal(b, &x)
		}
		if err != nil || x.Complete || len(x.Tracks) != 3 {
			t.Fatalf("index of %s: %+v, %v", format, x, err)
		}
		for _, k := range x.Tracks {
			pcm := loadTrack(t, filepath.Join(dir, format, k.File))
			loud := 0
			for ; len(pcm) >= audio.BlockSamples; pcm = pcm[audio.BlockSamples:] {
				if audio.Measure(pcm[:audio.BlockSamples]).RMS > -20 {
					loud++
				}
			}
			if loud < 150 {
				t.Errorf("%s/%s: %d blocks of the tone are left of about 300", format, k.File, loud)
			}
		}
	}
}

// A recording is of what was received: the very packets, not coded once more.
func TestRecordedPacketsAreThoseThatWereSent(t *testing.T) {
	dir := t.TempDir()
	sent := map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		net := sessiontest.NewNetwork(sessiontest.Config{})
		defer net.Close()
		a := takesPart(t, net, 1, make([]float32, audio.SampleRate))
		b := takesPart(t, net, 2, audiotest.Babble(1, 5*time.Second))
		defer a.Close()
		defer b.Close()
		defer b.Tap(session.Taps{Said: func(p *session.Packet) { sent[string(p.Payload)] = true }})()
		r, err := rec.Start(a, dir, rec.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.PeerJoined(b.Self()), b.PeerJoined(a.Self())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	file, err := os.ReadFile(filepath.Join(dir, sessiontest.PeerID(2).String()+".ogg"))
	if err != nil {
		t.Fatal(err)
	}
	speech := 0
	for packet := range sent {
		if len(packet) < 20 || !strings.Contains(string(file), packet) {
			continue
		}
		if _, err := codec.Parse([]byte(packet)); err == nil {
			speech++
		}
	}
	if speech < 150 {
		t.Errorf("%d of %d packets are in the file", speech, len(sent))
	}
}

// What recordings cost on a disk, for docs/recording.md; -v prints it.
func TestWhatRecordingsCost(t *testing.T) {
	const minutes = 5
	said := audiotest.Babble(3, minutes*time.Minute)
	for _, tt := range []struct {
		format    rec.Format
		low, high float64 // MB an hour
	}{{rec.OggOpus, 5, 14}, {rec.WAV, 345, 346}} {
		t.Run(tt.format.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				net := sessiontest.NewNetwork(sessiontest.Config{})
				defer net.Close()
				s := takesPart(t, net, 1, said)
				defer s.Close()
				r, err := rec.Start(s, dir, rec.Config{Format: tt.format})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(minutes * time.Minute)
				if err := r.Stop(); err != nil {
					t.Fatal(err)
				}
			})
			info, err := os.Stat(filepath.Join(dir, sessiontest.PeerID(1).String()+"."+tt.format.String()))
			if err != nil {
				t.Fatal(err)
			}
			cost := float64(info.Size()) / 1e6 * 60 / minutes
			t.Logf("%v, speech: %.1f MB an hour", tt.format, cost)
			if cost < tt.low || cost > tt.high {
				t.Errorf("%v: %.2f MB an hour, want %v to %v", tt.format, cost, tt.low, tt.high)
			}
		})
	}
	cost := float64(silentBytes(t, time.Hour)) / 1e6
	t.Logf("ogg, silence: %.1f MB an hour", cost)
	if cost > 0.65 {
		t.Errorf("silence: %.2f MB an hour", cost)
	}
}

// silentBytes is what silence takes in a file of Ogg Opus.
func silentBytes(t *testing.T, d time.Duration) int64 {
	t.Helper()
	var file countingWriter
	s, err := oggopus.NewWriter(&file, oggopus.Config{})
	if err == nil {
		err = errors.Join(s.WriteSilence(int64(audiotest.Samples(d))), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return int64(file)
}

type countingWriter int64

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}
