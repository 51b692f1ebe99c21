package integration_test

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/audio"
	"github.com/parley-voice/parley/audio/audiotest"
	"github.com/parley-voice/parley/codec"
	"github.com/parley-voice/parley/codec/opus"
	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session"
	"github.com/parley-voice/parley/session/sessiontest"
	"github.com/parley-voice/parley/session/wire"
)

// hand is a transport that the benchmark moves by hand, so that what is
// measured is the session and the codec and no network.
type hand struct {
	h    link.Handler
	sent func(to identity.PeerID, b []byte)
}

func (*hand) Self() identity.PeerID { return sessiontest.PeerID(0) }
func (t *hand) Open(h link.Handler) error {
	t.h = h
	return nil
}
func (*hand) Leave(identity.PeerID) error               { return nil }
func (*hand) SendControl(identity.PeerID, []byte) error { return nil }
func (*hand) Path(identity.PeerID) link.Path {
	return link.Path{Kind: link.LAN, Epoch: 1, RTT: 20 * time.Millisecond}
}
func (*hand) Stats(identity.PeerID) link.Stats { return link.Stats{} }
func (*hand) Close() error                     { return nil }
func (t *hand) Join(p identity.PeerID) error {
	t.h.PathChanged(p, link.Path{Kind: link.LAN, Epoch: 1, Transport: "hand"})
	hello, err := wire.Marshal(&wire.Control{Kind: &wire.Control_Hello{Hello: &wire.Hello{Version: 1, OldestVersion: 1, Codecs: []string{"opus"}}}})
	if err == nil {
		t.h.Control(p, hello)
	}
	return err
}

func (t *hand) SendVoice(p identity.PeerID, b []byte) error {
	if t.sent != nil {
		t.sent(p, b)
	}
	return nil
}

// handSession is a started session with peers on a hand transport.
func handSession(b *testing.B, said []float32, peers int) (*session.Session, *hand) {
	b.Helper()
	t := &hand{}
	cfg := session.Config{
		Transport: t,
		Codec:     opus.Codec{},
		OpenSink:  func() (audio.Sink, error) { return &audio.Null{}, nil },
	}
	if len(said) > 0 {
		cfg.OpenSource = func() (audio.Source, error) { return audiotest.NewLoop(said), nil }
	}
	s, err := session.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	for i := range peers {
		if err := s.PeerJoined(sessiontest.PeerID(i + 1)); err != nil {
			b.Fatal(err)
		}
	}
	return s, t
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// record makes the voice packets of seconds of speech.
func record(b *testing.B, said []float32, seconds int) [][]byte {
	b.Helper()
	var packets [][]byte
	// In virtual time, since a session keeps time.
	bubble(b, func() {
		s, t := handSession(b, said, 1)
		t.sent = func(_ identity.PeerID, p []byte) { packets = append(packets, slices.Clone(p)) }
		time.Sleep(time.Duration(seconds) * time.Second)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	})
	return packets
}

// bubble runs f in virtual time for a benchmark: synctest wants a test.
func bubble(b *testing.B, f func()) {
	b.Helper()
	done := false
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: "bubble",
		F:    func(t *testing.T) { synctest.Test(t, func(*testing.T) { f(); done = true }) },
	}})
	if !ok || !done {
		b.Fatal("the bubble failed")
	}
}

// The three benchmarks run a session for some virtual seconds and report, per
// 20 ms: cpu-us all that it needs, codec-us what libopus alone needs for the
// same frames in the same run, and x-codec the first by the second. Timers,
// pacing and what the benchmark itself does are in cpu-us too.

// BenchmarkCaptureToWire is our own voice, from the source to one listener.
func BenchmarkCaptureToWire(b *testing.B) { benchmarkSession(b, scene{peers: 1, speak: true}) }

// BenchmarkWireToSpeaker is one peer's voice, from the link to the sink.
func BenchmarkWireToSpeaker(b *testing.B) { benchmarkSession(b, scene{peers: 1, talking: 1}) }

// BenchmarkSessionOf16 has 15 peers of whom 3 talk, while we talk too.
func BenchmarkSessionOf16(b *testing.B) {
	benchmarkSession(b, scene{peers: 15, talking: 3, speak: true})
}

type scene struct {
	peers, talking int
	speak          bool
}

func benchmarkSession(b *testing.B, sc scene) {
	b.Helper()
	voice := audiotest.Babble(1, 10*time.Second)
	packets := record(b, voice, 20)
	var said []float32 // no microphone: nothing is encoded
	if sc.speak {
		said = voice
	}
	var whole, codecAlone time.Duration
	for b.Loop() {
		bubble(b, func() {
			s, t := handSession(b, said, sc.peers)
			begin := cpu()
			for i := range packets {
				for k := range sc.talking {
					t.h.Voice(sessiontest.PeerID(k+1), packets[i], time.Now())
				}
				time.Sleep(20 * time.Millisecond)
			}
			whole += cpu() - begin
			if p := s.Stats().Peers[0]; sc.talking > 0 && p.Jitter.PlayedSamples < uint64(len(packets))*900 {
				b.Fatalf("heard %d samples only", p.Jitter.PlayedSamples)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
		codecAlone += codecCost(b, said, packets, sc.talking)
	}
	frames := float64(b.N) * float64(len(packets))
	b.ReportMetric(whole.Seconds()*1e6/frames, "cpu-us")
	b.ReportMetric(codecAlone.Seconds()*1e6/frames, "codec-us")
	b.ReportMetric(whole.Seconds()/codecAlone.Seconds(), "x-codec")
}

// codecCost is what libopus alone needs for our voice and theirs.
func codecCost(b *testing.B, said []float32, packets [][]byte, talking int) time.Duration {
	b.Helper()
	enc, err := opus.Codec{}.NewEncoder(codec.Config{})
	if err != nil {
		b.Fatal(err)
	}
	var decoders []codec.Decoder
	for range talking {
		d, err := opus.Codec{}.NewDecoder()
		if err != nil {
			b.Fatal(err)
		}
		decoders = append(decoders, d)
	}
	dst, pcm := make([]byte, codec.MaxPacketBytes), make([]float32, codec.MaxPacketSamples)
	begin := cpu()
	for i, p := range packets {
		if len(said) > 0 {
			at := i * 960 % (len(said) - 960)
			if _, err := enc.Encode(dst, said[at:at+960]); err != nil {
				b.Fatal(err)
			}
		}
		var v wire.Voice
		if v.Parse(p) != nil || len(v.Payload) == 0 {
			continue
		}
		for _, d := range decoders {
			if _, err := d.Decode(pcm, v.Payload); err != nil {
				b.Fatal(err)
			}
		}
	}
	return cpu() - begin
}

// BenchmarkPeerMemory is the heap that one peer needs in a session: jitter
// buffer, decoder and PCM queue, without the network.
func BenchmarkPeerMemory(b *testing.B) {
	const peers = 64
	var perPeer float64
	for b.Loop() {
		bubble(b, func() {
			before := heap()
			s, _ := handSession(b, nil, peers)
			perPeer = float64(heap()-before) / peers
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(perPeer/1024, "KiB/peer")
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
