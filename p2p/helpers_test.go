package p2p

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/p2p/p2ptest"
)

// voiceAt is one voice message that was delivered.
type voiceAt struct {
	data string
	at   time.Time
}

// recorder is a Handler that keeps what it is told.
type recorder struct {
	mu      sync.Mutex
	voice   map[peer.ID][]voiceAt
	control map[peer.ID][]string
	paths   map[peer.ID][]link.Path
	pathAt  map[peer.ID][]time.Time
	knocks  map[peer.ID]int
	reasons map[peer.ID][]string // why there is no path yet
	told    map[peer.ID]link.Path
	early   map[peer.ID][]string // control that came while no path was told
	onVoice func()
}

func newRecorder() *recorder {
	return &recorder{
		voice:   map[peer.ID][]voiceAt{},
		control: map[peer.ID][]string{},
		paths:   map[peer.ID][]link.Path{},
		pathAt:  map[peer.ID][]time.Time{},
		knocks:  map[peer.ID]int{},
		reasons: map[peer.ID][]string{},
		told:    map[peer.ID]link.Path{},
		early:   map[peer.ID][]string{},
	}
}

func (r *recorder) Voice(p peer.ID, b []byte, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.voice[p] = append(r.voice[p], voiceAt{string(b), at})
	if r.onVoice != nil {
		r.onVoice()
	}
}

func (r *recorder) Control(p peer.ID, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.control[p] = append(r.control[p], string(b))
	if r.told[p].Kind == link.None {
		r.early[p] = append(r.early[p], string(b))
	}
}

func (r *recorder) PathChanged(p peer.ID, path link.Path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[p] = path
	if path.Epoch == 0 {
		r.reasons[p] = append(r.reasons[p], path.Reason)
		return
	}
	r.paths[p] = append(r.paths[p], path)
	r.pathAt[p] = append(r.pathAt[p], time.Now())
}

func (r *recorder) Knock(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.knocks[p]++
}

func (r *recorder) voices(p peer.ID) []voiceAt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]voiceAt(nil), r.voice[p]...)
}

func (r *recorder) controls(p peer.ID) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.control[p]...)
}

func (r *recorder) changes(p peer.ID) ([]link.Path, []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]link.Path(nil), r.paths[p]...), append([]time.Time(nil), r.pathAt[p]...)
}

func (r *recorder) knocked(p peer.ID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.knocks[p]
}

// end is one host with a node, a session and a recorder.
type end struct {
	t    testing.TB
	node *Node
	*Transport
	*recorder
	id peer.ID
}

// Control and Voice are the recorder's; Path and the rest the transport's.

func newEnd(t testing.TB, net *p2ptest.Network, i int, cfg Config) *end {
	t.Helper()
	return newEndOn(t, net.Host(i), cfg)
}

func newEndOn(t testing.TB, h host.Host, cfg Config) *end {
	t.Helper()
	if os.Getenv("PARLEY_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("host", h.ID().ShortString())
	}
	n, err := New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := n.Session("")
	if err != nil {
		t.Fatal(err)
	}
	e := &end{t: t, node: n, Transport: tr, recorder: newRecorder(), id: h.ID()}
	if err := tr.Open(e.recorder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return e
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s %s", time.Now().Format("05.000"), b)
	return len(b), nil
}

var _ io.Writer = testWriter{}

// raceEnabled says that everything takes many times as long.
var raceEnabled bool

func (e *end) join(o *end) {
	e.t.Helper()
	if err := e.Join(o.id); err != nil {
		e.t.Fatal(err)
	}
}

// inBubble runs a test in virtual time on n hosts, each with an end.
func inBubble(t *testing.T, net p2ptest.Config, cfg Config, f func(t *testing.T, net *p2ptest.Network, e []*end)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nw := p2ptest.NewNetwork(t, net)
		var ends []*end
		for i := range max(net.Hosts, 2) {
			ends = append(ends, newEnd(t, nw, i, cfg))
		}
		f(t, nw, ends)
	})
}

func connect(t *testing.T, net *p2ptest.Network, i, j int) {
	t.Helper()
	if err := net.Connect(i, j); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until cond holds, at most d, in steps of a millisecond, and
// returns how long it took.
func waitFor(t *testing.T, d time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > d {
			t.Fatalf("waited %v for %s", d, what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func (e *end) hasPath(o *end) bool { return e.Path(o.id).Kind != link.None }

// joined connects two ends and joins them to each other.
func joined(t *testing.T, net *p2ptest.Network, a, b *end) {
	t.Helper()
	connect(t, net, 0, 1)
	a.join(b)
	b.join(a)
	waitFor(t, time.Second, "paths", func() bool { return a.hasPath(b) && b.hasPath(a) })
}

// talk sends n packets of 80 bytes, one per interval, each with its number and
// time; it returns how many were accepted.
func (e *end) talk(o *end, n int, interval time.Duration) (accepted int) {
	for i := range n {
		b := fmt.Appendf(nil, "%d %d ", i, time.Now().UnixNano())
		for len(b) < 80 {
			b = append(b, '.')
		}
		if e.SendVoice(o.id, b) == nil {
			accepted++
		}
		time.Sleep(interval)
	}
	return accepted
}

// delay is the one-way time that a packet of talk took.
func (v voiceAt) delay(t *testing.T) time.Duration {
	t.Helper()
	var i, ns int64
	if _, err := fmt.Sscanf(v.data, "%d %d ", &i, &ns); err != nil {
		t.Fatalf("voice %q: %v", v.data, err)
	}
	return v.at.Sub(time.Unix(0, ns))
}

// talkBeside runs talk in a goroutine and returns a function that waits for it.
func (e *end) talkBeside(o *end, n int, interval time.Duration) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() { e.talk(o, n, interval) })
	return wg.Wait
}
