package sessiontest_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/identity"
	"github.com/parley-voice/parley/p2p/link"
	"github.com/parley-voice/parley/session/sessiontest"
)

// table is a Wire for players at one table: nothing is lost.
type table struct {
	mu    sync.Mutex
	seats map[identity.PeerID]*seat
}

// seat is one player's place at the table.
type seat struct {
	table   *table
	me      identity.PeerID
	cond    *sync.Cond // on the table's mutex
	mail    []letter
	receive func(identity.PeerID, []byte)
	left    bool
}

type letter struct {
	from identity.PeerID
	b    []byte
}

func newTable() *table { return &table{seats: make(map[identity.PeerID]*seat)} }

// sit gives a player a place; leave ends it.
func (t *table) sit(me identity.PeerID) (s *seat, leave func()) {
	s = &seat{table: t, me: me, cond: sync.NewCond(&t.mu)}
	t.mu.Lock()
	t.seats[me] = s
	t.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(s.run)
	return s, func() {
		t.mu.Lock()
		s.left = true
		s.cond.Broadcast()
		t.mu.Unlock()
		wg.Wait()
	}
}

func (s *seat) run() {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	for {
		for len(s.mail) == 0 && !s.left {
			s.cond.Wait()
		}
		if s.left {
			return
		}
		m, receive := s.mail[0], s.receive
		s.mail = s.mail[1:]
		if receive != nil {
			s.table.mu.Unlock()
			receive(m.from, m.b)
			s.table.mu.Lock()
		}
	}
}

func (s *seat) Me() identity.PeerID { return s.me }

func (s *seat) Send(to identity.PeerID, b []byte, _ bool) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if far := s.table.seats[to]; far != nil {
		far.mail = append(far.mail, letter{s.me, b})
		far.cond.Broadcast()
	}
}

func (s *seat) Listen(receive func(identity.PeerID, []byte)) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.receive = receive
}

func TestMyTransport(t *testing.T) {
	sessiontest.TestTransport(t, sessiontest.Factory{
		Run: synctest.Test, // virtual time; leave it out for a real network
		New: func(tb testing.TB, n int) (ts []link.Transport) {
			players := newTable()
			for i := range n {
				wire, leave := players.sit(sessiontest.PeerID(i))
				tb.Cleanup(leave)
				ts = append(ts, New(wire))
			}
			return ts
		},
	})
}

// TestTutorialShowsTheExample keeps the code in the tutorial compiled and
// tested: every paragraph of it is part of these files.
func TestTutorialShowsTheExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/custom-transport.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, name := range []string{"example_test.go", "example_receive_test.go", "custom_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	blocks := strings.Split(string(text), "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		for part := range strings.SplitSeq(block, "\n\n") {
			if !strings.Contains(code.String(), strings.TrimSpace(part)) {
				t.Errorf("the tutorial shows what isn't in the example:\n%s", part)
			}
		}
	}
	if len(blocks) < 5 {
		t.Errorf("%d blocks of code in the tutorial", len(blocks))
	}
}

func Example() {
	players := newTable()
	anna, annaLeaves := players.sit(sessiontest.PeerID(1))
	defer annaLeaves()
	ben, benLeaves := players.sit(sessiontest.PeerID(2))
	defer benLeaves()

	a, b := New(anna), New(ben)
	h := printer{done: make(chan struct{})}
	_ = a.Open(quiet{})
	_ = b.Open(h)
	defer a.Close()
	defer b.Close()
	_ = b.Join(a.Self())
	_ = a.Join(b.Self())
	_ = a.SendControl(b.Self(), []byte("hello, Ben"))
	<-h.done
	// Output:
	// path: direct
	// hello, Ben
}

// quiet is a Handler that does nothing.
type quiet struct{ link.Handler }

func (quiet) PathChanged(identity.PeerID, link.Path) {}
func (quiet) Knock(identity.PeerID)                  {}

// printer is a Handler that prints control messages.
type printer struct{ done chan struct{} }

func (printer) Voice(identity.PeerID, []byte, time.Time)      {}
func (printer) PathChanged(_ identity.PeerID, path link.Path) { fmt.Println("path:", path.Kind) }
func (printer) Knock(identity.PeerID)                         { fmt.Println("somebody knocks") }
func (h printer) Control(_ identity.PeerID, b []byte)         { fmt.Printf("%s\n", b); close(h.done) }

// A peer that keeps to no protocol makes the other side hold a bounded number of
// calls, even while its Handler is busy.
func TestMyTransportHoldsABoundedNumberOfCalls(t *testing.T) {
	message := func(kind byte, src, dst uint64) []byte {
		b := append([]byte{kind}, make([]byte, 16+100)...)
		binary.BigEndian.PutUint64(b[1:], src)
		binary.BigEndian.PutUint64(b[9:], dst)
		return b
	}
	floods := map[string]func(mine uint64, i int) [][]byte{
		"control": func(mine uint64, _ int) [][]byte { return [][]byte{message(control, 1, mine)} },
		"voice":   func(mine uint64, _ int) [][]byte { return [][]byte{message(voice, 1, mine)} },
		"hellos":  func(_ uint64, i int) [][]byte { return [][]byte{message(hello, uint64(i+2), 0)} },
		"hellos and byes": func(mine uint64, _ int) [][]byte {
			return [][]byte{message(bye, 1, mine), message(hello, 1, 0)}
		},
		"hellos and control": func(mine uint64, i int) [][]byte {
			return [][]byte{message(hello, uint64(i+2), 0), message(control, uint64(i+2), mine), message(voice, uint64(i+2), mine)}
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				players := newTable()
				wire, leave := players.sit(sessiontest.PeerID(1))
				defer leave()
				mine := New(wire)
				busy := &stuckHandler{release: make(chan struct{})}
				if err := mine.Open(busy); err != nil {
					t.Fatal(err)
				}
				hostile := sessiontest.PeerID(2)
				if err := mine.Join(hostile); err != nil {
					t.Fatal(err)
				}
				p := mine.peers[hostile]
				mine.receive(hostile, message(hello, 1, 0))
				for i := range 5000 {
					for _, b := range flood(p.mine, i) {
						mine.receive(hostile, b)
					}
				}
				mine.mu.Lock()
				held := len(p.queue)
				mine.mu.Unlock()
				if held > 4*maxQueue+1 {
					t.Errorf("%d calls are held, want at most %d", held, 4*maxQueue+1)
				}
				close(busy.release)
				if err := mine.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// stuckHandler doesn't return until it is released.
type stuckHandler struct{ release chan struct{} }

func (h *stuckHandler) Voice(identity.PeerID, []byte, time.Time) { <-h.release }
func (h *stuckHandler) Control(identity.PeerID, []byte)          { <-h.release }
func (h *stuckHandler) PathChanged(identity.PeerID, link.Path)   { <-h.release }
func (h *stuckHandler) Knock(identity.PeerID)                    { <-h.release }
