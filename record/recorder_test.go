package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/audio/oggopus"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
)

func begin(t *testing.T, s Session, dir string, cfg Config) *Recorder {
	t.Helper()
	r, err := Start(s, dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stop(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// play has three people talk: anna, who records, ben, and cleo, who comes late,
// leaves and returns. Each says something at a time of its own, of which the
// recording began at 0. It returns when that was, in seconds.
func play(t *testing.T, net *sessiontest.Network, dir string, cfg Config) *Recorder {
	t.Helper()
	anna, ben, cleo := newMember(t, net, 1, 300), newMember(t, net, 2, 400), newMember(t, net, 3, 500)
	meet(t, anna, ben)
	r := begin(t, anna, dir, cfg)
	from := time.Now()
	at := func(d time.Duration) { time.Sleep(d - time.Since(from)) }
	at(time.Second)
	anna.says(time.Second)
	at(3 * time.Second)
	ben.says(2 * time.Second)
	at(6 * time.Second)
	meet(t, anna, ben, cleo) // a second
	at(8 * time.Second)
	var both sync.WaitGroup
	both.Go(func() { ben.says(time.Second) })
	cleo.says(time.Second)
	both.Wait()
	at(10 * time.Second)
	if err := errors.Join(anna.PeerLeft(cleo.Self()), cleo.Stop()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(anna.Stop(), anna.Start(t.Context()), cleo.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	at(11 * time.Second)
	meet(t, anna, ben, cleo)
	at(13 * time.Second)
	cleo.says(time.Second)
	at(15 * time.Second)
	stop(t, r)
	for _, m := range []*member{anna, ben, cleo} {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// spoken is when something is heard in the files of play, in tenths of a second.
var spoken = map[int][]struct{ from, to int }{
	1: {{10, 20}},
	2: {{30, 50}, {80, 90}},
	3: {{80, 90}, {130, 140}},
}

// checkHeard compares tenths of a second with when members spoke, give or take
// 0.3 s for the release of the key and what the jitter buffer waits for.
func checkHeard(t *testing.T, name, got string, members ...int) {
	t.Helper()
	if len(got) < 149 || len(got) > 151 {
		t.Errorf("%s lasts %d tenths of a second", name, len(got))
	}
	for i := range min(len(got), 150) {
		var must, may bool
		for _, m := range members {
			for _, s := range spoken[m] {
				must = must || i >= s.from+2 && i < s.to
				may = may || i >= s.from && i < s.to+4
			}
		}
		if heard := got[i] == '#'; must && !heard || heard && !may {
			t.Errorf("%s at %d: %s", name, i, got)
			return
		}
	}
}

func TestEachHasATrackOnOneTimeLine(t *testing.T) {
	for _, format := range []Format{OggOpus, WAV} {
		t.Run(format.String(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "here")
			party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 40 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
				r := play(t, net, dir, Config{Format: format})
				st := r.Stats()
				if st.Dropped != 0 || len(st.Tracks) != 3 {
					t.Errorf("%+v", st)
				}
				for _, k := range st.Tracks {
					if d := k.Length - 15*time.Second; d.Abs() > 20*time.Millisecond || k.Length != st.Tracks[0].Length || k.Out > 0 || k.Err != nil {
						t.Errorf("%+v", k)
					}
				}
			})
			for n := 1; n <= 3; n++ {
				name := sessiontest.PeerID(n).String() + "." + format.String()
				checkHeard(t, name, heardInFile(t, filepath.Join(dir, name)), n)
			}
			checkIndex(t, readIndex(t, dir), format)
		})
	}
}

// heardInFile is heardIn of a WAV file, or where the packets of an Ogg file are,
// which are of mu-law here.
func heardInFile(t *testing.T, path string) string {
	t.Helper()
	if strings.HasSuffix(path, ".wav") {
		pcm, err := audiotest.LoadWAV(path)
		if err != nil {
			t.Fatal(err)
		}
		return heardIn(pcm)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	at := int64(0)
	for _, p := range pieces(t, b) {
		for end := at + p.samples; at < end; at += oggopus.Grain {
			if at%4800 != 0 {
				continue
			}
			out = append(out, map[byte]byte{'p': '#', 's': '.', 'l': 'x'}[p.kind])
		}
	}
	return string(out)
}

func checkIndex(t *testing.T, x Index, format Format) {
	t.Helper()
	if x.Version != 1 || x.Format != format.String() || !x.Complete || x.Duration < 14.9 || x.Duration > 15.1 || x.SampleRate != 48000 || len(x.Tracks) != 3 {
		t.Fatalf("%+v", x)
	}
	for i, want := range []struct {
		n     int
		kind  string
		first float64
	}{{1, "self", 1}, {2, "peer", 3}, {3, "peer", 8}} {
		k, id := x.Tracks[i], sessiontest.PeerID(want.n).String()
		if k.Peer != id || k.File != id+"."+format.String() || k.Kind != want.kind || k.First < want.first-0.05 || k.First > want.first+0.2 || k.Error != "" {
			t.Errorf("%+v", k)
		}
	}
}

func TestAMixHoldsEverybodyAndOneself(t *testing.T) {
	for _, noSelf := range []bool{false, true} {
		for _, format := range []Format{OggOpus, WAV} {
			t.Run(fmt.Sprint(format, " without self: ", noSelf), func(t *testing.T) {
				dir := t.TempDir()
				party(t, sessiontest.Config{Link: sessiontest.LinkConfig{Delay: 40 * time.Millisecond}}, func(t *testing.T, net *sessiontest.Network) {
					r := play(t, net, dir, Config{Format: format, Tracks: Mixed, Codec: &sessiontest.Codec{}, NoSelf: noSelf})
					if st := r.Stats(); st.Dropped != 0 || len(st.Tracks) != 1 || st.Tracks[0].Out != 0 {
						t.Errorf("%+v", st)
					}
				})
				heard := heardInFile(t, filepath.Join(dir, "mix."+format.String()))
				if noSelf {
					checkHeard(t, "mix", heard, 2, 3)
				} else {
					checkHeard(t, "mix", heard, 1, 2, 3)
				}
				if files, _ := os.ReadDir(dir); len(files) != 2 {
					t.Errorf("%d files", len(files))
				}
			})
		}
	}
}

// Both voices are in the mix where both spoke, at their levels.
func TestAMixAddsWhatIsSaidAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		anna, ben := newMember(t, net, 1, 300), newMember(t, net, 2, 400)
		defer anna.Close()
		defer ben.Close()
		meet(t, anna, ben)
		r := begin(t, anna, dir, Config{Format: WAV, Tracks: Mixed | PerPeer})
		ben.SetTalking(true)
		anna.says(2 * time.Second)
		time.Sleep(time.Second)
		stop(t, r)
	})
	load := func(name string) float64 {
		pcm, err := audiotest.LoadWAV(filepath.Join(dir, name+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		return audio.Measure(pcm[audio.SampleRate : 2*audio.SampleRate]).RMS
	}
	mix, anna, ben := load("mix"), load(sessiontest.PeerID(1).String()), load(sessiontest.PeerID(2).String())
	if anna < -15 || ben < -15 || mix < max(anna, ben)+2 || mix > max(anna, ben)+4 {
		t.Errorf("mix %.1f dBFS, anna %.1f, ben %.1f", mix, anna, ben)
	}
}

// A file on a disk that is full is given up, said once, and the others go on.
func TestOneFileFailsAndTheOthersGoOn(t *testing.T) {
	dir := t.TempDir()
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		anna, ben, cleo := newMember(t, net, 1, 300), newMember(t, net, 2, 400), newMember(t, net, 3, 500)
		defer anna.Close()
		defer ben.Close()
		defer cleo.Close()
		meet(t, anna, ben, cleo)
		var failures []error
		files := map[string]*memory{}
		r, err := start(anna, dir, Config{OnFailure: func(err error) { failures = append(failures, err) }}, func(name string) (wavFile, error) {
			switch {
			case strings.HasPrefix(name, ben.Self().String()):
				files[name] = &memory{limit: 3000}
			case strings.HasPrefix(name, cleo.Self().String()):
				return nil, fs.ErrPermission
			default:
				files[name] = &memory{}
			}
			return files[name], nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ben.SetTalking(true)
		cleo.SetTalking(true)
		anna.says(10 * time.Second)
		err = r.Stop()
		var failed *TrackError
		if !errors.Is(err, errFull) || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &failed) || len(failures) != 2 {
			t.Errorf("Stop = %v, after %v", err, failures)
		}
		if again := r.Stop(); again == nil || again.Error() != err.Error() {
			t.Errorf("a second Stop = %v", again)
		}
		var spoken int64
		for _, p := range pieces(t, files[anna.Self().String()+".ogg"].Bytes()) {
			if p.kind == 'p' {
				spoken += p.samples
			}
		}
		if spoken < 9*second {
			t.Errorf("anna's file holds %d samples", spoken)
		}
		for _, k := range r.Stats().Tracks {
			if (k.Err == nil) != (k.Peer == anna.Self()) {
				t.Errorf("%+v", k)
			}
		}
		x := readIndex(t, dir)
		if !x.Complete || len(x.Tracks) != 3 || x.Tracks[0].Error+x.Tracks[1].Error+x.Tracks[2].Error == "" {
			t.Errorf("%+v", x)
		}
	})
}

// stalled is a disk that stands still until it is told to go on.
type stalled struct {
	*memory
	going chan struct{}
}

func (s stalled) Write(b []byte) (int, error) {
	<-s.going
	return s.memory.Write(b)
}

// While a disk stands still the conversation goes on, memory is bounded, what
// there is no room for is counted, and what follows is at its time.
func TestAStalledDiskCostsNobodyButTheRecording(t *testing.T) {
	dir := t.TempDir()
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		anna, ben := newMember(t, net, 1, 300), newMember(t, net, 2, 400)
		defer anna.Close()
		defer ben.Close()
		meet(t, anna, ben)
		file := &memory{}
		going := make(chan struct{})
		r, err := start(anna, dir, Config{NoSelf: true}, func(string) (wavFile, error) { return stalled{file, going}, nil })
		if err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		before := anna.Stats().Peers[0].Jitter
		ben.says(2 * time.Minute)
		after := anna.Stats().Peers[0].Jitter
		if heard := after.PlayedSamples - before.PlayedSamples; heard < 119*second || after.ConcealedSamples > before.ConcealedSamples {
			t.Errorf("%d samples were played, %d concealed", heard, after.ConcealedSamples-before.ConcealedSamples)
		}
		dropped := r.Stats().Dropped
		if want := uint64(6000 - mostPackets); dropped < want-20 || dropped > want+20 || r.in.packets.made.Load() != mostPackets {
			t.Errorf("%d packets dropped, want about %d; %d made", dropped, want, r.in.packets.made.Load())
		}
		close(going)
		time.Sleep(10 * time.Second)
		spoke := time.Since(from)
		ben.says(time.Second)
		time.Sleep(2 * time.Second)
		stop(t, r)
		all := pieces(t, file.Bytes())
		at := int64(0)
		for _, p := range all[:len(all)-2] {
			at += p.samples
		}
		if off := at - samplesOf(spoke); off < -1000 || off > 100*millisecond {
			t.Errorf("what was said after %v is off by %d samples: %d", spoke, off, all)
		}
	})
}

func TestStartRefusesWhatItCantDo(t *testing.T) {
	party(t, sessiontest.Config{}, func(t *testing.T, net *sessiontest.Network) {
		anna := newMember(t, net, 1, 300)
		defer anna.Close()
		for name, cfg := range map[string]Config{
			"format": {Format: 9}, "tracks": {Tracks: 8}, "mix without codec": {Tracks: Mixed},
			"bitrate": {Tracks: Mixed, Codec: &sessiontest.Codec{}, Bitrate: 1},
		} {
			if _, err := Start(anna, t.TempDir(), cfg); !errors.Is(err, ErrConfig) {
				t.Errorf("%s: %v", name, err)
			}
		}
		dir := t.TempDir()
		stop(t, begin(t, anna, dir, Config{}))
		if _, err := Start(anna, dir, Config{}); !errors.Is(err, ErrExists) {
			t.Errorf("a second recording in a directory: %v", err)
		}
		if x := readIndex(t, dir); !x.Complete || len(x.Tracks) != 0 || x.Tracks == nil {
			t.Errorf("a recording of nothing: %+v", x)
		}
		file := filepath.Join(dir, IndexFile)
		if _, err := Start(anna, file, Config{}); err == nil {
			t.Error("a file for a directory")
		}
	})
}

func TestNamesOfFilesAreSafe(t *testing.T) {
	w := &writer{r: &Recorder{}}
	for _, id := range []identity.PeerID{"../../x", "a/b", identity.PeerID(strings.Repeat("x", 5000)), identity.PeerID(strings.Repeat("x", 5001)), "\x00", "con"} {
		name := w.fileName(id)
		if len(name) > 110 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "." {
			if !strings.HasSuffix(name, ".ogg") || strings.ContainsAny(strings.TrimSuffix(name, ".ogg"), "./\\\x00") {
				t.Errorf("%q", name)
			}
		}
	}
	if a, b := w.fileName(identity.PeerID(strings.Repeat("x", 5000))), w.fileName(identity.PeerID(strings.Repeat("x", 5001))); a == b {
		t.Error("two peers share a file")
	}
}

// The taps allocate nothing once there are as many items as wait to be written.
func TestTapsAllocateNothing(t *testing.T) {
	var in intake
	in.init("self", time.Unix(0, 0))
	now := time.Unix(1, 0)
	taps := in.taps(Config{Format: WAV, Tracks: PerPeer | Mixed})
	ogg := in.taps(Config{Tracks: PerPeer})
	b, stereo := &audio.Block{1}, &audio.StereoBlock{1}
	p := &session.Packet{Samples: 960, Payload: make([]byte, codec.MaxPacketBytes)}
	step := func() {
		p.At = now
		taps.Microphone(b, now, true)
		taps.Peer("ben", b, true)
		taps.Peer("cleo", b, true)
		taps.Mix(stereo, now)
		ogg.Received("ben", p)
		ogg.Said(p)
		for range 4 {
			in.blocks.free(<-in.blocks.ready)
		}
		for range 2 {
			in.packets.free(<-in.packets.ready)
		}
		now = now.Add(audio.BlockDuration)
	}
	for range 10 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	most := mostPackets*unsafe.Sizeof(packet{}) + mostBlocks*unsafe.Sizeof(block{})
	t.Logf("at most %.1f MB wait to be written", float64(most)/1e6)
	if most > 12.5e6 {
		t.Errorf("%d bytes", most)
	}
}
